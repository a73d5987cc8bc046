// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
)

// callsKept is how many calls a service remembers.
const callsKept = 1000

// newCache makes room for something about as many calls. The one used longest ago goes first.
func newCache[T any]() *lru.Cache[string, T] {
	c, _ := lru.New[string, T](callsKept) // it fails for a size below 1
	return c
}

// stories remembers what was last read of calls. Events do not change and are stored in order, so the next read needs
// only what came later, and a replica that lags behind takes nothing back. What a broker may have lost is forgotten: on
// a new connection, and when a condition did not hold.
type stories struct {
	mu         sync.Mutex
	byCall     *lru.Cache[string, *Story]
	connection uint64 // how often there has been a new one
}

func newStories() *stories {
	return &stories{byCall: newCache[*Story]()}
}

// find gives what is remembered of a call, or an empty story.
func (s *stories) find(callID string, connection uint64) *Story {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connection != connection {
		s.byCall.Purge()
		s.connection = connection
	}
	if known, ok := s.byCall.Get(callID); ok {
		return known
	}
	return NewStory(callID, nil)
}

// keep remembers a story that was read over a connection.
func (s *stories) keep(story *Story, connection uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connection != connection {
		return
	}
	if now, ok := s.byCall.Peek(story.CallID); ok && now.last() > story.last() { // read earlier, and late
		return
	}
	s.byCall.Add(story.CallID, story)
}

func (s *stories) forget(callID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byCall.Remove(callID)
}
