// SPDX-License-Identifier: Apache-2.0

package transfers

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/budget"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/pkg/guard"
	"github.com/trunkline/trunkline/pkg/timer"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
)

// stepTimer asks what follows for a call's transfers.
const stepTimer = "step"

// Transfers hands callers over.
type Transfers struct {
	Bus    *bus.Bus
	Timers timer.Timers
	Now    func() time.Time
	Rules  Rules
	Log    *slog.Logger

	Config  *config.Config
	Targets *Targets
	Daily   *daily.Client
	Dialler *daily.Client // one that keeps no budget: the dial's permit is taken before its intent
	Pace    *budget.Budget
	Policy  Policy
}

// Policy says who may be called. It is call-control.
type Policy interface {
	AdmitLeg(context.Context, *controlv1.AdmitLegRequest) (*controlv1.AdmitLegResponse, error)
}

// Handlers are the events that something may follow from.
func (x *Transfers) Handlers() []bus.Handler {
	return []bus.Handler{
		on[*callv1.TransferRequested](x), on[*callv1.TransferAnnounced](x), on[*callv1.TransferStarted](x, bus.AfterEnd), on[*callv1.TransferMissed](x),
		on[*callv1.TransferAnswered](x), on[*callv1.TransferBriefed](x),
		over[*callv1.TransferCompleted](x), over[*callv1.TransferFailed](x), over[*callv1.TransferCancelled](x),
		on[*callv1.LegConnected](x, bus.AfterEnd, ofOperators), on[*callv1.LegAnswered](x, bus.AfterEnd, ofOperators),
		on[*callv1.LegFailed](x, ofOperators), on[*callv1.LegEnded](x, ofOperators), on[*callv1.ParticipantLeft](x, bus.If(operatorLeft)),
		on[*callv1.LegSeen](x, bus.AfterEnd), on[*callv1.LegLost](x), on[*callv1.LegTransfer](x),
		on[*callv1.BotReady](x, bus.If(replacement)), on[*callv1.ParticipantJoined](x, bus.If(replacement)),
		on[*callv1.BotFailed](x), on[*callv1.BotExited](x), on[*callv1.CallEnded](x, bus.AfterEnd),
		bus.On(x.CallForwarded, bus.If(secondAttempt)),
	}
}

// ofOperators spares the look at legs that called: whether they are there still, a transfer finds out when it wants to
// know.
var ofOperators = bus.If(func(m proto.Message) bool {
	leg, ok := m.(interface{ GetDialled() bool })
	return ok && leg.GetDialled()
})

// operatorLeft spares the look at everybody else's leaving.
func operatorLeft(m proto.Message) bool {
	left, ok := m.(*callv1.ParticipantLeft)
	return ok && call.IsOperator(left.GetUserId())
}

// replacement spares the look at the bot that a call has from its start: any other may have been on its way while the
// caller was handed over, and be one that has to be silenced.
func replacement(m proto.Message) bool {
	switch m := m.(type) {
	case *callv1.BotReady:
		return m.GetAttempt() > 1
	case *callv1.ParticipantJoined:
		_, attempt, bot := call.ParseBot(m.GetUserId())
		return bot && attempt > 1
	}
	return false
}

// secondAttempt spares the look at calls that got their bot at once: who is forwarded to a person has waited for one.
func secondAttempt(m proto.Message) bool {
	f, ok := m.(*callv1.CallForwarded)
	return ok && f.GetAttempt() > 1
}

// on makes a handler that only asks what follows.
func on[T proto.Message](x *Transfers, opts ...bus.HandlerOption) bus.Handler {
	return bus.On(func(ctx context.Context, in bus.In[T]) error { return x.advance(ctx, in.Story) }, opts...)
}

// over makes a handler for the end of a transfer: whatever it was doing to the caller's hearing is undone, whatever else
// cannot be done now.
func over[T proto.Message](x *Transfers) bus.Handler {
	return bus.On(func(ctx context.Context, in bus.In[T]) error {
		advanced := x.advance(ctx, in.Story)
		restored := x.offHold(ctx, in.CallID, in.Time)
		if advanced != nil {
			return advanced
		}
		return restored
	}, bus.AfterEnd)
}

// offHold lets the caller hear everybody after a transfer that was over at a time, and once more when a request that was
// under way then can no longer come in late.
func (x *Transfers) offHold(ctx context.Context, callID string, over time.Time) error {
	story, err := x.Bus.Story(ctx, callID)
	if err != nil || !heldBefore(call.Read(story)) {
		return err
	}
	if err := x.do(ctx, story, act{restore, 0, 0}, nil); err != nil {
		return later(err)
	}
	if left := over.Add(2 * permissionsWithin).Sub(x.Now()); left > 0 {
		return bus.RetryAfter(left, nil)
	}
	return nil
}

