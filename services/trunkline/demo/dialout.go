// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
	"github.com/trunkline/trunkline/services/trunkline/timeline"
)

// dialOut is somebody who is called, and what should become of it.
type dialOut struct {
	title string
	to    string
	dials []sim.Behaviour // what the phone does at the first dial, at the second, and so on
	retry *controlv1.RetryPolicy
	asks  int // how often it is asked for, with the same key

	outcome callv1.Outcome
	reason  string // of a call that is refused at once, the rule
	dialled int
}

var (
	answers = sim.Behaviour{Does: sim.DoesAnswer, Talk: talk}
	once    = &controlv1.RetryPolicy{Causes: []*controlv1.Retry{
		{Cause: "no_answer", Delay: durationpb.New(time.Second), Limit: 1},
		{Cause: "not_answered", Delay: durationpb.New(time.Second), Limit: 1},
	}}
)

var dialOuts = []dialOut{
	{
		title: "an outbound call that is answered", to: "+14155550140", dials: []sim.Behaviour{answers}, asks: 1,
		outcome: callv1.Outcome_OUTCOME_COMPLETED, reason: "callee_hung_up", dialled: 1,
	},
	{
		title: "declined, then answered when tried again", to: "+14155550141", dials: []sim.Behaviour{{Does: sim.DoesReject}, answers}, retry: once, asks: 1,
		outcome: callv1.Outcome_OUTCOME_COMPLETED, reason: "callee_hung_up", dialled: 2,
	},
	{
		title: "nobody answers, until all tries are used up", to: "+14155550142", dials: []sim.Behaviour{{Does: sim.DoesNoAnswer}}, retry: once, asks: 1,
		outcome: callv1.Outcome_OUTCOME_UNREACHED, reason: "no_answer", dialled: 2,
	},
	{
		title: "a machine answers", to: "+14155550143", dials: []sim.Behaviour{{Does: sim.DoesVoicemail}}, retry: once, asks: 1,
		outcome: callv1.Outcome_OUTCOME_UNREACHED, reason: "voicemail", dialled: 1,
	},
	{
		title: "a call that policy refuses", to: "+442079460000", asks: 1,
		outcome: callv1.Outcome_OUTCOME_REFUSED, reason: "country",
	},
	{
		title: "a call that is asked for twice", to: "+14155550144", dials: []sim.Behaviour{answers}, asks: 2,
		outcome: callv1.Outcome_OUTCOME_COMPLETED, reason: "callee_hung_up", dialled: 1,
	},
}

func (d dialOut) name() string { return d.title }

func (d dialOut) play(ctx context.Context, s *stack.Stack) (p played) {
	if len(d.dials) > 0 {
		if err := s.Sim.SetCallee(sim.Callee{Number: d.to, Dials: d.dials}); err != nil {
			p.wrong("set what the phone does: %w", err)
			return p
		}
	}
	defer func() {
		if n := s.Sim.Stats().Dialled[d.to]; n != d.dialled {
			p.wrong("the phone was dialled %d times; wanted %d", n, d.dialled)
		}
	}()
	var id string
	for n := range d.asks {
		res, err := s.Control().StartCall(ctx, &controlv1.StartCallRequest{
			IdempotencyKey: d.title, To: d.to, Agent: "caller", Retry: d.retry, RingTimeout: durationpb.New(2 * time.Second),
		})
		if p.policy = timeline.Refusal(err); p.policy != nil {
			p.note("%v", err)
			if d.outcome != callv1.Outcome_OUTCOME_REFUSED || p.policy.GetRule() != d.reason {
				p.wrong("%w", err)
			}
			return p
		}
		if err != nil {
			p.wrong("ask for the call: %w", err)
			return p
		}
		if d.asks > 1 {
			p.note("request %d is given call %s, replayed: %v", n+1, res.GetCall().GetId(), res.GetReplayed())
		}
		if res.GetReplayed() != (n > 0) || n > 0 && res.GetCall().GetId() != id {
			p.wrong("request %d was given call %s, replayed: %v; the first, call %s", n+1, res.GetCall().GetId(), res.GetReplayed(), id)
		}
		id = res.GetCall().GetId()
	}
	if !p.watch(ctx, s, id) {
		return p
	}
	if c := p.story.GetCall(); c.GetOutcome() != d.outcome || c.GetReason() != d.reason || int(c.GetDials()) != d.dialled {
		p.wrong("the call ended as %s, %s after %d dials; wanted %s, %s after %d", c.GetOutcome(), c.GetReason(), c.GetDials(), d.outcome, d.reason, d.dialled)
	}
	return p
}
