// SPDX-License-Identifier: Apache-2.0

package transfers

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/pkg/guard"
	"github.com/trunkline/trunkline/pkg/phone"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
)

// askAgain is how long it takes until policy is asked again that could not be asked.
const askAgain = time.Second

// dial calls number k into the caller's room.
func (x *Transfers) dial(ctx context.Context, story *bus.Story, a act, done map[act]bool) error {
	return x.try(ctx, story, a, done, func(ctx context.Context, starting *callv1.TransferStarting, number *callv1.TransferNumber) (string, error) {
		spec := daily.DialOut{UserID: call.OperatorID(story.CallID, a.n, a.k), DisplayName: number.GetTarget()}
		if phone.IsSIP(number.GetTo()) {
			spec.SIPURI = number.GetTo()
		} else {
			spec.PhoneNumber, spec.CallerID = number.GetTo(), number.GetCallerId()
		}
		return x.Dialler.StartDialOut(ctx, starting.GetRoom(), spec)
	})
}

// move has Daily, or the caller's own provider, send the caller to number k.
func (x *Transfers) move(ctx context.Context, story *bus.Story, a act, done map[act]bool) error {
	s := call.Read(story)
	if (view{State: s}).caller() == "" { // Daily may be about to tell
		if x.Now().After(tried(s.Transfer()).Add(x.Rules.LostAfter)) {
			return x.miss(ctx, story.CallID, a, Refused, "the caller's leg is not known")
		}
		return bus.RetryAfter(askAgain, nil)
	}
	refer := s.Transfer().Asked.Data.GetMode() == config.ModeRefer
	return x.try(ctx, story, a, done, func(ctx context.Context, starting *callv1.TransferStarting, number *callv1.TransferNumber) (string, error) {
		if refer {
			return "", x.Dialler.SIPRefer(ctx, starting.GetRoom(), starting.GetSessionId(), number.GetTo())
		}
		spec := daily.TransferSpec{SessionID: starting.GetSessionId(), To: number.GetTo()}
		if !phone.IsSIP(number.GetTo()) {
			spec.CallerID = number.GetCallerId()
		}
		return "", x.Dialler.SIPCallTransfer(ctx, starting.GetRoom(), spec)
	})
}

// try tries number k, once. It is written down before: from then on nothing but a clear word of Daily's makes it certain
// that nothing came of it.
func (x *Transfers) try(ctx context.Context, story *bus.Story, a act, done map[act]bool, ask func(context.Context, *callv1.TransferStarting, *callv1.TransferNumber) (string, error)) error {
	number, permitted, err := x.permitted(ctx, story, a)
	if err != nil || !permitted {
		return err
	}
	intent, err := x.intend(ctx, story, a, done)
	if err != nil || intent == nil {
		return err
	}
	guard.Die("transfer.intended")
	// From here on it goes its way, whoever is told to stop.
	ctx = bus.WithCause(context.WithoutCancel(ctx), intent.ID())
	session, err := x.send(ctx, func(ctx context.Context) (string, error) {
		return ask(ctx, intent.Data.(*callv1.TransferStarting), number)
	})
	guard.Die("transfer.sent")
	switch {
	case err == nil:
		_, err := x.Bus.Publish(ctx, story.CallID, &callv1.TransferStarted{N: a.n, K: a.k, SessionId: session})
		return err
	case daily.Doubtful(err): // it is left to what Daily tells, and to time
		x.Log.Warn("a transfer is in doubt", "call_id", story.CallID, "n", a.n, "k", a.k, "err", err)
		return nil
	default:
		return x.miss(ctx, story.CallID, a, Refused, err.Error())
	}
}

// permitted asks policy, and takes what a dial takes. Where it may not be, the number is missed.
func (x *Transfers) permitted(ctx context.Context, story *bus.Story, a act) (*callv1.TransferNumber, bool, error) {
	t := call.Read(story).Transfer()
	number, waits := t.Asked.Data.GetNumbers()[a.k-1], x.Now().Sub(tried(t))
	answer, err := x.Policy.AdmitLeg(ctx, &controlv1.AdmitLegRequest{
		Call: story.CallID, N: a.n, K: a.k, To: number.GetTo(), Target: !number.GetNamed(), Waited: waits >= askAgain/4,
	})
	until := answer.GetUntil().AsTime()
	late := waits > x.Rules.LostAfter || answer.GetUntil() != nil && until.After(tried(t).Add(x.Rules.LostAfter))
	switch code := connect.CodeOf(err); {
	case err != nil && (code == connect.CodeInvalidArgument || code == connect.CodeFailedPrecondition):
		return nil, false, x.miss(ctx, story.CallID, a, NotAllowed, err.Error())
	case err != nil && late:
		return nil, false, x.miss(ctx, story.CallID, a, Unavailable, err.Error())
	case err != nil:
		x.Log.Warn("policy cannot be asked", "call_id", story.CallID, "err", err)
		return nil, false, bus.RetryAfter(askAgain, err)
	case answer.GetDecision() == controlv1.Decision_DECISION_WAIT && !late:
		return nil, false, bus.RetryAfter(max(until.Sub(x.Now()), askAgain/4), nil)
	case answer.GetDecision() != controlv1.Decision_DECISION_ALLOW:
		return nil, false, x.miss(ctx, story.CallID, a, NotAllowed, answer.GetRule()+": "+answer.GetDetail())
	}
	wait, err := x.Pace.Try(ctx, daily.ClassDial)
	if err != nil {
		return nil, false, err
	}
	if wait > 0 {
		return nil, false, bus.RetryAfter(wait, nil)
	}
	return number, true, nil
}

// tried is since when the transfer has been waiting for its next number.
func tried(t *call.Transfer) time.Time {
	at := t.Announced.At
	for _, try := range t.Tries {
		if try.Missed != nil && try.Missed.At.After(at) {
			at = try.Missed.At
		}
	}
	return at
}

// intend writes down that number k is about to be tried, unless that is not what follows any more.
func (x *Transfers) intend(ctx context.Context, story *bus.Story, a act, done map[act]bool) (*bus.Event, error) {
	choose := func(now *bus.Story) (proto.Message, error) {
		return x.Rules.intent(call.Read(now), x.Now(), a, done), nil
	}
	if guard.Broken(guard.Intent) {
		data, err := choose(story)
		return &bus.Event{CallID: story.CallID, Data: data}, err
	}
	return x.Bus.DecideOn(ctx, story, choose)
}

// send asks Daily, and again only as long as Daily has clearly done nothing.
func (x *Transfers) send(ctx context.Context, ask func(context.Context) (string, error)) (session string, err error) {
	ctx, cancel := context.WithTimeout(ctx, x.Rules.LostAfter*3/4) // then it is in doubt, and given up later
	defer cancel()
	permit := func(ctx context.Context) error { return x.Pace.Take(ctx, daily.ClassDial) }
	return daily.Insist(ctx, x.Rules.LostAfter/2, permit, ask)
}

// miss writes down that number k was not had.
func (x *Transfers) miss(ctx context.Context, callID string, a act, cause, detail string) error {
	_, err := x.Bus.Decide(ctx, callID, func(story *bus.Story) (proto.Message, error) {
		t := call.Read(story).Transfer()
		if story.Ended() || !t.UnderWay() || t.N != a.n {
			return nil, nil
		}
		if try := t.Try(a.k); try != nil && (try.Missed != nil || try.Answered != nil) {
			return nil, nil
		}
		return &callv1.TransferMissed{N: a.n, K: a.k, Cause: cause, Detail: detail}, nil
	})
	return err
}
