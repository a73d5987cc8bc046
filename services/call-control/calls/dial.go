// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/pkg/guard"
	"github.com/trunkline/trunkline/pkg/timer"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/call-control/admission"
	"github.com/trunkline/trunkline/services/call-control/policy"
)

const (
	// dialTimer asks what has become of a dial.
	dialTimer = "dial"
	// refusedFor is how long a dial that Daily clearly did not act on is repeated.
	refusedFor = 20 * time.Second
	// dialWithin is how long all of that may take: less than a dial may be in doubt.
	dialWithin = 40 * time.Second
)

// BotReady dials, once there is somebody for the callee to talk to.
func (c *Control) BotReady(ctx context.Context, in bus.In[*callv1.BotReady]) error {
	if a := toDial(call.Read(in.Story)); a != nil && a.N == in.Data.GetAttempt() {
		if err := c.dial(ctx, in.Story, a); err != nil {
			return err
		}
	}
	return c.advance(ctx, in.Story)
}

// toDial is the attempt that is to be dialled now, or nil.
func toDial(s *call.State) *call.Attempt {
	a := s.Current()
	if s.Requested == nil || s.Requested.GetBotDials() || s.Ended != nil || endAsked(s) ||
		a.Place != callv1.Place_PLACE_NEW_ROOM || a.Ready == nil || a.Over() || a.Dial != nil {
		return nil
	}
	return a
}

// dial has Daily call the person, once for each attempt. It is written down before: from then on nothing but a clear word
// of Daily's makes it certain that nobody was called, and nobody is called for the attempt again.
func (c *Control) dial(ctx context.Context, story *bus.Story, a *call.Attempt) error {
	s := call.Read(story)
	if permitted, err := c.permitted(ctx, story, s, a); err != nil || !permitted {
		return err
	}
	guard.Die("dial.permitted")
	// Set before what it guards.
	id := timer.ID{Name: dialTimer, CallID: s.ID, N: a.N}
	if err := c.Timers.Set(ctx, id, c.Now().Add(s.Requested.GetRingTimeout().AsDuration())); err != nil {
		return err
	}
	guard.Die("dial.guarded")
	intent, err := c.intend(ctx, story, a)
	if err != nil {
		return err
	}
	if intent == nil {
		return c.giveBackIfOver(ctx, s.ID)
	}
	guard.Die("dial.intended")
	// From here on it goes its way, whoever is told to stop.
	ctx = bus.WithCause(context.WithoutCancel(ctx), intent.ID())
	session, err := c.startDial(ctx, s, a)
	switch {
	case err == nil:
	case daily.Doubtful(err):
		c.Log.Warn("the dial is in doubt", "call_id", s.ID, "attempt", a.N, "err", err)
		return nil
	case errors.Is(err, daily.ErrNotFound), daily.Retryable(err): // the room is empty, or Daily is busy
		return c.fail(ctx, s.ID, dialFailed(a, NotDialled, err.Error()))
	default:
		return c.fail(ctx, s.ID, dialFailed(a, c.Rules.Cause(err.Error()), err.Error()))
	}
	guard.Die("dial.dialled")
	if _, err := c.Bus.Publish(ctx, s.ID, &callv1.DialStarted{Attempt: a.N, SessionId: session}); err != nil {
		return err
	}
	guard.Die("dial.recorded")
	if err := c.Timers.Set(ctx, id, c.Now().Add(s.Requested.GetRingTimeout().AsDuration())); err != nil {
		return err
	}
	return c.hangUpIfOver(ctx, s.ID)
}

// permitted asks policy once more and takes what a dial takes, or sees to what follows where it may not be.
func (c *Control) permitted(ctx context.Context, story *bus.Story, s *call.State, a *call.Attempt) (bool, error) {
	verdict := policy.Decide(c.Policy.Judge(s.Requested.GetTo(), c.Now()))
	switch verdict.Decision {
	case policy.Refuse:
		return false, c.refuse(ctx, story, verdict)
	case policy.Wait:
		return false, c.fail(ctx, s.ID, dialFailed(a, PutOff, verdict.Rule+": "+verdict.Detail))
	}
	wait, err := c.Pace.Try(ctx, daily.ClassDial)
	if err != nil {
		return false, err
	}
	if wait > 0 {
		return false, bus.RetryAfter(wait, nil)
	}
	free, until, err := c.Admission.Claim(ctx, s.Requested.GetTo(), s.ID, dialNumber(s, a))
	if err != nil || free {
		return free, err
	}
	return false, c.fail(ctx, s.ID, dialFailed(a, PutOff, perNumber+": until "+until.Format(time.RFC3339)))
}

// hangUpIfOver hangs up on who was dialled for a call that has ended meanwhile: what follows from the end may not have
// known whom to stop.
func (c *Control) hangUpIfOver(ctx context.Context, callID string) error {
	story, err := c.Bus.Story(ctx, callID)
	if err != nil {
		return err
	}
	if s := call.Read(story); s.Ended != nil {
		return c.hangUpAll(ctx, s)
	}
	return nil
}

// intend writes down that the person is about to be called, unless that is not wanted any more.
func (c *Control) intend(ctx context.Context, story *bus.Story, a *call.Attempt) (*bus.Event, error) {
	intent := &callv1.DialStarting{Attempt: a.N, Room: a.Room.GetRoom()}
	if guard.Broken(guard.Intent) {
		return &bus.Event{CallID: story.CallID, Data: intent}, nil
	}
	return c.Bus.DecideOn(ctx, story, func(now *bus.Story) (proto.Message, error) {
		if to := toDial(call.Read(now)); to == nil || to.N != a.N {
			return nil, nil
		}
		return intent, nil
	})
}

