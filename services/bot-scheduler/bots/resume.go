// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/pkg/timer"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// readyByJoining reports whether the attempt's bot is ready once it is in its room: it has nobody to ask for, because the
// caller is there already, or is yet to be dialled.
func readyByJoining(c *call.State, a *call.Attempt) bool {
	return a != nil && (a.Room.GetResumed() || c.Requested != nil)
}

// ParticipantJoined is how a bot shows itself ready that need not ask for its caller. One that is no longer wanted is put
// out again.
func (s *Scheduler) ParticipantJoined(ctx context.Context, in bus.In[*callv1.ParticipantJoined]) error {
	callID, attempt, bot := call.ParseBot(in.Data.GetUserId())
	if !bot || callID != in.CallID {
		return nil
	}
	c := call.Read(in.Story)
	switch a := c.Attempt(attempt); {
	case a == nil || a.Room == nil || before(in, &callv1.BotExited{Attempt: attempt}):
		return nil
	case a.Failed != nil || a.Exited != nil || a != c.Current():
		if err := s.eject(ctx, c.ID, a); err != nil && time.Since(in.Time) < justTaken {
			return bus.RetryAfter(lookAgain, err)
		} else if err != nil { // it is stopped, or looked in on, all the same
			return bus.Drop(err)
		}
		return nil
	case !readyByJoining(c, a):
		return nil
	}
	return ifNotOver(s.ready(ctx, callID, attempt, callv1.Sign_SIGN_JOINED, in.Data.GetSessionId()))
}

// before reports whether an event was stored before another of its call's that is there, too.
func before[T proto.Message](in bus.In[T], other proto.Message) bool {
	e := in.Story.Find(bus.Key(other))
	return e != nil && in.Seq < e.Seq
}

// deadlineInCall gives a bot up that was to join, and has not. Daily's word that it has joined may
// be late, lost or not to be had at all: presence is asked before a bot is stopped that may be talking.
func (s *Scheduler) deadlineInCall(ctx context.Context, f timer.Fired, a *call.Attempt) error {
	if a.Starting == nil || a.Ready != nil || a.Over() {
		return nil
	}
	present, err := s.Daily.RoomPresence(ctx, a.Room.GetRoom())
	if err != nil && !errors.Is(err, daily.ErrNotFound) {
		return fmt.Errorf("look for the bot: %w", err)
	}
	for _, who := range present {
		if who.UserID == call.BotID(f.CallID, f.N) {
			return ifNotOver(s.ready(ctx, f.CallID, f.N, callv1.Sign_SIGN_JOINED, who.ID))
		}
	}
	agent, err := s.agent(a.Agent)
	if err != nil {
		return err
	}
	// Presence lags. Where nothing else tells, it is given the time.
	if left := time.Until(a.StartingAt.Add(agent.ReadyTimeout + s.Config.Daily.PresenceSettle/2)); s.Config.PublicURL == "" && left > 0 {
		return s.Timers.Set(ctx, f.ID, time.Now().Add(left))
	}
	return s.giveUp(ctx, f.CallID, f.N, "not ready in time", func(now *call.Attempt) bool { return now.Ready == nil })
}

// giveUp decides that the attempt's bot is lost, if that is still so when it is written down.
func (s *Scheduler) giveUp(ctx context.Context, callID string, attempt uint32, reason string, still func(*call.Attempt) bool) error {
	_, err := s.Bus.Decide(ctx, callID, func(story *bus.Story) (proto.Message, error) {
		c := call.Read(story)
		if valid(c, attempt) != nil || !still(c.Attempt(attempt)) {
			return nil, nil
		}
		return &callv1.BotFailed{Attempt: attempt, Reason: reason}, nil
	})
	return err
}