// heldBefore reports whether the caller may not hear everybody on account of a transfer that is over, and of no other.
func heldBefore(s *call.State) bool {
	warm := func(t *call.Transfer) bool { return t.Asked != nil && t.Asked.Data.GetMode() == config.ModeWarm }
	t := s.Transfer()
	return s.Ended == nil && slices.ContainsFunc(s.Transfers, warm) && !(warm(t) && t.UnderWay() && t.Announced != nil)
}

// Timer asks what follows for a call whose time has come.
func (x *Transfers) Timer(ctx context.Context, f timer.Fired) error {
	story, err := x.Bus.Story(ctx, f.CallID)
	if err != nil {
		return err
	}
	until, err := x.follow(ctx, story)
	if err != nil || until.IsZero() {
		return err
	}
	// It goes by the broker's clock: where this one is behind, nobody else would ask again.
	return bus.RetryAfter(max(until.Sub(x.Now()), time.Millisecond), nil)
}

func (x *Transfers) advance(ctx context.Context, story *bus.Story) error {
	until, err := x.follow(ctx, story)
	if err != nil || until.IsZero() {
		return err
	}
	return x.Timers.Set(ctx, stepAt(story.CallID, until), until)
}

// stepAt is a timer of its own for each time: whoever has seen an older story must not move the one of who has seen more.
func stepAt(callID string, until time.Time) timer.ID {
	return timer.ID{Name: stepTimer, CallID: callID, N: uint32(until.Unix())}
}

// follow does whatever follows for the call's transfers, until nothing does, or nothing before a time. What it does is
// decided on the call as it stands: whoever does the same at the same time does it in vain.
func (x *Transfers) follow(ctx context.Context, story *bus.Story) (until time.Time, err error) {
	done := map[act]bool{}
	var failed error
	for {
		next := x.Rules.Next(call.Read(story), x.Now(), done)
		switch {
		case next.decide != nil:
			decided, err := x.Bus.DecideOn(ctx, story, func(now *bus.Story) (proto.Message, error) {
				story = now
				return x.Rules.Next(call.Read(now), x.Now(), done).decide, nil
			})
			if err != nil {
				return time.Time{}, err
			}
			if decided != nil {
				story = story.With(decided)
				guard.Die("transfer." + decided.Name)
			}
		case next.act.does != nothing:
			guard.Die("transfer.before." + next.act.does.String())
			err := x.do(ctx, story, next.act, done)
			switch done[next.act] = true; {
			case err != nil && unwantedNow(call.Read(story), next.act): // that he cannot be hung up on keeps nobody else waiting
				failed = errors.Join(failed, err)
			case err != nil:
				return time.Time{}, later(errors.Join(err, failed))
			}
			guard.Die("transfer.after." + next.act.does.String())
			if story, err = x.Bus.Story(ctx, story.CallID); err != nil {
				return time.Time{}, err
			}
		case failed != nil:
			return time.Time{}, later(failed)
		default:
			return next.until, nil
		}
	}
}

// unwantedNow reports whether an act is to hang up on somebody who is not wanted. Of who has rung for long enough it is not:
// his place is the next one's only when he rings no more.
func unwantedNow(s *call.State, a act) bool {
	if a.does != hangUp {
		return false
	}
	t := s.Transfers[a.n-1]
	return !view{State: s}.wanted(t, t.Try(a.k))
}

// later has what Daily did not do now tried again for as long as it takes: what waits for it must not become a dead letter.
func later(err error) error {
	var again *daily.Error
	if errors.As(err, &again) {
		return bus.RetryAfter(askAgain, err)
	}
	return err
}

// CallForwarded connects a caller with a person for whom no bot could be had.
func (x *Transfers) CallForwarded(ctx context.Context, in bus.In[*callv1.CallForwarded]) error {
	_, err := x.Bus.DecideOn(ctx, in.Story, func(story *bus.Story) (proto.Message, error) {
		s := call.Read(story)
		a := s.Attempt(in.Data.GetAttempt())
		if s.Ended != nil || a == nil || a.Place != callv1.Place_PLACE_PERSON || s.Transfer() != nil {
			return nil, nil
		}
		return x.overflow(s), nil
	})
	return err
}
