// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/guard"
	"github.com/trunkline/trunkline/pkg/timer"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/call-control/admission"
	"github.com/trunkline/trunkline/services/call-control/policy"
)

const (
	// dueTimer asks whether a dial-out may begin: its time has come.
	dueTimer = "due"
	// turnTimer and agentTurnTimer ask the same for a call that has waited in line, that of all calls or its agent's: its
	// turn has come.
	turnTimer      = "turn"
	agentTurnTimer = "agent_turn"
	// replicaLag is how long a replica may be behind a timer.
	replicaLag = 30 * time.Second
	// perNumber names the rule of how often a number may be dialled.
	perNumber = "per_number"
)

// CallRequested has the call begin when its time has come.
func (c *Control) CallRequested(ctx context.Context, in bus.In[*callv1.CallRequested]) error {
	if err := c.limit(ctx, call.Read(in.Story)); err != nil {
		return err
	}
	return c.begin(ctx, in.Story, admission.NoTurn)
}

// Due asks for the turn of a call whose time has come.
func (c *Control) Due(ctx context.Context, f timer.Fired) error {
	return c.fired(ctx, f, admission.NoTurn)
}

// Turn asks for the turn of a call that has waited in the line of all calls.
func (c *Control) Turn(ctx context.Context, f timer.Fired) error {
	return c.fired(ctx, f, admission.AllTurn)
}

// AgentTurn asks for the turn of a call that has waited in its agent's line.
func (c *Control) AgentTurn(ctx context.Context, f timer.Fired) error {
	return c.fired(ctx, f, admission.AgentTurn)
}

func (c *Control) fired(ctx context.Context, f timer.Fired, turn admission.Turn) error {
	story, err := c.Bus.Story(ctx, f.CallID)
	if err != nil {
		return err
	}
	s := call.Read(story)
	switch next := nextAttempt(s); {
	case s.Ended != nil || next > f.N: // one from before
		return nil
	case (next < f.N || !s.Waiting()) && c.Now().Sub(f.At) < replicaLag:
		// It was set when the call waited for this attempt: the replica has not heard of that yet.
		return bus.RetryAfter(time.Second, nil)
	}
	return c.begin(ctx, story, turn)
}

// begin requests the next attempt of a dial-out that waits for its turn, if its time has come, policy allows it and it
// has a place; or sees to it that this is asked again. Whatever it has taken is taken once: it may be asked twice.
func (c *Control) begin(ctx context.Context, story *bus.Story, turn admission.Turn) error {
	s := call.Read(story)
	due, wanted := dueFrom(s)
	if !wanted {
		return nil
	}
	now, n := c.Now(), nextAttempt(s)
	if !now.Before(s.Requested.GetNotAfter().AsTime()) {
		return c.advance(ctx, story)
	}
	if due.After(now) {
		return c.Timers.Set(ctx, timer.ID{Name: dueTimer, CallID: s.ID, N: n}, due)
	}
	verdict := policy.Decide(c.Policy.Judge(s.Requested.GetTo(), now))
	switch verdict.Decision {
	case policy.Refuse:
		return c.refuse(ctx, story, verdict)
	case policy.Wait:
		return c.putOff(ctx, story, verdict)
	}
	answer, err := c.Admission.Ask(ctx, s.ID, s.Current().Agent, turn)
	if err != nil {
		return err
	}
	if !answer.Admitted {
		name := turnTimer
		if answer.Turn == admission.AgentTurn {
			name = agentTurnTimer
		}
		return c.Timers.Set(ctx, timer.ID{Name: name, CallID: s.ID, N: n}, answer.Again)
	}
	guard.Die("turn.asked")
	free, until, err := c.Admission.Claim(ctx, s.Requested.GetTo(), s.ID, dialNumber(s, nil))
	if err == nil && free {
		// Set before what it guards: an attempt that gets no bot.
		err = c.Timers.Set(ctx, timer.ID{Name: limitTimer, CallID: s.ID}, now.Add(s.AnswerBudget()))
	}
	if err != nil {
		return err
	}
	if !free {
		verdict = policy.Verdict{Rule: perNumber, Decision: policy.Wait, Until: until, Detail: "the number has been called as often as it may be"}
		return c.putOff(ctx, story, verdict)
	}
	guard.Die("turn.claimed")
	begun, err := c.Bus.DecideOn(ctx, story, func(now *bus.Story) (proto.Message, error) {
		s := call.Read(now)
		if _, wanted := dueFrom(s); !wanted || nextAttempt(s) != n {
			return nil, nil
		}
		reason := ""
		if failed := s.Failure(); failed != nil {
			reason = failed.Reason
		}
		return &callv1.AttemptRequested{Attempt: n, Place: callv1.Place_PLACE_NEW_ROOM, Agent: s.Current().Agent, Reason: reason}, nil
	})
	if err != nil || begun != nil {
		return err
	}
	return c.giveBackIfOver(ctx, s.ID)
}

