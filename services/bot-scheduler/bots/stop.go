// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"fmt"
	"time"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/bot-scheduler/slots"
)

// justTaken is for how long a slot is looked for again that is not seen to be taken.
const justTaken = 10 * time.Second

// BotFailed stops the bot that was given up.
func (s *Scheduler) BotFailed(ctx context.Context, in bus.In[*callv1.BotFailed]) error {
	return s.clearUp(ctx, call.Read(in.Story))
}

// AttemptRequested stops the bots of the attempts before.
func (s *Scheduler) AttemptRequested(ctx context.Context, in bus.In[*callv1.AttemptRequested]) error {
	return s.clearUp(ctx, call.Read(in.Story))
}

// DialFailed stops the bots that have nobody to talk to.
func (s *Scheduler) DialFailed(ctx context.Context, in bus.In[*callv1.DialFailed]) error {
	return s.clearUp(ctx, call.Read(in.Story))
}

// CallEnded stops the call's bots, after the time that they have for their last work. What they have told of the
// conversation is deleted.
func (s *Scheduler) CallEnded(ctx context.Context, in bus.In[*callv1.CallEnded]) error {
	if err := s.dropContext(ctx, in.CallID); err != nil {
		return err
	}
	return s.clearUp(ctx, call.Read(in.Story))
}

// TransferCompleted stops the bot of a caller who was handed over to be without one.
func (s *Scheduler) TransferCompleted(ctx context.Context, in bus.In[*callv1.TransferCompleted]) error {
	return s.clearUp(ctx, call.Read(in.Story))
}

// clearUp has every bot of the call stopped that is no longer wanted, and strikes out the tasks that wait in vain.
func (s *Scheduler) clearUp(ctx context.Context, c *call.State) error {
	unseen := false
	for _, a := range c.Attempts {
		if a.Exited != nil || a.Room == nil || forPerson(a) {
			continue
		}
		stop := s.unwanted(c, a)
		if stop == nil {
			continue
		}
		if a.Starting == nil {
			if err := s.removeJob(ctx, taskKey(c.ID, a.N)); err != nil {
				return err
			}
			continue
		}
		seen, err := s.stop(ctx, c, a, *stop)
		if err != nil {
			return err
		}
		unseen = unseen || !seen
		if stop.Linger == 0 && c.Ended == nil {
			if err := s.expel(ctx, c, a); err != nil { // Daily is away; meanwhile it is killed, or looked in on
				s.Log.Warn("put a bot out", "call_id", c.ID, "attempt", a.N, "err", err)
				unseen = true
			}
		}
	}
	if unseen {
		return bus.RetryAfter(lookAgain, nil)
	}
	return nil
}

// stop has the attempt's bot stopped by whoever keeps it, or looks in on it. It is seen unless a replica may not have
// heard yet of a slot that has just been taken.
func (s *Scheduler) stop(ctx context.Context, c *call.State, a *call.Attempt, stop slots.Stop) (seen bool, err error) {
	if elsewhere(a) {
		return true, s.lookIn(ctx, c.ID, a.N, stop.Linger)
	}
	agent, err := s.agent(a.Agent)
	lease := agent.Lease
	if err != nil { // no longer configured
		lease = 15 * time.Second
	}
	found, err := s.Slots.Revoke(ctx, a.Starting.GetSlot(), c.ID, a.N, lease, stop)
	return found || time.Since(a.StartingAt) >= justTaken, err
}

// unwanted says how the attempt's bot is to be stopped, or nil while it is wanted.
func (s *Scheduler) unwanted(c *call.State, a *call.Attempt) *slots.Stop {
	linger := s.Config.Agents[a.Agent].Linger // none, if it is no longer configured
	switch {
	case a.Failed != nil:
		return &slots.Stop{Reason: "given up"}
	case a != c.Current():
		return &slots.Stop{Reason: "superseded"}
	case c.Failure() != nil && c.Ended == nil:
		return &slots.Stop{Reason: "the dial has failed", Linger: linger}
	case c.Ended != nil:
		return &slots.Stop{Reason: "the call is over", Linger: linger}
	case !c.WantsBot():
		return &slots.Stop{Reason: "the caller was handed over", Linger: linger}
	}
	return nil
}

// expel puts the attempt's bot out of its room, for good. A process without its caller in the room is only stopped.
func (s *Scheduler) expel(ctx context.Context, c *call.State, a *call.Attempt) error {
	if !c.CallerIn() && !elsewhere(a) {
		return nil
	}
	return s.eject(ctx, c.ID, a)
}

func (s *Scheduler) eject(ctx context.Context, callID string, a *call.Attempt) error {
	if _, err := s.Daily.Eject(ctx, a.Room.GetRoom(), nil, []string{call.BotID(callID, a.N)}, true); err != nil {
		return fmt.Errorf("put the bot out of its room: %w", err)
	}
	return nil
}
