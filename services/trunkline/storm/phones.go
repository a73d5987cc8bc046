// SPDX-License-Identifier: Apache-2.0

package storm

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	leases "github.com/trunkline/trunkline/services/bot-scheduler/slots"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

// ID is a caller's call as the record names it.
func (w *World) ID(phone sim.Call) string { return bus.CallID(phone.CallDomain, phone.ID) }

// Place has somebody call.
func (w *World) Place(spec sim.CallSpec) sim.Call {
	w.T.Helper()
	spec.From, spec.To = "+14155550123", "+14155550100"
	phone, err := w.Sim.PlaceCall(spec)
	if err != nil {
		w.T.Fatal(err)
	}
	return phone
}

// PlaceMany has several people call at once.
func (w *World) PlaceMany(n int, spec sim.CallSpec) []sim.Call {
	w.T.Helper()
	phones := make([]sim.Call, n)
	for i := range phones {
		phones[i] = w.Place(spec)
	}
	return phones
}

// Phone waits until something is true of a caller's phone.
func (w *World) Phone(phone sim.Call, patience time.Duration, what string, cond func(sim.Call) bool) sim.Call {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.T.Context(), patience)
	defer cancel()
	now, err := w.Sim.WaitForCall(ctx, phone.ID, cond)
	if err != nil {
		w.T.Fatalf("waited in vain for call %s to be %s: it is %s %s\n%s", w.ID(phone), what, now.State, now.Why, w.Told(phone))
	}
	return now
}

// Connected waits until a caller is in a room.
func (w *World) Connected(phone sim.Call) sim.Call {
	w.T.Helper()
	return w.Phone(phone, Soon, "connected", func(c sim.Call) bool { return c.ConnectedAt != nil })
}

// HungUp waits until a caller's phone call is over.
func (w *World) HungUp(phone sim.Call) sim.Call {
	w.T.Helper()
	return w.Phone(phone, Soon, "over", func(c sim.Call) bool { return c.State == sim.Ended })
}

// Expect waits until an event of a call is on the record.
func (w *World) Expect(phone sim.Call, key string) *bus.Event {
	w.T.Helper()
	var e *bus.Event
	w.Poll(Soon, key+" of call "+w.ID(phone), func() string {
		story, err := w.Bus.Story(w.T.Context(), w.ID(phone))
		if err != nil {
			return err.Error()
		}
		if e = story.Find(key); e == nil {
			return "there is only\n" + w.Told(phone)
		}
		return ""
	})
	return e
}

// HangUp lets callers hang up, and waits until their calls are over on the record, as calls end.
func (w *World) HangUp(phones ...sim.Call) {
	w.T.Helper()
	for _, phone := range phones {
		if err := w.Sim.Hangup(phone.ID); err != nil {
			w.T.Fatal(err)
		}
	}
	for _, phone := range phones {
		w.Expect(phone, "CallEnded")
		s := w.State(phone)
		if got := s.Ended.Data; got.GetOutcome() != callv1.Outcome_OUTCOME_COMPLETED || got.GetReason() != "caller_hung_up" {
			w.T.Errorf("call %s ended with %s\n%s", w.ID(phone), got, w.Told(phone))
		}
	}
}

// State is what a call's story says.
func (w *World) State(phone sim.Call) *call.State {
	w.T.Helper()
	story, err := w.Bus.Story(w.T.Context(), w.ID(phone))
	if err != nil {
		w.T.Fatal(err)
	}
	return call.Read(story)
}

// Told is the story of somebody who called, for a failed test.
func (w *World) Told(phone sim.Call) string { return w.Story(w.ID(phone)) }

// Story is a call's story, for a failed test.
func (w *World) Story(callID string) string {
	story, err := w.Bus.Story(w.T.Context(), callID)
	if err != nil {
		return err.Error()
	}
	text := ""
	for _, e := range story.Events {
		text += fmt.Sprintf("%8.3f %s %v\n", e.Time.Sub(story.Began()).Seconds(), e.Key(), e.Data)
	}
	return text
}

// Count is how many events of a kind there are, of all calls.
func (w *World) Count(kind proto.Message) int {
	w.T.Helper()
	stream, err := w.JS.Stream(w.T.Context(), bus.Stream)
	if err != nil {
		w.T.Fatal(err)
	}
	info, err := stream.Info(w.T.Context(), jetstream.WithSubjectFilter(bus.Filter(kind)))
	if err != nil {
		w.T.Fatal(err)
	}
	return len(info.State.Subjects)
}

// Leases tells which slot is leased to which call's attempt.
func (w *World) Leases() []string {
	w.T.Helper()
	kv, err := w.JS.KeyValue(w.T.Context(), leases.Bucket.Bucket)
	if err != nil {
		w.T.Fatal(err)
	}
	keys, err := kv.ListKeys(w.T.Context())
	if err != nil {
		w.T.Fatal(err)
	}
	var held []string
	for key := range keys.Keys() {
		e, err := kv.Get(w.T.Context(), key)
		var holder leases.Holder
		if err == nil && json.Unmarshal(e.Value(), &holder) == nil {
			held = append(held, fmt.Sprintf("%s for %s.%d", key, holder.CallID, holder.Attempt))
		}
	}
	slices.Sort(held)
	return held
}
