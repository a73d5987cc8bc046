// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// Acknowledgements are hints: after a crash of the broker everything may come again.
func TestEveryEventOfAThousandFinishedCallsAgainDoesNothing(t *testing.T) {
	const calls, played = 1000, 10
	dir := t.TempDir()
	here := func(o *stack.Options) { o.Dir = dir }
	w := start(t, bot(played), here)
	phones := make([]sim.Call, played)
	for i := range phones {
		phones[i] = w.place(sim.CallSpec{From: caller, Talk: short})
	}
	for _, phone := range phones {
		w.cleared(phone)
		w.ended(phone)
	}
	w.idle()
	// The others are the first one's events again, under ids of their own.
	story, err := w.bus.Story(t.Context(), w.id(phones[0]))
	if err != nil {
		t.Fatal(err)
	}
	w.copyCalls(story, calls-played)
	w.end()

	w = start(t, bot(played), here, func(o *stack.Options) { o.Services, o.NoDomainWebhook = []app.Service{}, true })
	w.reset()
	before := w.marks()
	w.end()

	w = start(t, bot(played), here)
	w.drained()
	if after := w.marks(); !maps.Equal(before, after) {
		t.Errorf("something was done for calls that are over:\nbefore %v\nafter  %v", before, after)
	}
	for request := range w.Sim.Stats().Requests {
		switch request {
		case "GET /", "GET /webhooks", "POST /webhooks", "GET /presence": // the start's, and the janitor's
		default:
			t.Errorf("Daily was asked: %s", request)
		}
	}
	if bots := w.Sim.Stats().Bots.MaxLive; bots > 0 {
		t.Errorf("%d bots joined", bots)
	}
}

// copyCalls writes a call's story for many calls, as its authors would.
func (w *world) copyCalls(story *bus.Story, n int) {
	w.t.Helper()
	var group sync.WaitGroup
	slots := make(chan struct{}, 32)
	for i := range n {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			id := bus.CallID("copy", fmt.Sprint(i))
			// The end first: with it in the story, nobody acts on what comes after.
			order := []string{"CallEnded"}
			for _, e := range story.Events {
				if e.Key() != "CallEnded" {
					order = append(order, e.Key())
				}
			}
			for _, key := range order {
				e := story.Find(key)
				author := bus.New(e.Author, w.JS, slog.New(slog.DiscardHandler), nil)
				if _, err := author.Publish(bus.WithCause(w.t.Context(), "copy"), id, renamed(e.Data, story.CallID, id)); err != nil && !errors.Is(err, bus.ErrTaken) {
					w.t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

// renamed is an event with another call's id wherever the first one's stood.
func renamed(m proto.Message, from, to string) proto.Message {
	m = proto.CloneOf(m)
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Kind() == protoreflect.StringKind && !f.IsList() && !f.IsMap() {
			text := strings.ReplaceAll(m.ProtoReflect().Get(f).String(), from, to)
			m.ProtoReflect().Set(f, protoreflect.ValueOfString(text))
		}
	}
	return m
}

// marks are what would move if something were done: events, leases of slots, and jobs.
func (w *world) marks() map[string]uint64 {
	w.t.Helper()
	marks := map[string]uint64{}
	for _, stream := range []string{bus.Stream, bus.DeadLetters, "KV_slots", "KV_jobs"} {
		s, err := w.JS.Stream(w.t.Context(), stream)
		if err != nil {
			w.t.Fatal(err)
		}
		marks[stream] = s.CachedInfo().State.LastSeq
	}
	return marks
}

// reset has every service's consumer of the calls deliver everything again.
func (w *world) reset() {
	w.t.Helper()
	for _, needs := range stack.Needs() {
		if len(needs.Events) == 0 {
			continue
		}
		cons, err := w.JS.Consumer(w.t.Context(), bus.Stream, needs.Service)
		if err != nil {
			w.t.Fatal(err)
		}
		config := cons.CachedInfo().Config
		if err := w.JS.DeleteConsumer(w.t.Context(), bus.Stream, needs.Service); err != nil {
			w.t.Fatal(err)
		}
		if _, err := w.JS.CreateConsumer(w.t.Context(), bus.Stream, config); err != nil {
			w.t.Fatal(err)
		}
	}
}

// drained waits until every service has settled all that was delivered to it.
func (w *world) drained() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	for _, needs := range stack.Needs() {
		if len(needs.Events) == 0 {
			continue
		}
		for {
			cons, err := w.JS.Consumer(ctx, bus.Stream, needs.Service)
			if err != nil {
				w.t.Fatal(err)
			}
			if info := cons.CachedInfo(); info.NumPending == 0 && info.NumAckPending == 0 {
				break
			}
			select {
			case <-ctx.Done():
				w.t.Fatalf("%s is not through", needs.Service)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
}