// startDial asks Daily, and again only as long as Daily has clearly called nobody.
func (c *Control) startDial(ctx context.Context, s *call.State, a *call.Attempt) (session string, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	permit := func(ctx context.Context) error { return c.Pace.Take(ctx, daily.ClassDial) }
	return daily.Insist(ctx, refusedFor, permit, func(ctx context.Context) (string, error) {
		return c.Dialler.StartDialOut(ctx, a.Room.GetRoom(), daily.DialOut{
			PhoneNumber: s.Requested.GetTo(), CallerID: s.Requested.GetCallerId(), DisplayName: s.Requested.GetTo(),
		})
	})
}

// fail writes down that a dial came to nothing, unless the person has been reached meanwhile.
func (c *Control) fail(ctx context.Context, callID string, failed *callv1.DialFailed) error {
	_, err := c.Bus.Decide(ctx, callID, func(story *bus.Story) (proto.Message, error) {
		s := call.Read(story)
		if a := s.Attempt(failed.GetAttempt()); s.Ended != nil || s.Reached() != nil || a == nil || a.DialFailed != nil {
			return nil, nil
		}
		return failed, nil
	})
	return err
}

// DialDoubt asks what has become of a dial: one that still rings is stopped when it has rung for long enough, and one of
// which nothing is known is given up in the end.
func (c *Control) DialDoubt(ctx context.Context, f timer.Fired) error {
	story, err := c.Bus.Story(ctx, f.CallID)
	if err != nil {
		return err
	}
	s := call.Read(story)
	a := s.Attempt(f.N)
	if s.Ended != nil || s.Reached() != nil || a == nil || a.Dial == nil || a.DialFailed != nil {
		return nil
	}
	session, rings := s.Session(a), a.DialledAt
	if leg := s.Callee(a); leg != nil {
		rings = leg.Since
	}
	until := rings.Add(s.Requested.GetRingTimeout().AsDuration())
	if session == "" {
		until = a.DialAt.Add(c.Rules.LostAfter)
	}
	switch {
	case until.After(c.Now()):
		return c.Timers.Set(ctx, f.ID, until)
	case session == "":
		return c.advance(ctx, story)
	default:
		return c.stopRinging(ctx, story, a, session)
	}
}

// stopRinging hangs up on somebody who does not answer. It is written down before: an answer from then on is too late.
func (c *Control) stopRinging(ctx context.Context, story *bus.Story, a *call.Attempt, session string) error {
	if a.Stopping == nil {
		stopping, err := c.Bus.DecideOn(ctx, story, func(story *bus.Story) (proto.Message, error) {
			s := call.Read(story)
			if now := s.Attempt(a.N); s.Ended != nil || s.Reached() != nil || now.DialFailed != nil {
				return nil, nil
			}
			return &callv1.DialStopping{Attempt: a.N, SessionId: session}, nil
		})
		if err != nil || stopping == nil {
			return err
		}
		ctx = bus.WithCause(ctx, stopping.ID())
	}
	guard.Die("dial.stopping")
	now, err := c.Bus.Story(ctx, story.CallID)
	if err != nil {
		return err
	}
	if call.Read(now).Reached() != nil { // answered before it was written down, and told only now
		return nil
	}
	if err := c.hangUp(ctx, a, session); err != nil {
		return err
	}
	guard.Die("dial.stopped")
	return c.fail(ctx, story.CallID, dialFailed(a, NoAnswer, ""))
}

// hangUp stops a dial, or ends the leg that it has become. What Daily clearly refuses to stop is over, or will never be
// stopped by asking again.
func (c *Control) hangUp(ctx context.Context, a *call.Attempt, session string) error {
	err := c.Daily.StopDialOut(ctx, a.Room.GetRoom(), session)
	switch {
	case errors.Is(err, daily.ErrNotFound):
		return nil
	case errors.Is(err, daily.ErrRefused):
		c.Log.Warn("Daily does not stop a dial", "room", a.Room.GetRoom(), "err", err)
		return nil
	}
	return err
}

// hangUpAll hangs up on whoever the call has dialled and is not known to be gone.
func (c *Control) hangUpAll(ctx context.Context, s *call.State) error {
	var errs []error
	for _, a := range s.Attempts {
		if leg := s.Callee(a); a.Dial != nil && s.Session(a) != "" && (leg == nil || !leg.Gone) {
			errs = append(errs, c.hangUp(ctx, a, s.Session(a)))
		}
	}
	return errors.Join(errs...)
}

// DialFailed gives back what the dial has taken, hangs up where that is still to be done, and has the person called again
// where that is wanted.
func (c *Control) DialFailed(ctx context.Context, in bus.In[*callv1.DialFailed]) error {
	s := call.Read(in.Story)
	a := s.Attempt(in.Data.GetAttempt())
	if nobodyCalled(a) && a == s.Failure() { // else the claim is another dial's by now
		if err := c.Admission.Unclaim(ctx, s.Requested.GetTo(), s.ID, dialNumber(s, a)); err != nil {
			return err
		}
	}
	if in.Data.GetCause() != NotDialled && a == s.Failure() {
		if err := c.Admission.Release(ctx, s.ID); err != nil {
			return err
		}
	}
	err := c.begin(ctx, in.Story, admission.NoTurn)
	if err := errors.Join(err, c.hangUpAll(ctx, s)); err != nil {
		return err
	}
	return c.advance(ctx, in.Story)
}
