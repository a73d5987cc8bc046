// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"time"

	"github.com/trunkline/trunkline/pkg/app"
)

// drain waits for our bots when the process is told to stop, for where they end with it, so would their calls. Meanwhile
// all goes on but the start of bots: calls that arrive wait in line for another process, or for the next one.
func (s *Scheduler) drain(told, working context.Context, ready *app.Readiness) {
	select {
	case <-told.Done():
	case <-working.Done(): // something has failed
		return
	}
	if s.patience == 0 {
		return
	}
	ready.No("draining")
	s.Log.Info("takes no new calls, and waits for its bots", "at most", s.patience)
	ctx, cancel := context.WithTimeout(working, s.patience)
	defer cancel()
	s.door.Lock() // for good; those who are on their way in come first
	for _, b := range s.backends {
		b.Wait(ctx)
	}
}

// draining reports whether bots are no longer started here.
func (s *Scheduler) draining() bool {
	if s.door.TryRLock() {
		s.door.RUnlock()
		return false
	}
	return true
}

// owner says whose a new task is: ours, or nobody's, so that whoever can takes it on at once.
func (s *Scheduler) owner() (instance string, taken time.Time) {
	if s.draining() {
		return "", time.Time{}
	}
	return s.instance, time.Now()
}
