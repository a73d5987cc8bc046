// SPDX-License-Identifier: Apache-2.0

// Package bots owns the bots: it leases a slot for each attempt of a call, starts the bot, forwards the caller when the
// bot is ready, and clears up behind bots that are no longer wanted.
package bots

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/budget"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/pkg/timer"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/bot-scheduler/slots"
)

// Service is bot-scheduler.
var Service = NewService(nil)

// NewService is bot-scheduler with further backends, by the names that agents call them.
func NewService(further map[string]Backend) app.Service {
	return app.Service{
		Name: "bot-scheduler",
		Needs: bus.Needs{
			Service: "bot-scheduler",
			Events: []proto.Message{
				&callv1.RoomReady{}, &callv1.DialinReady{}, &callv1.LegConnected{}, &callv1.LegSeen{}, &callv1.ParticipantJoined{}, &callv1.ParticipantLeft{},
				&callv1.BotFailed{}, &callv1.DialFailed{}, &callv1.AttemptRequested{}, &callv1.TransferCompleted{}, &callv1.CallEnded{},
			},
			Timers:  true,
			Buckets: []jetstream.KeyValueConfig{budget.Bucket, slots.Bucket, jobsBucket, contextsBucket},
			Speaks:  []string{slots.StopSubjects},
		},
		Secrets: []string{config.EnvDailyAPIKey, config.EnvTrunklineSecret},
		Drains:  true,
		Serve:   func(ctx context.Context, env *app.Env) error { return serve(ctx, env, further) },
	}
}

// Scheduler starts and watches bots.
type Scheduler struct {
	Config  *config.Config
	Secrets config.Secrets
	Bus     *bus.Bus
	Timers  timer.Timers
	Log     *slog.Logger
	Daily   *daily.Client
	Domain  func(context.Context) (daily.Domain, error)
	Slots   *slots.Slots

	instance string // of this process
	began    time.Time
	backends map[string]Backend
	remotes  *remotes      // the backends whose bots run elsewhere
	patience time.Duration // how long it waits for its bots when it is told to stop
	door     sync.RWMutex  // held to read while a bot is started, and locked when none is to be any more
	shut     func()        // locks it, for good
	origin   int           // where the dispatcher's next search for a slot begins
	jobs     jetstream.KeyValue
	contexts jetstream.KeyValue
	ledger   *ledger
	life     context.Context // what the process does for a call goes on when the request that asked for it has gone
}

// tokens are those with which bots speak.
func (s *Scheduler) tokens() auth.Tokens { return auth.Tokens{Secrets: s.Secrets.TrunklineSecret} }

// Backend runs bots. It takes over the lease of the slot, and reports the bot's exit on the bus.
type Backend interface {
	// Start starts a bot. An error means that none has been started; a doubt is no error: the lease settles it. The
	// context carries the call's trace, for the report of the exit.
	Start(ctx context.Context, s Start) error
	// Wait waits until no bot is left that it has started, or until the context ends.
	Wait(ctx context.Context)
	// Close stops the bots that end with this process, where there are any.
	Close(ctx context.Context)
}

