// SPDX-License-Identifier: Apache-2.0

package calls_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/call"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/call-control/calls"
)

// anyStory makes a story at random: what we did, in its order, and facts from outside.
func anyStory(random *rand.Rand) (ours, facts []at) {
	after := time.Duration(0)
	maybe := func(m proto.Message) bool {
		if random.IntN(4) == 0 {
			return false
		}
		after += time.Duration(random.IntN(3000)) * time.Millisecond
		ours = append(ours, at{after, m})
		return true
	}
	ours = []at{received()}
	forwarded := false
	for n := uint32(1); n <= uint32(1+random.IntN(3)); n++ {
		if n > 1 {
			place := callv1.Place_PLACE_NEW_ROOM
			if forwarded {
				place = callv1.Place_PLACE_SAME_ROOM
			}
			ours = append(ours, at{after, &callv1.AttemptRequested{Attempt: n, Place: place, Agent: "sales"}})
		}
		started := maybe(&callv1.RoomReady{Attempt: n}) && maybe(&callv1.BotStarting{Attempt: n}) && maybe(&callv1.BotReady{Attempt: n})
		if started && !forwarded && maybe(&callv1.ForwardStarted{Attempt: n}) {
			forwarded = maybe(&callv1.CallForwarded{Attempt: n})
		}
		_ = maybe(&callv1.BotFailed{Attempt: n}) && random.IntN(2) == 0 || maybe(&callv1.BotExited{Attempt: n, Status: int32(random.IntN(2))})
	}
	if random.IntN(10) == 0 {
		maybe(&callv1.EndRequested{Reason: "asked"})
	}
	if forwarded && random.IntN(4) > 0 {
		ours = append(ours, at{after, &callv1.TransferRequested{N: 1, Mode: []string{"cold", "blind", "refer"}[random.IntN(3)], BotLeaves: random.IntN(2) == 0}})
		if maybe(&callv1.TransferStarting{N: 1, K: 1, SessionId: "a"}) {
			_ = maybe(&callv1.TransferStarted{N: 1, K: 1, SessionId: "operator"})
		}
		_ = maybe(&callv1.TransferFailed{N: 1}) || maybe(&callv1.TransferCancelled{N: 1}) || maybe(&callv1.TransferCompleted{N: 1, K: 1, Moved: random.IntN(2) == 0})
	}
	for _, m := range []proto.Message{
		&callv1.LegConnected{SessionId: "operator", UserId: call.OperatorID(id, 1, 1), Dialled: true}, &callv1.LegEnded{SessionId: "operator", Dialled: true},
		&callv1.LegTransfer{SessionId: "a", State: "triggered"}, &callv1.LegTransfer{SessionId: "a", State: "initiated"},
		&callv1.LegTransfer{SessionId: "b", State: "answered"}, &callv1.LegTransfer{SessionId: "b", State: "completed"},
	} {
		if forwarded && random.IntN(3) == 0 {
			facts = append(facts, at{time.Duration(random.IntN(90_000)) * time.Millisecond, m})
		}
	}
	for _, session := range []string{"a", "b"}[:random.IntN(3)] {
		for _, m := range []proto.Message{
			&callv1.LegConnected{SessionId: session, Room: "r"}, &callv1.LegSeen{SessionId: session, Room: "r"}, &callv1.LegAnswered{SessionId: session, Room: "r"},
			&callv1.LegFailed{SessionId: session, Room: "r"}, &callv1.LegEnded{SessionId: session, Room: "r"}, &callv1.LegLost{SessionId: session, Room: "r"},
			&callv1.ParticipantJoined{SessionId: session, Room: "r"}, &callv1.ParticipantLeft{SessionId: session, Room: "r"},
		} {
			if random.IntN(3) == 0 {
				facts = append(facts, at{time.Duration(random.IntN(90_000)) * time.Millisecond, m})
			}
		}
	}
	facts = append(facts,
		at{time.Second, &callv1.DialinReady{Attempt: 1}}, at{time.Second, &callv1.ParticipantJoined{SessionId: "bot", UserId: call.BotID(id, 1)}},
		at{2 * time.Second, &callv1.ParticipantLeft{SessionId: "bot", UserId: call.BotID(id, 1)}})
	return ours, facts
}

// merge puts facts between our own events, anywhere after the first, which starts the call.
func merge(random *rand.Rand, ours, facts []at) []at {
	story := slices.Clone(ours)
	for _, i := range random.Perm(len(facts)) {
		story = slices.Insert(story, 1+random.IntN(len(story)), facts[i])
	}
	return story
}

func TestFactsLeadToTheSameDecisionInAnyOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	came := map[string]int{}
	for range 6000 {
		ours, facts := anyStory(random)
		now := noon.Add(time.Duration(random.IntN(150_000)) * time.Millisecond)
		if random.IntN(10) == 0 {
			now = noon.Add(2 * longest)
		}
		story := append(slices.Clone(ours), facts...)
		want := full(rules.Next(state(story), now))
		for range 10 {
			twice := append(slices.Clone(facts), facts[random.IntN(len(facts))], facts[random.IntN(len(facts))])
			shuffled := merge(random, ours, twice)
			if got := full(rules.Next(state(shuffled), now)); got != want {
				t.Fatalf("%q in one order, %q in another:\n%v\n%v", want, got, story, shuffled)
			}
		}
		m, wait := rules.Next(state(story), now)
		came[fmt.Sprintf("%T %t %s", m, wait > 0, reason(m))]++
	}
	// The stories must be such that everything can follow from one.
	for _, m := range []string{"CallEnded", "AttemptRequested", "CallConnected"} {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(came)), func(k string) bool { return k == "*callv1."+m+" false "+reasonOf[m] }) {
			t.Errorf("no story has led to %s: %v", m, came)
		}
	}
	for _, r := range []string{
		calls.CallerHungUp, calls.LegFailed, calls.BotEnded, calls.BotLost, calls.NoBot, calls.ForwardLost, calls.MaxDuration, "asked",
		calls.Transferred, calls.OperatorGone,
	} {
		if came["*callv1.CallEnded false "+r] == 0 {
			t.Errorf("no story has led to %s: %v", r, came)
		}
	}
}

var reasonOf = map[string]string{"CallEnded": calls.CallerHungUp}

func reason(m proto.Message) string {
	if e, ok := m.(*callv1.CallEnded); ok {
		return e.GetReason()
	}
	return ""
}

// full is a decision with everything that it says.
func full(m proto.Message, wait time.Duration) string {
	if m == nil {
		return wait.String()
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	return fmt.Sprintf("%T %x %v", m, data, err)
}

// What is decided is taken into account: following the decisions one after the other must come to an end.
func TestDecisionsComeToAnEnd(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 1000 {
		ours, facts := anyStory(random)
		story := merge(random, ours, facts)
		now := 150 * time.Second
		for n := 0; ; n++ {
			m, wait := rules.Next(state(story), noon.Add(now))
			if m == nil {
				if wait < 0 {
					t.Fatalf("wait for %s", wait)
				}
				break
			}
			if n > 3 {
				t.Fatalf("%d decisions at once: %v", n, story)
			}
			story = append(story, at{now, m})
		}
	}
}
