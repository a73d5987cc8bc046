// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/pkg/timer"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

const (
	// forwardTimer asks what became of a forward.
	forwardTimer = "forward"
	// answerWait is how long Daily may take to answer. It may act until then.
	answerWait = 10 * time.Second
	// refusedFor is how long a request that Daily clearly did not act on is repeated, within one forward.
	refusedFor = 20 * time.Second
)

// What can become of a forward.
var (
	errGone     = errors.New("Daily no longer holds the call")
	errNotFound = errors.New("Daily knows no such call, or the room had nobody in it")
	errRefused  = errors.New("Daily refused to forward the call")
	errInDoubt  = errors.New("it is not known whether the call was forwarded")
)

// forward patches the caller into the attempt's room: once, however often and by whomever it is asked for. It returns
// when the caller is forwarded, or why he is not, as far as is known within the context. asked says that the bot itself
// asks at this moment, and so is there.
func (s *Scheduler) forward(ctx context.Context, callID string, attempt uint32, asked bool) error {
	var c *call.State
	decided, err := s.Bus.Decide(ctx, callID, func(story *bus.Story) (proto.Message, error) {
		c = call.Read(story)
		if c.CallerIn() || c.Forwarding() != nil {
			return nil, nil
		}
		if err := valid(c, attempt); err != nil {
			return nil, err
		}
		a := c.Attempt(attempt)
		if a.Forward != nil { // and it failed
			return nil, errRefused
		}
		if err := s.watch(ctx, timer.ID{Name: forwardTimer, CallID: callID, N: attempt}, answerWait); err != nil {
			return nil, err
		}
		return &callv1.ForwardStarted{Attempt: attempt, Room: a.Room.GetRoom(), SipUri: a.Room.GetSipUri()}, nil
	})
	switch {
	case err != nil:
		return err
	case decided == nil:
		return s.awaitForward(ctx, callID)
	}
	// From here on it goes its way even if the bot that asked hangs up.
	life := bus.WithTrace(bus.WithCause(s.life, decided.ID()), bus.TraceOf(ctx))
	done := make(chan error, 1)
	go func() {
		done <- s.send(life, c, decided.Data.(*callv1.ForwardStarted), asked)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errInDoubt
	}
}

// watch has it asked what became of a forward when there must have been a sign of a request that ends within the time
// given: presence lags by up to 25 s, and 30 s are waited by default.
func (s *Scheduler) watch(ctx context.Context, id timer.ID, ends time.Duration) error {
	return s.Timers.Set(ctx, id, time.Now().Add(ends+s.Config.Daily.PresenceSettle/2))
}

// send asks Daily for the first time. A clear answer is written down; a doubtful one is left to time and presence.
func (s *Scheduler) send(ctx context.Context, c *call.State, f *callv1.ForwardStarted, asked bool) error {
	id := timer.ID{Name: forwardTimer, CallID: c.ID, N: f.GetAttempt()}
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := s.Daily.PinlessCallUpdate(ctx, c.Received.GetDailyCallId(), c.Received.GetCallDomain(), f.GetSipUri())
		if err != nil && (daily.Doubtful(err) || !daily.Retryable(err)) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(refusedFor), backoff.WithNotify(func(_ error, pause time.Duration) {
		if err := s.watch(ctx, id, pause+answerWait); err != nil {
			s.Log.Warn("the forward is looked at early", "call_id", c.ID, "attempt", f.GetAttempt(), "err", err)
		}
	}))
	switch {
	case err == nil:
		return s.forwarded(ctx, c.ID, f)
	case daily.Doubtful(err):
		s.Log.Warn("the forward is in doubt", "call_id", c.ID, "attempt", f.GetAttempt(), "err", errors.Join(err, s.watch(ctx, id, 0)))
		return errInDoubt
	case errors.Is(err, daily.ErrNotFound):
		// Nobody has asked before, so this is no echo: the caller has hung up, or the room has nobody in it.
		return s.forwardGone(ctx, c.ID, f, asked)
	default:
		return s.forwardFailed(ctx, c.ID, &callv1.ForwardFailed{Attempt: f.GetAttempt(), Reason: err.Error()}, errRefused)
	}
}

// forwardGone writes down what a first 404 means. Where it is not certain that the room had a bot in it, the caller may
// still be holding: he gets another attempt, and only if that meets a 404 too is he taken to have gone. That a bot is
// there is certain when it asks at this moment: of one that has asked before, only its lease would tell, and later. A
// person's room needs nobody in it.
func (s *Scheduler) forwardGone(ctx context.Context, callID string, f *callv1.ForwardStarted, asked bool) error {
	story, err := s.Bus.Story(ctx, callID)
	if err != nil {
		return err
	}
	c := call.Read(story)
	a := c.Attempt(f.GetAttempt())
	failed := &callv1.ForwardFailed{Attempt: f.GetAttempt(), Reason: errGone.Error(), Gone: asked && !a.Left && a.BotLives() || forPerson(a)}
	for _, before := range c.Attempts {
		failed.Gone = failed.Gone || before.ForwardFailed.GetNotFound()
	}
	if !failed.Gone {
		failed.Reason, failed.NotFound = errNotFound.Error(), true
	}
	return s.forwardFailed(ctx, callID, failed, errGone)
}