func serve(ctx context.Context, env *app.Env, further map[string]Backend) error {
	client, err := env.Daily(ctx)
	if err != nil {
		return err
	}
	store, err := slots.Open(ctx, env.Bus.JS)
	if err != nil {
		return err
	}
	process, err := newProcesses(env)
	if err != nil {
		return err
	}
	jobs, err := env.Bus.JS.KeyValue(ctx, jobsBucket.Bucket)
	if err != nil {
		return fmt.Errorf("bucket %s: %w", jobsBucket.Bucket, err)
	}
	contexts, err := env.Bus.JS.KeyValue(ctx, contextsBucket.Bucket)
	if err != nil {
		return fmt.Errorf("bucket %s: %w", contextsBucket.Bucket, err)
	}
	instance := uuid.NewString()
	s := &Scheduler{
		Config: env.Config, Secrets: env.Secrets, Bus: env.Bus, Timers: env.Timers, Log: env.Log,
		Daily: client, Domain: app.Domain(client), Slots: store,
		instance: instance, origin: origin(instance), backends: map[string]Backend{config.Process: process},
		jobs: jobs, contexts: contexts, ledger: newLedger(slotMetrics(env)), began: time.Now(),
	}
	s.remotes, s.shut = newRemotes(ctx, s), sync.OnceFunc(s.door.Lock)
	for _, name := range away {
		s.backends[name] = s.remotes
	}
	maps.Copy(s.backends, further)
	if !env.Dev {
		s.patience = env.Config.Drain
	}
	for name, agent := range env.Config.Agents {
		if s.backends[agent.Backend] == nil {
			return fmt.Errorf("agents.%s.backend: there is no %q", name, agent.Backend)
		}
		if agent.Backend == config.PipecatCloud {
			if err := env.Secrets.Require(config.EnvPipecatCloudKey, config.EnvPipecatCloudPrivateKey); err != nil {
				return fmt.Errorf("agents.%s: %w", name, err)
			}
		}
	}
	// The dispatcher and the requests under way outlive the rest until the handlers have finished.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	s.life = life
	work, stop := context.WithCancel(life)
	defer stop()

	var background errgroup.Group
	background.Go(func() error { return s.dispatch(life) })

	group, working := errgroup.WithContext(work)
	warm, cool := context.WithCancel(working)
	group.Go(func() error { s.drain(ctx, working, env, cool); stop(); return nil })
	group.Go(func() error { return process.keepWarm(warm) })
	group.Go(func() error { return s.followJobs(working) })
	group.Go(func() error { return s.followSlots(working) })
	group.Go(func() error { return s.consume(working) })
	group.Go(func() error {
		return s.Timers.Run(working, map[string]timer.Handler{
			deadlineTimer: s.Deadline, forwardTimer: s.ForwardDoubt, lookTimer: s.LookIn, heartbeatTimer: s.HeartbeatMissed,
		})
	})
	group.Go(func() error { return env.HTTP(working, "gateway", s.Config.Listen.Gateway, s.Gateway()) })
	env.Ready.Yes()
	err = group.Wait()
	end()
	if failed := background.Wait(); err == nil {
		err = failed
	}
	for _, b := range s.backends {
		b.Close(context.WithoutCancel(ctx))
	}
	return err
}

func (s *Scheduler) consume(ctx context.Context) error {
	return s.Bus.Consume(ctx,
		bus.On(s.RoomReady, bus.Done(&callv1.BotStarting{}, &callv1.BotFailed{}, &callv1.ForwardFailed{})),
		bus.On(s.DialinReady, bus.Done(&callv1.ForwardStarted{})),
		bus.On(s.LegConnected, bus.Done(&callv1.CallForwarded{})),
		bus.On(s.LegSeen, bus.Done(&callv1.CallForwarded{})),
		bus.On(s.ParticipantJoined, bus.If(isBot)),
		bus.On(s.ParticipantLeft, bus.If(isBot)),
		bus.On(s.BotFailed, bus.AfterEnd, bus.Done(&callv1.BotExited{})),
		bus.On(s.AttemptRequested),
		bus.On(s.TransferCompleted),
		bus.On(s.DialFailed),
		bus.On(s.CallEnded, bus.AfterEnd),
	)
}

// isBot spares the look at people who come and go.
func isBot(m proto.Message) bool {
	who, ok := m.(interface{ GetUserId() string })
	if !ok {
		return false
	}
	_, _, bot := call.ParseBot(who.GetUserId())
	return bot
}

func slotMetrics(env *app.Env) *prometheus.GaugeVec {
	size := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "trunkline_slots", Help: "Slots for bots."}, []string{"agent"})
	used := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "trunkline_slots_held", Help: "Slots for bots that are held."}, []string{"agent"})
	env.Registry.MustRegister(size, used)
	for name, agent := range env.Config.Agents {
		size.WithLabelValues(name).Set(float64(agent.Slots))
		used.WithLabelValues(name).Set(0)
	}
	return used
}

// agent is an agent as configured now. A call may have been routed to one that is no longer there.
func (s *Scheduler) agent(name string) (config.Agent, error) {
	a, ok := s.Config.Agents[name]
	if !ok {
		return a, fmt.Errorf("there is no agent %q in the configuration", name)
	}
	return a, nil
}
