// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

var provisioner = bus.Needs{Service: "room-provisioner", Events: []proto.Message{
	&callv1.CallReceived{}, &callv1.AttemptRequested{}, &callv1.CallEnded{},
}}

type world struct {
	*bustest.Server
	ingress, rooms, control *bus.Bus
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Server: bustest.Start(t)}
	js := w.Setup(provisioner)
	log := slog.New(slog.DiscardHandler)
	w.ingress, w.rooms, w.control = bus.New("ingress", js, log, nil), bus.New("room-provisioner", js, log, nil), bus.New("call-control", js, log, nil)
	return w
}

func consume(t *testing.T, b *bus.Bus, handlers ...bus.Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Consume(ctx, handlers...) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func publish(t *testing.T, b *bus.Bus, callID string, m proto.Message) *bus.Event {
	t.Helper()
	e, err := b.Publish(t.Context(), callID, m)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAFactIsWrittenOnce(t *testing.T) {
	w := newWorld(t)
	ctx := bus.WithCause(t.Context(), "webhook")
	first, err := w.ingress.Publish(ctx, "call", &callv1.CallReceived{From: "+14155550123"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.ingress.Publish(ctx, "call", &callv1.CallReceived{From: "+14155550999"})
	if err != nil || again.Seq != first.Seq || again.Data.(*callv1.CallReceived).From != "+14155550123" {
		t.Errorf("the same cause again: %v, %v; want what is stored", again, err)
	}
	_, err = w.ingress.Publish(bus.WithCause(ctx, "another"), "call", &callv1.CallReceived{})
	var taken *bus.TakenError
	if !errors.As(err, &taken) || !errors.Is(err, bus.ErrTaken) || taken.Stored.Seq != first.Seq {
		t.Errorf("another cause: %v, want ErrTaken with the stored event", err)
	}
}

func TestOnlyTheAuthorMayPublish(t *testing.T) {
	w := newWorld(t)
	if _, err := w.rooms.Publish(t.Context(), "call", &callv1.CallReceived{}); err == nil {
		t.Error("room-provisioner published CallReceived")
	}
}

func TestOfManyDecisionsAtOnceOneIsTaken(t *testing.T) {
	w := newWorld(t)
	publish(t, w.ingress, "call", &callv1.CallReceived{})
	var wrote atomic.Int32
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			e, err := w.control.Decide(t.Context(), "call", func(s *bus.Story) (proto.Message, error) {
				if len(s.Events) > 1 {
					return nil, nil
				}
				if i%2 == 0 {
					return &callv1.CallEnded{Reason: fmt.Sprint(i)}, nil
				}
				return &callv1.AttemptRequested{Attempt: uint32(i)}, nil
			})
			if err != nil {
				t.Error(err)
			}
			if e != nil {
				wrote.Add(1)
			}
		})
	}
	group.Wait()
	story, err := w.control.Story(t.Context(), "call")
	if err != nil || len(story.Events) != 2 || wrote.Load() != 1 {
		t.Errorf("%d events, %d written, %v; want one decision", len(story.Events), wrote.Load(), err)
	}
}

func TestWhatAHandlerReturnsDecidesWhatBecomesOfTheEvent(t *testing.T) {
	w := newWorld(t)
	var tries sync.Map
	count := func(id string) int32 {
		n, _ := tries.LoadOrStore(id, new(atomic.Int32))
		return n.(*atomic.Int32).Add(1)
	}
	seen := make(chan string, 100)
	consume(t, w.rooms, bus.On(func(_ context.Context, in bus.In[*callv1.CallReceived]) error {
		n := count(in.CallID)
		defer func() { seen <- fmt.Sprintf("%s %d", in.CallID, n) }()
		switch {
		case in.CallID == "dropped":
			return bus.Drop(errors.New("senseless"))
		case in.CallID == "later" && n == 1:
			return bus.RetryAfter(50*time.Millisecond, nil)
		case in.CallID == "failing" && n < 3:
			return errors.New("not today")
		case in.CallID == "panicking" && n == 1:
			panic("oh")
		}
		return nil
	}))
	for _, id := range []string{"done", "dropped", "later", "failing", "panicking"} {
		publish(t, w.ingress, id, &callv1.CallReceived{})
	}
	want := map[string]bool{"done 1": true, "dropped 1": true, "later 1": true, "later 2": true, "failing 1": true, "failing 2": true, "failing 3": true, "panicking 1": true, "panicking 2": true}
	for len(want) > 0 {
		select {
		case s := <-seen:
			if !want[s] {
				t.Errorf("unexpected: %s", s)
			}
			delete(want, s)
		case <-time.After(10 * time.Second):
			t.Fatalf("still missing: %v", want)
		}
	}
}

func TestTheLookStopsWhatIsDoneOrOver(t *testing.T) {
	w := newWorld(t)
	publish(t, w.ingress, "done", &callv1.CallReceived{})
	publish(t, w.rooms, "done", &callv1.RoomReady{Attempt: 1})
	publish(t, w.ingress, "over", &callv1.CallReceived{})
	publish(t, w.control, "over", &callv1.CallEnded{})
	publish(t, w.ingress, "second", &callv1.CallReceived{})
	publish(t, w.rooms, "second", &callv1.RoomReady{Attempt: 1})
	publish(t, w.control, "second", &callv1.AttemptRequested{Attempt: 2})
	ran := make(chan string, 10)
	consume(t, w.rooms,
		bus.On(func(_ context.Context, in bus.In[*callv1.CallReceived]) error {
			ran <- in.ID()
			return nil
		}, bus.Done(&callv1.RoomReady{}, &callv1.RoomFailed{})),
		bus.On(func(_ context.Context, in bus.In[*callv1.AttemptRequested]) error {
			ran <- in.ID()
			return nil
		}, bus.Done(&callv1.RoomReady{})),
		bus.On(func(_ context.Context, in bus.In[*callv1.CallEnded]) error {
			ran <- in.ID()
			return nil
		}, bus.AfterEnd, bus.Done(&callv1.RoomReleased{})),
	)
	got := map[string]bool{<-ran: true, <-ran: true}
	if !got["over.CallEnded"] || !got["second.AttemptRequested.2"] {
		t.Errorf("ran %v", got)
	}
	publish(t, w.ingress, "last", &callv1.CallReceived{})
	if id := <-ran; id != "last.CallReceived" {
		t.Errorf("ran %s", id)
	}
}

func TestWhatFailsTooOftenIsADeadLetterThatCanBeRedriven(t *testing.T) {
	bus.SetBackoff(t, time.Millisecond)
	w := newWorld(t)
	var broken atomic.Bool
	broken.Store(true)
	handled := make(chan string, 1)
	consume(t, w.rooms, bus.On(func(_ context.Context, in bus.In[*callv1.CallReceived]) error {
		if broken.Load() {
			return errors.New("no such\nroom")
		}
		handled <- in.Data.From
		return nil
	}))
	publish(t, w.ingress, "call", &callv1.CallReceived{From: "+14155550123"})
	var letters []bus.DeadLetter
	for deadline := time.Now().Add(10 * time.Second); len(letters) == 0 && time.Now().Before(deadline); {
		var err error
		if letters, err = bus.ListDeadLetters(t.Context(), w.rooms.JS); err != nil {
			t.Fatal(err)
		}
	}
	if len(letters) != 1 || letters[0].Subject != "calls.call.CallReceived" || letters[0].Error != "no such\nroom" {
		t.Fatalf("dead letters: %+v", letters)
	}
	broken.Store(false)
	if err := bus.Redrive(t.Context(), w.rooms.JS, 99); err == nil || err.Error() != "there is no dead letter 99" {
		t.Errorf("redriven what is not there: %v", err)
	}
	if err := bus.Redrive(t.Context(), w.rooms.JS, letters[0].Seq); err != nil {
		t.Fatal(err)
	}
	select {
	case from := <-handled:
		if from != "+14155550123" {
			t.Errorf("redriven with %q", from)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("not redriven")
	}
	if letters, err := bus.ListDeadLetters(t.Context(), w.rooms.JS); err != nil || len(letters) != 0 {
		t.Errorf("still listed: %v, %v", letters, err)
	}
}

func TestAFollowerSeesEverythingInOrder(t *testing.T) {
	w := newWorld(t)
	for i := range 10 {
		publish(t, w.ingress, fmt.Sprint(i), &callv1.CallReceived{})
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen, caughtUp, done := make(chan string, 20), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- w.control.Follow(ctx, func(e *bus.Event) { seen <- e.CallID }, func() { close(caughtUp) })
	}()
	<-caughtUp
	publish(t, w.ingress, "10", &callv1.CallReceived{})
	for i := range 11 {
		if id := <-seen; id != fmt.Sprint(i) {
			t.Fatalf("saw %s, want %d", id, i)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestANewerVersionsEventHasItsPlaceInTheStory(t *testing.T) {
	w := newWorld(t)
	publish(t, w.ingress, "call", &callv1.CallReceived{})
	if _, err := w.rooms.JS.Publish(t.Context(), "calls.call.SomethingNew.1", []byte("of which we know nothing")); err != nil {
		t.Fatal(err)
	}
	story, err := w.control.Story(t.Context(), "call")
	if err != nil || len(story.Events) != 2 || story.Find("SomethingNew.1") == nil {
		t.Fatalf("%v, %v; want both events", story, err)
	}
	if _, err := w.control.Decide(t.Context(), "call", func(*bus.Story) (proto.Message, error) { return &callv1.CallEnded{}, nil }); err != nil {
		t.Errorf("a decision on such a story: %v", err)
	}
}

func TestOnlyACallThatHasBegunIsKnown(t *testing.T) {
	w := newWorld(t)
	publish(t, w.ingress, "call", &callv1.CallReceived{})
	for id, want := range map[string]bool{"call": true, "another": false} {
		if known, err := w.ingress.Known(t.Context(), id); err != nil || known != want {
			t.Errorf("%s: %v, %v", id, known, err)
		}
	}
}

func TestARefusedDecisionIsAnErrorAndNoLoop(t *testing.T) {
	w := newWorld(t)
	publish(t, w.ingress, "call", &callv1.CallReceived{})
	stream, err := w.control.JS.Stream(t.Context(), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.MaxMsgs, config.Discard = 1, jetstream.DiscardNew
	if _, err := w.control.JS.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if _, err := w.control.Decide(t.Context(), "call", func(*bus.Story) (proto.Message, error) { return &callv1.CallEnded{}, nil }); err == nil {
		t.Error("a full stream took a decision")
	}
}

func TestACallsIDIsTheSameEverywhere(t *testing.T) {
	if id := bus.CallID("domain", "call"); id != bus.CallID("domain", "call") || len(id) != 26 {
		t.Errorf("%q", id)
	}
	if got := bus.Subject("c", &callv1.LegConnected{SessionId: "not a token.>"}); got == "calls.c.LegConnected.not a token.>" {
		t.Error("a session id broke out of its token")
	}
}
