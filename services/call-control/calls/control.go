// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/budget"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/pkg/timer"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/call-control/admission"
	"github.com/trunkline/trunkline/services/call-control/policy"
)

// limitTimer asks whether a call has reached its limit: the answer budget, and, once the caller is forwarded, the
// maximum duration.
const limitTimer = "limit"

// longestWait is how long an event is kept to be looked at again. A longer wait is the limit's.
const longestWait = 30 * time.Second

// Control decides what follows for calls.
type Control struct {
	Bus    *bus.Bus
	Timers timer.Timers
	Now    func() time.Time
	Rules  Rules
	Log    *slog.Logger

	Config    *config.Config
	Daily     *daily.Client
	Dialler   *daily.Client // one that keeps no budget: the dial's permit is taken before its intent
	Pace      *budget.Budget
	Policy    *policy.Policy
	Admission *admission.Admission
}

// Handlers are the events that something may follow from.
func (c *Control) Handlers() []bus.Handler {
	return []bus.Handler{
		bus.On(c.CallReceived), bus.On(c.CallEnded, bus.AfterEnd), bus.On(c.CallRequested), bus.On(c.BotReady), bus.On(c.DialFailed),
		together[*callv1.CallForwarded](c), together[*callv1.LegAnswered](c), on[*callv1.VoicemailHeard](c),
		on[*callv1.RoomFailed](c), on[*callv1.BotFailed](c), on[*callv1.BotExited](c),
		on[*callv1.ForwardFailed](c), on[*callv1.EndRequested](c),
		on[*callv1.LegConnected](c), on[*callv1.LegSeen](c), legOver[*callv1.LegFailed](c), legOver[*callv1.LegEnded](c),
		legOver[*callv1.LegLost](c), legOver[*callv1.ParticipantLeft](c),
		bus.On(c.AttemptRequested, bus.If(forPerson)), handedOver[*callv1.TransferRequested](c), handedOver[*callv1.TransferMissed](c),
		handedOver[*callv1.TransferCompleted](c), handedOver[*callv1.TransferFailed](c), handedOver[*callv1.TransferCancelled](c),
		handedOver[*callv1.LegTransfer](c),
	}
}

// on makes a handler that only asks what follows.
func on[T proto.Message](c *Control) bus.Handler {
	return bus.On(func(ctx context.Context, in bus.In[T]) error { return c.advance(ctx, in.Story) })
}

// together makes a handler for people having come together: it sets the limit of their talk, and asks what follows.
func together[T proto.Message](c *Control) bus.Handler {
	return bus.On(func(ctx context.Context, in bus.In[T]) error {
		if err := c.limit(ctx, call.Read(in.Story)); err != nil {
			return err
		}
		return c.advance(ctx, in.Story)
	})
}

// legOver makes a handler for somebody having left.
func legOver[T interface {
	proto.Message
	GetSessionId() string
}](c *Control) bus.Handler {
	return bus.On(func(ctx context.Context, in bus.In[T]) error {
		s := call.Read(in.Story)
		if n, _ := s.DialledAs(in.Data.GetSessionId()); n > 0 {
			if err := c.giveBackLegs(ctx, s); err != nil {
				return err
			}
		}
		return c.advance(ctx, in.Story)
	})
}

// handedOver makes a handler for what may change how long a call can last: the caller is handed over. It may bring the limit nearer, so whoever sets it last must have seen the last of these events.
func handedOver[T proto.Message](c *Control) bus.Handler {
	return bus.On(func(ctx context.Context, in bus.In[T]) error {
		s, story := call.Read(in.Story), in.Story
		if err := c.giveBackLegs(ctx, s); err != nil {
			return err
		}
		for set := (time.Time{}); s.Begun() && !c.Rules.Limit(s).Equal(set); s = call.Read(story) {
			set = c.Rules.Limit(s)
			err := c.limit(ctx, s)
			if err != nil {
				return err
			}
			if story, err = c.Bus.Story(ctx, s.ID); err != nil {
				return err
			}
		}
		return c.advance(ctx, story)
	})
}

// forPerson spares the look at attempts with a bot.
func forPerson(m proto.Message) bool {
	asked, ok := m.(*callv1.AttemptRequested)
	return ok && asked.GetPlace() == callv1.Place_PLACE_PERSON
}

// AttemptRequested limits how long a caller waits for a person.
func (c *Control) AttemptRequested(ctx context.Context, in bus.In[*callv1.AttemptRequested]) error {
	if in.Data.GetPlace() != callv1.Place_PLACE_PERSON {
		return nil
	}
	return c.limit(ctx, call.Read(in.Story))
}

// CallReceived sets the call's first limit.
func (c *Control) CallReceived(ctx context.Context, in bus.In[*callv1.CallReceived]) error {
	return c.limit(ctx, call.Read(in.Story))
}

// CallEnded takes the call's timers back and, of a dial-out, whatever it has taken; nobody goes on being called.
func (c *Control) CallEnded(ctx context.Context, in bus.In[*callv1.CallEnded]) error {
	s := call.Read(in.Story)
	if err := c.giveBackLegs(ctx, s); err != nil {
		return err
	}
	if s.Requested != nil {
		if err := c.Timers.Cancel(ctx, timer.ID{Name: dueTimer, CallID: s.ID, N: nextAttempt(s)}); err != nil {
			return err
		}
		if err := errors.Join(c.giveBack(ctx, s), c.hangUpAll(ctx, s)); err != nil {
			return err
		}
	}
	return c.Timers.Cancel(ctx, timer.ID{Name: limitTimer, CallID: in.CallID})
}

// Limit looks at a call whose limit is reached.
func (c *Control) Limit(ctx context.Context, f timer.Fired) error {
	story, err := c.Bus.Story(ctx, f.CallID)
	if err != nil {
		return err
	}
	s := call.Read(story)
	if !s.Begun() || s.Ended != nil {
		return nil
	}
	// The timer goes by the broker's clock. Where this one is behind it, nobody else would ask again.
	switch early := c.Rules.Limit(s).Sub(c.Now()); {
	case early > longestWait: // it has been put off
		return c.limit(ctx, s)
	case early > 0:
		return bus.RetryAfter(early, nil)
	}
	return c.advance(ctx, story)
}

func (c *Control) limit(ctx context.Context, s *call.State) error {
	if !s.Begun() {
		return nil
	}
	return c.Timers.Set(ctx, timer.ID{Name: limitTimer, CallID: s.ID}, c.Rules.Limit(s))
}

// advance publishes whatever follows for the call, until nothing does. The story may have grown since it was read: what is
// decided is decided on the call as it stands, and what has come meanwhile is asked about by its own handlers.
func (c *Control) advance(ctx context.Context, story *bus.Story) error {
	for {
		var wait time.Duration
		decided, err := c.Bus.DecideOn(ctx, story, func(now *bus.Story) (m proto.Message, err error) {
			story = now
			m, wait = c.Rules.Next(call.Read(story), c.Now())
			return m, nil
		})
		switch {
		case err != nil:
			return err
		case decided != nil: // nothing came in between: that was the condition
			story = story.With(decided)
		case wait > 0:
			return bus.RetryAfter(min(wait, longestWait), nil)
		default:
			return nil
		}
	}
}
