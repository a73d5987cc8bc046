// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"encoding/json"
	"time"

	"github.com/trunkline/trunkline/pkg/app"
)

// drain waits for our bots when the process is told to stop, for where they end with it, so would their calls; or when it
// is told to drain. Meanwhile all goes on but the start of bots: calls that arrive wait in line for another process, or
// for the next one. Nobody is kept warm for them any more.
func (s *Scheduler) drain(told, working context.Context, env *app.Env, cool func()) {
	select {
	case <-told.Done():
	case <-env.Drain.Asked():
		cool()
		patient, impatient := context.WithCancel(working)
		stop := context.AfterFunc(told, impatient)
		s.finish(patient, env.Ready, env.Drain.Within())
		stop()
		impatient()
		if told.Err() == nil {
			return
		}
	case <-working.Done(): // something has failed
		return
	}
	cool()
	s.finish(working, env.Ready, s.patience)
}

// finish waits until our last bot has gone, or the time is over.
func (s *Scheduler) finish(ctx context.Context, ready *app.Readiness, within time.Duration) {
	if within == 0 {
		return
	}
	ready.No("draining")
	s.Log.Info("takes no new calls, and waits for its bots", "at most", within)
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	s.shut() // those who are on their way in come first
	s.handBack(ctx)
	for _, b := range s.backends {
		b.Wait(ctx)
	}
}

// handBack leaves the calls that wait here to others at once. Whoever has changed a task meanwhile has struck it out.
func (s *Scheduler) handBack(ctx context.Context) {
	for _, t := range s.ledger.waiting(s.instance) {
		e, err := s.jobs.Get(ctx, t.key())
		if err != nil {
			continue // they take it on when they have waited for us
		}
		t.Owner, t.Taken = "", time.Time{}
		data, err := json.Marshal(t)
		if err == nil {
			_, err = s.jobs.Update(ctx, t.key(), data, e.Revision())
		}
		if err != nil {
			s.Log.Debug("hand a task back", "call_id", t.CallID, "attempt", t.Attempt, "err", err)
		}
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
