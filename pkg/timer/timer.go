// SPDX-License-Identifier: Apache-2.0

// Package timer gives services timers that outlive them: JetStream message schedules in a stream of the service's own.
//
// A timer fires at least once, never early, and as a rule within a quarter of a second. Set it before what it guards.
// When it fires it is a question, not an order: the handler looks at the call's story.
package timer

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/bus"
)

// The headers of a message schedule (NATS ADR-51).
const (
	headerSchedule  = "Nats-Schedule"
	headerTarget    = "Nats-Schedule-Target"
	headerScheduler = "Nats-Scheduler"
	headerNext      = "Nats-Schedule-Next"
)

// ID names a timer: one for each name, call and number.
type ID struct {
	Name   string
	CallID string
	N      uint32 // the attempt, or 0
}

// Fired is a timer that has fired.
type Fired struct {
	ID
	At time.Time // by the broker's clock, as the times of events are
}

func (id ID) String() string { return fmt.Sprintf("%s.%s.%d", id.Name, id.CallID, id.N) }

// Timers are a service's timers.
type Timers struct{ Bus *bus.Bus }

// Set makes the timer fire at a time; one in the past fires at once. Setting it again moves it.
func (t Timers) Set(ctx context.Context, id ID, at time.Time) error {
	msg := &nats.Msg{Subject: t.subject(bus.TimerSet, id), Header: nats.Header{
		// The option of nats.go cuts the time to whole seconds.
		headerSchedule: {"@at " + at.UTC().Format(time.RFC3339Nano)},
		headerTarget:   {t.subject(bus.TimerFired, id)},
	}}
	if _, err := t.Bus.JS.PublishMsg(ctx, msg); err != nil {
		return fmt.Errorf("set timer %s: %w", id, err)
	}
	return nil
}

// Cancel takes the timer back. One that is not set, or has fired, is no error.
func (t Timers) Cancel(ctx context.Context, id ID) error {
	msg := &nats.Msg{Subject: bus.TimerCancelled + "." + t.Bus.Service, Header: nats.Header{
		headerScheduler: {t.subject(bus.TimerSet, id)},
		headerNext:      {"purge"},
	}}
	if _, err := t.Bus.JS.PublishMsg(ctx, msg); err != nil {
		return fmt.Errorf("cancel timer %s: %w", id, err)
	}
	return nil
}

// Handler is asked what a timer that has fired means for its call now. What it returns decides what becomes of the
// timer, as with the bus's handlers.
type Handler func(context.Context, Fired) error

// Run hands the service's fired timers to the handlers, by name, until the context ends.
func (t Timers) Run(ctx context.Context, handlers map[string]Handler) error {
	return t.Bus.Work(ctx, bus.TimerStream(t.Bus.Service), t.Bus.Service, "timers", func(ctx context.Context, msg jetstream.Msg) error {
		// Whoever may schedule in a stream can have any of its subjects written: only our own schedules count.
		if by := msg.Headers().Get(headerScheduler); by != "" && !strings.HasPrefix(by, bus.TimerSet+"."+t.Bus.Service+".") {
			return bus.Drop(fmt.Errorf("scheduled by %s", by))
		}
		id, err := parse(strings.TrimPrefix(msg.Subject(), bus.TimerFired+"."+t.Bus.Service+"."))
		if err != nil {
			return bus.Drop(err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return bus.Drop(err)
		}
		handle, ok := handlers[id.Name]
		if !ok {
			return bus.Drop(fmt.Errorf("no handler for timer %s", id))
		}
		return handle(bus.WithCause(ctx, "timer."+id.String()), Fired{id, meta.Timestamp})
	})
}

func (t Timers) subject(root string, id ID) string {
	return root + "." + t.Bus.Service + "." + id.String()
}

func parse(text string) (ID, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return ID{}, fmt.Errorf("%q is not a timer", text)
	}
	n, err := strconv.ParseUint(parts[2], 10, 32)
	if err != nil {
		return ID{}, fmt.Errorf("%q is not a timer: %w", text, err)
	}
	return ID{Name: parts[0], CallID: parts[1], N: uint32(n)}, nil
}
