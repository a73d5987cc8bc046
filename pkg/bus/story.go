// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
)

// Story is what has happened to a call, in the order in which it was stored.
type Story struct {
	CallID string
	Events []*Event

	byKey map[string]*Event
}

// NewStory makes a story of a call's events.
func NewStory(callID string, events []*Event) *Story {
	slices.SortFunc(events, func(a, b *Event) int { return int(int64(a.Seq) - int64(b.Seq)) })
	s := &Story{CallID: callID, Events: events, byKey: make(map[string]*Event, len(events))}
	for _, e := range events {
		s.byKey[e.Key()] = e
	}
	return s
}

// With is the story with one more event, which was stored after all of it.
func (s *Story) With(e *Event) *Story { return NewStory(s.CallID, append(slices.Clone(s.Events), e)) }

// Find gives the event with a key such as RoomReady.1, or nil.
func (s *Story) Find(key string) *Event { return s.byKey[key] }

// holds reports whether an event is in the story, if it is of the same call.
func (s *Story) holds(e *Event) bool {
	return e == nil || e.CallID != s.CallID || s.byKey[e.Key()] != nil
}

// Has reports whether an event with m's name and suffix is in the story.
func (s *Story) Has(m proto.Message) bool { return s.byKey[Key(m)] != nil }

// Ended reports whether the call is over.
func (s *Story) Ended() bool { return s.byKey["CallEnded"] != nil }

// Began is the time of the first event, or zero for an empty story.
func (s *Story) Began() time.Time {
	if len(s.Events) == 0 {
		return time.Time{}
	}
	return s.Events[0].Time
}

// last is the stream sequence that a decision on this story is conditional on.
func (s *Story) last() uint64 {
	if len(s.Events) == 0 {
		return 0
	}
	return s.Events[len(s.Events)-1].Seq
}
