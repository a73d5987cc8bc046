// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// keys reads a call's story.
func keys(t *testing.T, b *bus.Bus, callID string) (keys []string) {
	t.Helper()
	story, err := b.Story(t.Context(), callID)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range story.Events {
		keys = append(keys, e.Key())
	}
	return keys
}

func TestAStoryThatWasReadBeforeHasWhatCameSince(t *testing.T) {
	w := newWorld(t)
	id, other := bus.CallID("one"), bus.CallID("other")
	publish(t, w.ingress, id, &callv1.CallReceived{})
	for range 2 {
		if got := keys(t, w.control, id); len(got) != 1 || got[0] != "CallReceived" {
			t.Fatalf("the story is %v", got)
		}
	}
	publish(t, w.ingress, other, &callv1.CallReceived{})
	publish(t, w.rooms, id, &callv1.RoomReady{Attempt: 1})
	if got := keys(t, w.control, id); len(got) != 2 || got[1] != "RoomReady.1" {
		t.Fatalf("the story is %v", got)
	}
	if known, err := w.ingress.Known(t.Context(), id); !known || err != nil {
		t.Fatal(known, err)
	}
	if got := keys(t, w.ingress, id); len(got) != 2 { // whoever only knows of a call reads the rest of it
		t.Fatalf("the story is %v", got)
	}
	if known, err := w.ingress.Known(t.Context(), bus.CallID("none")); known || err != nil {
		t.Fatal(known, err)
	}
}

func TestWhatTheBrokerHasLostIsNotRemembered(t *testing.T) {
	for name, since := range map[string]int{"nothing since": 0, "as much since": 3} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := bus.CallID("lost")
			publish(t, w.ingress, id, &callv1.CallReceived{})
			publish(t, w.rooms, id, &callv1.RoomReady{Attempt: 1})
			keys(t, w.control, id)
			// As after a loss of power: the stream is as it was before, and sequences are given out again.
			stream, err := w.control.JS.Stream(t.Context(), bus.Stream)
			if err != nil {
				t.Fatal(err)
			}
			config := stream.CachedInfo().Config
			if err := w.control.JS.DeleteStream(t.Context(), bus.Stream); err != nil {
				t.Fatal(err)
			}
			if _, err := w.control.JS.CreateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			for i := range since {
				publish(t, w.ingress, bus.CallID(name, string(rune('a'+i))), &callv1.CallReceived{})
			}
			asked := 0
			e, err := w.control.Decide(t.Context(), id, func(s *bus.Story) (proto.Message, error) {
				asked++
				return &callv1.AttemptRequested{Attempt: 2}, nil
			})
			if err != nil || e == nil || asked > 2 {
				t.Fatalf("asked %d times: %v, %v", asked, e, err)
			}
			if got := keys(t, w.control, id); len(got) != 1 || got[0] != "AttemptRequested.2" {
				t.Fatalf("the story is %v", got)
			}
		})
	}
}