// ForwardDoubt settles a forward that has no result yet: by presence, or by sending the same request again.
func (s *Scheduler) ForwardDoubt(ctx context.Context, f timer.Fired) error {
	story, err := s.Bus.Story(ctx, f.CallID)
	if err != nil {
		return err
	}
	c := call.Read(story)
	if !inDoubt(c, f) {
		return nil
	}
	a := c.Attempt(f.N)
	ctx = bus.WithCause(ctx, f.CallID+"."+bus.Key(a.Forward))
	if c.LegsAlive() > 0 {
		return ifNotOver(s.forwarded(ctx, f.CallID, a.Forward))
	}
	present, err := s.Daily.RoomPresence(ctx, a.Forward.GetRoom())
	if err != nil && !errors.Is(err, daily.ErrNotFound) {
		return fmt.Errorf("look for the caller: %w", err)
	}
	for _, who := range present {
		_, _, bot := call.ParseBot(who.UserID)
		if _, _, _, operator := call.ParseOperator(who.UserID); !bot && !operator {
			return ifNotOver(s.forwarded(ctx, f.CallID, a.Forward))
		}
	}
	if !a.BotLives() && !forPerson(a) { // nobody is there to take the caller, and no sign that he came
		return ifNotOver(s.forwardFailed(ctx, f.CallID, &callv1.ForwardFailed{Attempt: f.N, Reason: "the bot left while the call was being forwarded"}, errRefused))
	}
	return s.repeat(ctx, f, c)
}

// inDoubt reports whether nothing is known of the request that a timer was set for. A timer from before the last
// request, delivered again, asks nothing: the one that was set with that request is still to fire.
func inDoubt(c *call.State, f timer.Fired) bool {
	a := c.Attempt(f.N)
	return c.Ended == nil && c.Forwarded == nil && a != nil && a.Forward != nil && a.ForwardFailed == nil && !f.At.Before(a.ForwardAt)
}

// repeat sends the request once more. It is written down before: should this process die meanwhile, it is again a
// request that nothing is known of, and time for a sign of it must pass.
func (s *Scheduler) repeat(ctx context.Context, f timer.Fired, c *call.State) error {
	if err := s.watch(ctx, f.ID, answerWait); err != nil {
		return err
	}
	intent, err := s.Bus.Decide(ctx, f.CallID, func(story *bus.Story) (proto.Message, error) {
		now := call.Read(story)
		if !inDoubt(now, f) || now.CallerIn() {
			return nil, nil
		}
		return &callv1.ForwardRepeated{Attempt: f.N, Number: now.Attempt(f.N).Repeats + 1}, nil
	})
	if err != nil || intent == nil {
		return err
	}
	ctx = bus.WithCause(ctx, intent.ID())
	forward := c.Attempt(f.N).Forward
	err = s.Daily.PinlessCallUpdate(ctx, c.Received.GetDailyCallId(), c.Received.GetCallDomain(), forward.GetSipUri())
	switch {
	case err == nil:
		return ifNotOver(s.forwarded(ctx, f.CallID, forward))
	case errors.Is(err, daily.ErrNotFound) && !daily.Doubtful(err):
		// Gone, or done: had it been done, there would have been a sign by now.
		return ifNotOver(s.forwardGone(ctx, f.CallID, forward, false))
	case errors.Is(err, daily.ErrRefused) && !daily.Doubtful(err):
		return ifNotOver(s.forwardFailed(ctx, f.CallID, &callv1.ForwardFailed{Attempt: f.N, Reason: err.Error()}, errRefused))
	}
	s.Log.Warn("the forward is still in doubt", "call_id", f.CallID, "attempt", f.N, "err", errors.Join(err, s.watch(ctx, f.ID, 0)))
	return nil
}

// LegConnected is the sign that a forward has succeeded.
func (s *Scheduler) LegConnected(ctx context.Context, in bus.In[*callv1.LegConnected]) error {
	return s.legSeen(ctx, in.Story)
}

// LegSeen is as good a sign.
func (s *Scheduler) LegSeen(ctx context.Context, in bus.In[*callv1.LegSeen]) error {
	return s.legSeen(ctx, in.Story)
}

func (s *Scheduler) legSeen(ctx context.Context, story *bus.Story) error {
	c := call.Read(story)
	a := c.Forwarding()
	if a == nil || len(c.Callers()) == 0 {
		return nil
	}
	return ifNotOver(s.forwarded(ctx, story.CallID, a.Forward))
}

func (s *Scheduler) forwarded(ctx context.Context, callID string, f *callv1.ForwardStarted) error {
	_, err := s.Bus.Publish(ctx, callID, &callv1.CallForwarded{Attempt: f.GetAttempt(), Room: f.GetRoom()})
	if errors.Is(err, bus.ErrTaken) { // by whoever else saw a sign
		return nil
	}
	return err
}

func (s *Scheduler) forwardFailed(ctx context.Context, callID string, failed *callv1.ForwardFailed, why error) error {
	if _, err := s.Bus.Publish(ctx, callID, failed); err != nil && !errors.Is(err, bus.ErrTaken) {
		return err
	}
	return why
}

// awaitForward waits for the result of a forward that somebody else is at.
func (s *Scheduler) awaitForward(ctx context.Context, callID string) error {
	for {
		story, err := s.Bus.Story(ctx, callID)
		if err != nil {
			return err
		}
		c := call.Read(story)
		switch {
		case c.CallerIn():
			return nil
		case c.Ended != nil:
			return errEnded
		case c.Forwarding() == nil:
			return errRefused
		}
		select {
		case <-ctx.Done():
			return errInDoubt
		case <-time.After(100 * time.Millisecond):
		}
	}
}
