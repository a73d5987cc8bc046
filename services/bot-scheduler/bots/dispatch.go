// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/bot-scheduler/slots"
)

const (
	// courtesy is how long a process leaves a task to the one that took it on, before it looks after it.
	courtesy = 2 * time.Second
	// lookAgain is how often tasks are looked at although nothing was heard of them.
	lookAgain = time.Second
	// forgotten is the age of a call of which nothing is on the record any more.
	forgotten = 24 * time.Hour
	// atOnce bounds the tasks that one process works on at the same time.
	atOnce = 64
)

// RoomReady writes down that the attempt is owed a bot. From here on it waits in line, whatever becomes of this process.
// Into a person's room the caller is forwarded at once.
func (s *Scheduler) RoomReady(ctx context.Context, in bus.In[*callv1.RoomReady]) error {
	c := call.Read(in.Story)
	if a := c.Attempt(in.Data.GetAttempt()); forPerson(a) {
		if a.Forward != nil { // its timer asks what has become of it
			return nil
		}
		return ifNotOver(s.forward(ctx, in.CallID, a.N, false))
	}
	arrived := in.Story.Began()
	if c.Requested != nil { // perhaps days ago: who holds goes before those who are to be called later
		arrived = in.Time
	}
	owner, taken := s.owner()
	return s.addJob(ctx, task{
		CallID: in.CallID, Attempt: in.Data.GetAttempt(), Agent: in.Data.GetAgent(),
		Arrived: arrived, Owner: owner, Taken: taken, Trace: bus.TraceOf(ctx),
	})
}

// dispatch gives slots to tasks in the order of their calls' arrival, and closes tasks whose bots are gone.
func (s *Scheduler) dispatch(ctx context.Context) error {
	for _, known := range []chan struct{}{s.ledger.tasksKnown, s.ledger.slotsKnown} { // who is first is told by the whole line
		select {
		case <-ctx.Done():
			return nil
		case <-known:
		}
	}
	var group errgroup.Group
	group.SetLimit(atOnce)
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return group.Wait()
		case <-s.ledger.changed:
		case <-tick.C:
		}
		// Agents whose line stands, for want of a slot or of knowing: nobody may overtake the first who waits.
		stands := map[string]bool{}
		for _, entry := range s.ledger.due(s.instance, courtesy) {
			switch step := s.ledger.begin(entry, stands[entry.Agent]); step {
			case toSettle, toSettleAgain:
				stands[entry.Agent] = stands[entry.Agent] || step == toSettle
				group.Go(func() error {
					waits, err := s.settle(bus.WithTrace(ctx, entry.Trace), entry.task)
					s.ledger.end(entry, waits, err)
					return s.told(entry.task, "settle", err)
				})
			case unknown:
				stands[entry.Agent] = true
			case toStart:
				slot, open := "", s.door.TryRLock()
				if open {
					slot = s.reserveSlot(entry.task)
				}
				if slot == "" {
					if open {
						s.door.RUnlock()
					}
					stands[entry.Agent] = true
					s.ledger.leaveInLine(entry)
					continue
				}
				group.Go(func() error {
					defer s.door.RUnlock()
					waits, err := s.start(bus.WithTrace(ctx, entry.Trace), entry.task, slot)
					s.ledger.end(entry, waits, err)
					return s.told(entry.task, "start a bot", err)
				})
			}
		}
	}
}

// told logs what went wrong with a task. The task is not lost: it is looked at again.
func (s *Scheduler) told(t task, doing string, err error) error {
	if err != nil {
		s.Log.Warn(doing, "call_id", t.CallID, "attempt", t.Attempt, "err", err)
	}
	return nil
}

// settle finds out what an idle task is idle for: it waits for a slot, or it is over, and then it is struck out.
func (s *Scheduler) settle(ctx context.Context, t task) (waits bool, err error) {
	story, err := s.Bus.Story(ctx, t.CallID)
	if err != nil {
		return false, err
	}
	c := call.Read(story)
	a := c.Attempt(t.Attempt)
	switch {
	case a == nil && time.Since(t.Arrived) < forgotten: // but its room was ready when the task was written down
		return false, errors.New("a replica lags behind: it does not know of the attempt")
	case a == nil || a.Exited != nil:
		return false, s.removeJob(ctx, t.key())
	case a.Starting != nil:
		return false, s.settleLost(ctx, t, a.Starting.GetSlot())
	case startable(c, t.Attempt):
		return true, nil
	default:
		return false, s.removeJob(ctx, t.key())
	}
}

// startable reports whether the attempt may still have a bot started for it.
func startable(c *call.State, attempt uint32) bool {
	a := c.Attempt(attempt)
	return c.Ended == nil && c.Failure() == nil && a != nil && a == c.Current() && a.Starting == nil && !a.Over() && c.WantsBot()
}

// forPerson reports whether the attempt's room is one without a bot.
func forPerson(a *call.Attempt) bool { return a != nil && a.Place == callv1.Place_PLACE_PERSON }

// settleLost closes a task whose bot was started, or was to be, and whose slot looks free. That it is free is proved by
// taking it: then nobody renews the lease, and whoever cannot renew it has stopped the bot.
func (s *Scheduler) settleLost(ctx context.Context, t task, slot string) error {
	mine := slots.Holder{CallID: t.CallID, Attempt: t.Attempt}
	lease, err := s.Slots.Take(ctx, slot, mine, firstLease)
	if errors.Is(err, slots.ErrTaken) {
		ours, err := s.holds(ctx, slot, mine)
		if err != nil {
			return err
		}
		if ours {
			s.ledger.seat(slot, t.key()) // the bot lives; we had not heard of it yet
			return nil
		}
	} else if err != nil {
		return err
	}
	_, err = s.Bus.Publish(bus.WithCause(ctx, "lease"), t.CallID, &callv1.BotExited{Attempt: t.Attempt, Status: -1, Reason: "the lease of its slot has run out"})
	if err != nil && !errors.Is(err, bus.ErrTaken) {
		return err
	}
	if lease != nil {
		if err := s.Slots.Release(ctx, lease); err != nil && !errors.Is(err, slots.ErrLost) {
			return err
		}
	}
	return s.removeJob(ctx, t.key())
}

// holds looks whose a slot is that is somebody's. A replica that lags behind may not have heard of the last one to take
// it: that it is not ours, it has to say twice.
func (s *Scheduler) holds(ctx context.Context, slot string, holder slots.Holder) (bool, error) {
	for first := true; ; first = false {
		now, err := s.Slots.Look(ctx, slot)
		switch {
		case err != nil:
			return false, err
		case now == nil:
			return false, fmt.Errorf("slot %s is taken, and nobody is seen to hold it", slot)
		case now.Holder.Same(holder):
			return true, nil
		case !first:
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(lookAgain):
		}
	}
}
