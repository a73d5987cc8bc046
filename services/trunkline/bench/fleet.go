// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/trunkline/trunkline/pkg/bus"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/bot-scheduler/bots"
	"github.com/trunkline/trunkline/services/bot-scheduler/job"
	"github.com/trunkline/trunkline/services/bot-scheduler/slots"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

const fleetName = "bench"

// fleet is a backend whose bots, and their keepers, are goroutines. They do on the bus, at the gateway and in the room
// what keepers and stock bots do; what it costs to start a process is left out.
type fleet struct {
	bed   *bed
	idle  bool // bots that hold their slots and do nothing else
	nc    *nats.Conn
	bus   *bus.Bus
	slots *slots.Slots
	http  *http.Client
	log   *slog.Logger

	life context.Context
	stop context.CancelFunc
	bots sync.WaitGroup
}

func newFleet(b *bed) *fleet {
	f := &fleet{bed: b, http: newClient()}
	f.life, f.stop = context.WithCancel(context.Background())
	return f
}

func (f *fleet) connect(ctx context.Context, log *slog.Logger) (err error) {
	f.log = log.With("service", "fleet")
	nc, js, err := f.bed.newJS(f.log)
	if err != nil {
		return err
	}
	f.nc, f.bus = nc, bus.New("bot-scheduler", js, f.log, nil)
	f.slots, err = slots.Open(ctx, js)
	return err
}

// Start notes when it was told, and has the bot live.
func (f *fleet) Start(_ context.Context, s bots.Start) error {
	if c := f.bed.call(s.Lease.Holder.CallID); c != nil {
		c.told.CompareAndSwap(0, f.bed.now())
	}
	f.bots.Go(func() {
		if err := f.live(s); err != nil && f.life.Err() == nil {
			f.log.Warn("bot", "call_id", s.Lease.Holder.CallID, "err", err)
			f.bed.failed.Add(1)
		}
	})
	return nil
}

// Wait does not: the bots' world ends when it is told to.
func (f *fleet) Wait(context.Context) {}

// Close has the bots vanish with their world.
func (f *fleet) Close(context.Context) {
	f.stop()
	f.bots.Wait()
	if f.nc != nil {
		f.nc.Close()
	}
	f.http.CloseIdleConnections()
}

func (f *fleet) live(s bots.Start) error {
	ctx := bus.WithCause(f.life, s.Cause)
	lease := s.Lease
	lease.TTL = s.Agent.Lease
	if err := f.slots.Renew(ctx, &lease); err != nil {
		return err
	}
	reported := make(chan error, 1)
	f.bots.Go(func() {
		_, err := f.bus.Publish(ctx, lease.Holder.CallID, &callv1.BotStarted{Attempt: lease.Holder.Attempt, Handle: "bench"})
		reported <- err
	})
	if err := f.attend(ctx, s.Job, &lease); err != nil {
		return err
	}
	if err := <-reported; err != nil {
		return err
	}
	return f.report(ctx, &lease)
}

// attend is in the room until the caller has left, and keeps the lease meanwhile.
func (f *fleet) attend(ctx context.Context, data json.RawMessage, lease *slots.Lease) error {
	var j job.Job
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	var events <-chan sim.Event
	if !f.idle {
		guest, err := f.bed.Sim.Join(path.Base(j.RoomURL), j.Token, "bench")
		if err != nil {
			return err
		}
		defer guest.Leave()
		events = guest.Events()
	}
	renewal := time.NewTicker(lease.TTL / 4) // as a keeper does
	defer renewal.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-renewal.C:
			if err := f.renew(ctx, lease); err != nil || lease.Holder.Stop != nil {
				return err
			}
		case e, in := <-events:
			switch {
			case !in || e["event"] == "dialin-stopped":
				return nil
			case e["event"] == "dialin-ready":
				if err := f.ask(ctx, j); err != nil {
					return err
				}
			}
		}
	}
}

// ask is the bot's wish that its caller be forwarded.
func (f *fleet) ask(ctx context.Context, j job.Job) error {
	body, err := json.Marshal(map[string]string{
		"callId": j.Body.DialinSettings.CallID, "callDomain": j.Body.DialinSettings.CallDomain, "sipUri": "sip:any",
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, j.Body.DailyAPIURL+"/dialin/pinlessCallUpdate", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+j.Body.DailyAPIKey)
	return post(f.http, req)
}

// renew holds the lease, also when somebody has written to it to have the bot stopped.
func (f *fleet) renew(ctx context.Context, lease *slots.Lease) error {
	for {
		err := f.slots.Renew(ctx, lease)
		if !errors.Is(err, slots.ErrLost) {
			return err
		}
		if err := f.look(ctx, lease); err != nil {
			return err
		}
	}
}

// report tells that the bot is gone, and gives the slot back.
func (f *fleet) report(ctx context.Context, lease *slots.Lease) error {
	id := lease.Holder.CallID
	if _, err := f.bus.Publish(ctx, id, &callv1.BotExited{Attempt: lease.Holder.Attempt, Reason: "done"}); err != nil {
		return err
	}
	for {
		err := f.slots.Release(ctx, lease)
		if err == nil {
			if c := f.bed.call(id); c != nil {
				f.bed.step(id, c)
			}
			return nil
		}
		if !errors.Is(err, slots.ErrLost) {
			return err
		}
		if err := f.look(ctx, lease); err != nil {
			return err
		}
	}
}

func (f *fleet) look(ctx context.Context, lease *slots.Lease) error {
	now, err := f.slots.Look(ctx, lease.Key)
	if err != nil {
		return err
	}
	if now == nil || now.Holder.CallID != lease.Holder.CallID {
		return fmt.Errorf("slot %s: %w", lease.Key, slots.ErrLost)
	}
	lease.Revision, lease.Holder = now.Revision, now.Holder
	return nil
}
