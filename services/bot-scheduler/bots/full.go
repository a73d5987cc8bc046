// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// full remembers which agents' places have said that they have no capacity. Their lines stand: until one start has been
// taken, one call at a time tries, after pauses that grow.
type full struct {
	mu sync.Mutex
	by map[string]*pausing
}

type pausing struct {
	pauses *backoff.ExponentialBackOff
	until  time.Time
	trying bool
}

const (
	longestPause = 5 * time.Second
	// maxTry is for how long others wait for one that tries, should nothing be heard of it.
	maxTry = 15 * time.Second
)

func newFull() *full { return &full{by: map[string]*pausing{}} }

// heard takes note of whether there was capacity.
func (f *full) heard(agent string, some bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if some {
		delete(f.by, agent)
		return
	}
	p := f.by[agent]
	if p == nil {
		p = &pausing{pauses: backoff.NewExponentialBackOff()}
		p.pauses.MaxInterval = longestPause
		f.by[agent] = p
	}
	if !time.Now().Before(p.until) || p.trying { // who asked at the same time says nothing new
		p.until, p.trying = time.Now().Add(p.pauses.NextBackOff()), false
	}
}

// another lets another call try, for of this one nothing has been learnt.
func (f *full) another(agent string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.by[agent]; p != nil && p.trying {
		p.until, p.trying = time.Now(), false
	}
}

// stands reports whether the agent's line does.
func (f *full) stands(agent string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.by[agent]
	return p != nil && time.Now().Before(p.until)
}

// tries takes note that a call is about to try. The others wait for what comes of it.
func (f *full) tries(agent string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.by[agent]; p != nil {
		p.until, p.trying = time.Now().Add(maxTry), true
	}
}
