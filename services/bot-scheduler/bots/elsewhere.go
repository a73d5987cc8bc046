// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/bot-scheduler/pipecatcloud"
	"github.com/trunkline/trunkline/services/bot-scheduler/pod"
	"github.com/trunkline/trunkline/services/bot-scheduler/remote"
	"github.com/trunkline/trunkline/services/bot-scheduler/runner"
	"github.com/trunkline/trunkline/services/bot-scheduler/slots"
)

const (
	// closeWithin is how long requests for bots may go on when the process ends.
	closeWithin = 5 * time.Second
	// tellFor is how long what a place has said is tried to be written down. After that looking in finds it out.
	tellFor = time.Minute
)

// away are the backends whose bots run where no keeper of ours can be. docs/adr/0016 says what holds for them.
var away = []string{config.Runner, config.Pod, config.PipecatCloud}

// elsewhere reports whether the attempt's bot was started, or was to be, where it has no keeper.
func elsewhere(a *call.Attempt) bool { return slices.Contains(away, a.Starting.GetBackend()) }

// remotes runs bots elsewhere. Their slots are not leased for a time: they are held until a bot is proved to be gone.
type remotes struct {
	s    *Scheduler
	http *http.Client
	life context.Context // of the connections to pods
	stop context.CancelFunc
	asks sync.WaitGroup // requests under way
	work sync.WaitGroup // these, and connections to pods
	full *full

	mu   sync.Mutex
	mine map[string]string // task to slot, of those that this process has started
}

func newRemotes(ctx context.Context, s *Scheduler) *remotes {
	r := &remotes{s: s, http: remote.Client(), full: newFull(), mine: map[string]string{}}
	r.life, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	return r
}

// place is where an agent's bot for a slot is asked for, or nil where no other machine is.
func (r *remotes) place(agent config.Agent, slot string) remote.Place {
	url := agent.Where(slots.Number(slot))
	switch agent.Backend {
	case config.Runner:
		return runner.Runner{URL: url, HTTP: r.http}
	case config.Pod:
		return pod.Pod{URL: url, HTTP: r.http}
	case config.PipecatCloud:
		return pipecatcloud.Agent{
			URL: url, Name: agent.Cloud(), HTTP: r.http,
			Key: r.s.Secrets.PipecatCloudKey.Reveal(), PrivateKey: r.s.Secrets.PipecatCloudPrivateKey.Reveal(),
		}
	}
	return nil
}

// Start holds the slot for as long as it takes, and then asks for the bot. Whoever finds a slot whose lease has run out
// knows by that that nobody has asked.
func (r *remotes) Start(ctx context.Context, st Start) error {
	holder := st.Lease.Holder
	if err := r.s.lookIn(ctx, holder.CallID, holder.Attempt, lookEvery); err != nil { // before what it looks after
		return err
	}
	var job remote.Job
	if err := json.Unmarshal(st.Job, &job); err != nil {
		return err
	}
	lease := st.Lease
	lease.Holder.Backend, lease.TTL = st.Agent.Backend, 0
	if err := r.s.Slots.Renew(ctx, &lease); err != nil {
		return err
	}
	r.left() // forgets those that have gone
	r.mu.Lock()
	r.mine[taskKey(holder.CallID, holder.Attempt)] = lease.Key
	r.mu.Unlock()
	r.asks.Add(1)
	r.work.Go(func() {
		ctx := bus.WithCause(r.life, st.Cause)
		a := &call.Attempt{N: holder.Attempt, Starting: &callv1.BotStarting{Slot: lease.Key, Backend: st.Agent.Backend}}
		bot, err := r.ask(ctx, holder.CallID, a, st.Agent, job)
		r.asks.Done()
		if err == nil && bot.Ended != nil {
			err = r.watch(ctx, holder.CallID, a, bot.Ended)
		}
		if err != nil && r.life.Err() == nil {
			r.s.Log.Warn("a bot elsewhere", "call_id", holder.CallID, "attempt", holder.Attempt, "err", err)
		}
	})
	return nil
}

// ask asks for the bot and writes down what comes of it. Of a doubt nothing is written: the bot may show itself.
func (r *remotes) ask(ctx context.Context, callID string, a *call.Attempt, agent config.Agent, job remote.Job) (remote.Bot, error) {
	bot, err := r.place(agent, a.Starting.GetSlot()).Start(ctx, job)
	if err == nil || errors.Is(err, remote.ErrFull) {
		r.full.heard(agent.Name, err == nil)
	} else {
		r.full.another(agent.Name)
	}
	switch {
	case err == nil:
		return bot, r.tell(ctx, func() error {
			_, err := r.s.Bus.Publish(ctx, callID, &callv1.BotStarted{Attempt: a.N, Handle: bot.Handle})
			if errors.Is(err, bus.ErrTaken) {
				return nil
			}
			return err
		})
	case errors.Is(err, remote.ErrFull), errors.Is(err, remote.ErrRefused):
		return bot, errors.Join(err, r.tell(ctx, func() error {
			return r.s.exited(ctx, callID, a, remote.End{Status: -1, Reason: "not started: " + err.Error()})
		}))
	}
	return bot, fmt.Errorf("it is not known whether it was started: %w", err)
}

// watch waits for what a place tells by itself of a bot's end.
func (r *remotes) watch(ctx context.Context, callID string, a *call.Attempt, ended <-chan remote.End) error {
	select {
	case <-ctx.Done():
		return nil
	case end := <-ended:
		return r.tell(ctx, func() error {
			if end.Lost {
				return r.s.giveUp(ctx, callID, a.N, end.Reason, func(*call.Attempt) bool { return true })
			}
			return r.s.exited(ctx, callID, a, end)
		})
	}
}

// tell writes something down, again and again while NATS is away.
func (r *remotes) tell(ctx context.Context, write func() error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, write() }, backoff.WithMaxElapsedTime(tellFor))
	return err
}

// Wait waits until no bot is left that this process has started.
func (r *remotes) Wait(ctx context.Context) {
	look := time.NewTicker(lookAgain / 4)
	defer look.Stop()
	for r.left() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

func (r *remotes) left() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, slot := range r.mine {
		if !r.s.ledger.holds(slot, key) {
			delete(r.mine, key)
		}
	}
	return len(r.mine)
}

// Close lets requests for bots come to their end, for a while. The bots go on, also those in pods, to which the
// connection is lost.
func (r *remotes) Close(context.Context) {
	late := time.AfterFunc(closeWithin, r.stop)
	r.asks.Wait()
	late.Stop()
	r.stop()
	r.work.Wait()
}
