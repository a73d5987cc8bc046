// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"time"

	"github.com/trunkline/trunkline/pkg/bus"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// dialIn is somebody who calls, and how many attempts it should take until a bot answers.
type dialIn struct {
	title    string
	call     sim.CallSpec
	attempts uint32
}

var dialIns = []dialIn{
	{"a plain inbound call", sim.CallSpec{From: "+14155550123", To: "+14155550100", Talk: talk}, 1},
	{"an anonymous caller", sim.CallSpec{To: "+14155550100", Talk: talk}, 1},
	{"a webhook that is delivered twice, the second time two seconds late", sim.CallSpec{
		From: "+14155550124", To: "+14155550100", Talk: talk,
		Webhook: sim.CallWebhook{Duplicates: 1, DuplicateAfter: sim.Duration(2 * time.Second)},
	}, 1},
	{"a call whose first bot dies before it is ready", sim.CallSpec{From: "+14155550125", To: "+14155550102", Talk: talk}, 2},
}

func (d dialIn) name() string { return d.title }

func (d dialIn) play(ctx context.Context, s *stack.Stack) (p played) {
	phone, err := s.Sim.PlaceCall(d.call)
	if err != nil {
		p.wrong("place the call: %w", err)
		return p
	}
	phone, err = s.Sim.WaitForCall(ctx, phone.ID, func(c sim.Call) bool { return c.State == sim.Ended })
	if err != nil {
		p.wrong("the call did not end: %w", err)
	}
	if phone.Legs != 1 || phone.Why != "hung-up" {
		p.wrong("the caller had %d legs and ended because of %q; wanted one leg, and a caller who hangs up", phone.Legs, phone.Why)
	}
	if !p.watch(ctx, s, bus.CallID(phone.CallDomain, phone.ID)) {
		return p
	}
	if c := p.story.GetCall(); c.GetOutcome() != callv1.Outcome_OUTCOME_COMPLETED || c.GetAttempts() != d.attempts {
		p.wrong("the call ended as %s after %d attempts; wanted completed after %d", c.GetOutcome(), c.GetAttempts(), d.attempts)
	}
	return p
}