// giveBackIfOver gives back what was taken for a call that has ended meanwhile: what follows from the end may have been
// before.
func (c *Control) giveBackIfOver(ctx context.Context, callID string) error {
	story, err := c.Bus.Story(ctx, callID)
	if err != nil {
		return err
	}
	if s := call.Read(story); s.Ended != nil {
		return c.giveBack(ctx, s)
	}
	return nil // somebody else was at it
}

// giveBack takes from a call that has ended what only a call under way needs. A claim stays where somebody was called.
func (c *Control) giveBack(ctx context.Context, s *call.State) error {
	a := s.Current()
	if called := a.Dial != nil && !nobodyCalled(a) || s.Requested.GetBotDials() && begunByBot(s, a); !called {
		if err := c.Admission.Unclaim(ctx, s.Requested.GetTo(), s.ID, dialNumber(s, nil)); err != nil {
			return err
		}
	}
	return c.Admission.Release(ctx, s.ID)
}

// putOff has a call wait until policy may allow it, without a place, if that is still in its time.
func (c *Control) putOff(ctx context.Context, story *bus.Story, v policy.Verdict) error {
	s := call.Read(story)
	if err := c.Admission.Release(ctx, s.ID); err != nil {
		return err
	}
	if v.Until.IsZero() || v.Until.After(s.Requested.GetNotAfter().AsTime()) {
		return c.refuse(ctx, story, v)
	}
	return c.Timers.Set(ctx, timer.ID{Name: dueTimer, CallID: s.ID, N: nextAttempt(s)}, v.Until)
}

// refuse ends a call that policy does not allow.
func (c *Control) refuse(ctx context.Context, story *bus.Story, v policy.Verdict) error {
	_, err := c.Bus.DecideOn(ctx, story, func(now *bus.Story) (proto.Message, error) {
		s := call.Read(now)
		if s.Ended != nil || s.Dialling() != nil {
			return nil, nil
		}
		return givenUp(s, callv1.Outcome_OUTCOME_REFUSED, NotAllowed, fmt.Sprintf("%s: %s", v.Rule, v.Detail)), nil
	})
	return err
}

// dueFrom is from when on a call's next attempt may begin. It is not wanted where none waits for its turn.
func dueFrom(s *call.State) (at time.Time, wanted bool) {
	if !s.Waiting() {
		return time.Time{}, false
	}
	failed := s.Failure()
	if failed == nil || failed.DialFailed.GetCause() == call.PutOff {
		return s.Requested.GetNotBefore().AsTime(), true
	}
	return RetryAt(s)
}

// nextAttempt is the number of the attempt for which a call waits.
func nextAttempt(s *call.State) uint32 {
	if a := s.Current(); a.AskedAt.IsZero() {
		return a.N
	}
	return s.Current().N + 1
}

// dialNumber counts the dials of a call that called somebody, up to that of an attempt, or to the next one.
func dialNumber(s *call.State, attempt *call.Attempt) uint32 {
	n := uint32(1)
	for _, a := range s.Attempts {
		if attempt != nil && a.N >= attempt.N {
			break
		}
		if a.Dial != nil && !nobodyCalled(a) {
			n++
		}
	}
	return n
}
