// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
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

// CallEnded stops the call's bots, after the time that they have for their last work.
func (s *Scheduler) CallEnded(ctx context.Context, in bus.In[*callv1.CallEnded]) error {
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
		var stop slots.Stop
		agent, err := s.agent(a.Agent)
		lease := agent.Lease
		if err != nil { // no longer configured
			lease = 15 * time.Second
		}
		switch {
		case a.Failed != nil:
			stop.Reason = "given up"
		case a != c.Current():
			stop.Reason = "superseded"
		case c.Failure() != nil && c.Ended == nil:
			stop.Reason, stop.Linger = "the dial has failed", agent.Linger
		case c.Ended != nil:
			stop.Reason, stop.Linger = "the call is over", agent.Linger
		case !c.WantsBot():
			stop.Reason, stop.Linger = "the caller was handed over", agent.Linger
		default:
			continue
		}
		if a.Starting == nil {
			if err := s.removeJob(ctx, taskKey(c.ID, a.N)); err != nil {
				return err
			}
			continue
		}
		found, err := s.Slots.Revoke(ctx, a.Starting.GetSlot(), c.ID, a.N, lease, stop)
		if err != nil {
			return err
		}
		// A replica may not have heard yet of a slot that has just been taken.
		unseen = unseen || !found && time.Since(a.StartingAt) < justTaken
	}
	if unseen {
		return bus.RetryAfter(lookAgain, nil)
	}
	return nil
}
