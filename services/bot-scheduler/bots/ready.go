// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/guard"
	"github.com/trunkline/trunkline/pkg/timer"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// deadlineTimer asks whether an attempt's bot has shown itself ready in time.
const deadlineTimer = "deadline"

// askGrace is how long a bot may take to ask for the caller after Daily has reported the room ready for him.
const askGrace = 2 * time.Second

// What can be wrong with a bot's wish.
var (
	errUnknownCall = errors.New("there is no such call")
	errEnded       = errors.New("the call is over")
	errSuperseded  = errors.New("another attempt has taken the bot's place")
)

// ready decides that the attempt's bot is ready, unless that has been decided. Once it has been given up it is not.
func (s *Scheduler) ready(ctx context.Context, callID string, attempt uint32, sign callv1.Sign, session string) error {
	guard.Die("bot.joined")
	_, err := s.Bus.Decide(ctx, callID, func(story *bus.Story) (proto.Message, error) {
		c := call.Read(story)
		if err := valid(c, attempt); err != nil {
			return nil, err
		}
		if c.Attempt(attempt).Ready != nil {
			return nil, nil
		}
		return &callv1.BotReady{Attempt: attempt, Sign: sign, Session: session}, nil
	})
	return err
}

// valid reports why a bot has no say in its call, or nil.
func valid(c *call.State, attempt uint32) error {
	a := c.Attempt(attempt)
	switch {
	case !c.Begun() || a == nil:
		return errUnknownCall
	case c.Ended != nil:
		return errEnded
	case a != c.Current() || a.Over():
		return errSuperseded
	}
	return nil
}

// Deadline gives the attempt's bot up if it has not shown itself ready.
func (s *Scheduler) Deadline(ctx context.Context, f timer.Fired) error {
	story, err := s.Bus.Story(ctx, f.CallID)
	if err != nil {
		return err
	}
	if c := call.Read(story); readyByJoining(c, c.Attempt(f.N)) {
		return s.deadlineInCall(ctx, f, c.Attempt(f.N))
	}
	again := time.Duration(0)
	_, err = s.Bus.DecideOn(ctx, story, func(story *bus.Story) (proto.Message, error) {
		again = 0
		c := call.Read(story)
		a := c.Attempt(f.N)
		if valid(c, f.N) != nil || a.Starting == nil || a.Over() {
			return nil, nil
		}
		if a.Forward != nil || c.CallerIn() {
			return nil, nil
		}
		agent, err := s.agent(a.Agent)
		if err != nil {
			return nil, err
		}
		if left := time.Until(a.StartingAt.Add(2 * agent.ReadyTimeout)); a.Ready != nil && left > 0 {
			again = left // it has claimed the call, and may take as long again to ask for the caller
			return nil, nil
		}
		return &callv1.BotFailed{Attempt: f.N, Reason: "not ready in time"}, nil
	})
	if err != nil || again == 0 {
		return err
	}
	return s.Timers.Set(ctx, f.ID, time.Now().Add(again))
}

// DialinReady forwards the caller for a bot that is alive and does not ask for him.
func (s *Scheduler) DialinReady(ctx context.Context, in bus.In[*callv1.DialinReady]) error {
	c := call.Read(in.Story)
	a := c.Attempt(in.Data.GetAttempt())
	if c.Received == nil || valid(c, in.Data.GetAttempt()) != nil || !a.BotLives() || a.Left || c.CallerIn() {
		return nil
	}
	if wait := time.Until(in.Time.Add(askGrace)); wait > 0 {
		return bus.RetryAfter(wait, nil)
	}
	if err := s.ready(ctx, in.CallID, a.N, callv1.Sign_SIGN_DIALIN_READY, ""); err != nil {
		return ifNotOver(err)
	}
	return ifNotOver(s.forward(ctx, in.CallID, a.N, false))
}

// ifNotOver takes as done what came too late to be.
func ifNotOver(err error) error {
	if errors.Is(err, errEnded) || errors.Is(err, errSuperseded) || errors.Is(err, errUnknownCall) || errors.Is(err, errGone) || errors.Is(err, errRefused) || errors.Is(err, errInDoubt) {
		return nil
	}
	return err
}
