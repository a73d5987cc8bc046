// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/phone"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// personGrace is how long each step on the way to a person may take beyond what phones ring: the room and the forward,
// and the dials.
const personGrace = 60 * time.Second

// lastStep follows when no bot could be had for a caller who holds: a person is called, where the route names one, and
// else, or where that came to nothing, the call is missed.
func lastStep(s *call.State) proto.Message {
	current := s.Current()
	switch {
	case s.AwaitsPerson():
		return ended(callv1.Outcome_OUTCOME_MISSED, NoBot, tried(s))
	case s.Received.GetOverflow() != "":
		return &callv1.AttemptRequested{
			Attempt: current.N + 1, Place: callv1.Place_PLACE_PERSON, Agent: current.Agent, Reason: cmp.Or(current.Reason, outOfBudget),
		}
	}
	return ended(callv1.Outcome_OUTCOME_MISSED, NoBot, current.Reason)
}

// outOfBudget is why an attempt is over whose bot was still awaited.
const outOfBudget = "no bot within the answer budget"

// awaitsPerson says what follows for a caller in a room without a bot, into which somebody is being called.
func awaitsPerson(s *call.State, now time.Time) proto.Message {
	t := personTransfer(s)
	if t != nil && !t.UnderWay() || !now.Before(personLimit(s)) {
		return ended(callv1.Outcome_OUTCOME_MISSED, Nobody, tried(s))
	}
	return nil
}

// personTransfer is the transfer that calls the person for whom the caller waits, or nil while it has not been asked for.
func personTransfer(s *call.State) *call.Transfer {
	if t := s.Transfer(); t != nil && t.Asked != nil && !t.Asked.At.Before(s.Current().AskedAt) {
		return t
	}
	return nil
}

// personLimit is how long a caller may wait for a person: for the forward, for the transfer to be asked for, and then for
// as long as its numbers ring, group after group.
func personLimit(s *call.State) time.Time {
	from := s.Current().AskedAt
	if s.Forwarded != nil {
		from = s.Forwarded.At
	}
	t := personTransfer(s)
	if t == nil {
		return from.Add(personGrace)
	}
	longest := map[uint32]time.Duration{}
	for _, n := range t.Asked.Data.GetNumbers() {
		longest[n.GetGroup()] = max(longest[n.GetGroup()], n.GetRingTimeout().AsDuration())
	}
	limit := t.Asked.At.Add(personGrace)
	for _, rings := range longest {
		limit = limit.Add(rings)
	}
	return limit
}

// tried tells all that was tried for a caller: each attempt, and each number.
func tried(s *call.State) string {
	var parts []string
	for i, from := 0, 0; i < len(s.Attempts); i++ {
		a := s.Attempts[i]
		if a.Place == callv1.Place_PLACE_PERSON {
			if a.Reason != "" {
				parts = append(parts, "the person's room: "+a.Reason)
			}
			continue
		}
		reason := cmp.Or(a.Reason, outOfBudget)
		if next := s.Attempt(a.N + 1); next != nil && next.Place != callv1.Place_PLACE_PERSON && cmp.Or(next.Reason, outOfBudget) == reason {
			continue // they are told together
		}
		which := fmt.Sprintf("attempt %d", a.N)
		if i > from {
			which = fmt.Sprintf("attempts %d to %d", from+1, a.N)
		}
		parts, from = append(parts, which+": "+reason), i+1
	}
	if t := personTransfer(s); t != nil {
		for i, n := range t.Asked.Data.GetNumbers() {
			parts = append(parts, n.GetTarget()+" "+phone.Mask(n.GetTo())+": "+cmp.Or(missedWhy(t.Try(uint32(i+1))), "not called"))
		}
		if t.Failed != nil && len(t.Asked.Data.GetNumbers()) == 0 {
			parts = append(parts, t.Asked.Data.GetTarget()+": "+t.Failed.Data.GetReason())
		}
	}
	return strings.Join(parts, "; ")
}

func missedWhy(try *call.Try) string {
	switch {
	case try == nil || try.Starting == nil && try.Missed == nil:
		return ""
	case try.Missed == nil:
		return "no answer so far"
	case try.Missed.Data.GetDetail() != "":
		return try.Missed.Data.GetCause() + " (" + try.Missed.Data.GetDetail() + ")"
	}
	return try.Missed.Data.GetCause()
}
