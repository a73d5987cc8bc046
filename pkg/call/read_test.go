// SPDX-License-Identifier: Apache-2.0

package call_test

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

var (
	id   = bus.CallID("domain", "call")
	noon = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
)

// story makes a story of events that are a second apart.
func story(messages ...proto.Message) []*bus.Event {
	events := make([]*bus.Event, len(messages))
	for i, m := range messages {
		events[i] = &bus.Event{CallID: id, Data: m, Seq: uint64(i + 1), Time: noon.Add(time.Duration(i) * time.Second)}
	}
	return events
}

func read(events []*bus.Event) *call.State {
	s := call.New(id)
	for _, e := range events {
		s.Apply(e)
	}
	return s
}

func received() *callv1.CallReceived { return &callv1.CallReceived{Agent: "sales"} }

func TestWhatIsReadOutOfAStory(t *testing.T) {
	bot := call.BotID(id, 1)
	for phrase, c := range map[string]struct {
		story []proto.Message
		holds func(*call.State) bool
	}{
		"nothing is known": {nil, func(s *call.State) bool {
			return s.Received == nil && s.Current().N == 1 && s.Current().Agent == "" && !s.CallerIn() && s.Forwarding() == nil
		}},
		"a call has a first attempt from the start": {[]proto.Message{received()}, func(s *call.State) bool {
			return s.Began.Equal(noon) && s.Current().N == 1 && s.Current().Agent == "sales" && s.Current().Place == callv1.Place_PLACE_NEW_ROOM && !s.Current().Over()
		}},
		"a bot that may have been started lives": {[]proto.Message{received(), &callv1.BotStarting{Attempt: 1}}, func(s *call.State) bool {
			return s.Current().BotLives() && s.Current().StartingAt.Equal(noon.Add(time.Second))
		}},
		"a bot that is given up lives no more": {[]proto.Message{received(), &callv1.BotStarting{Attempt: 1}, &callv1.BotFailed{Attempt: 1, Reason: "late"}}, func(s *call.State) bool {
			return !s.Current().BotLives() && s.Current().Over() && s.Current().Reason == "bot failed: late"
		}},
		"what ended an attempt first is its reason": {[]proto.Message{received(), &callv1.BotFailed{Attempt: 1, Reason: "late"}, &callv1.BotExited{Attempt: 1, Reason: "killed"}}, func(s *call.State) bool {
			return s.Current().Reason == "bot failed: late" && s.Current().OverAt.Equal(noon.Add(time.Second)) && s.Current().ExitedAt.Equal(noon.Add(2*time.Second))
		}},
		"an attempt without a room is over": {[]proto.Message{received(), &callv1.RoomFailed{Attempt: 1, Reason: "no"}}, func(s *call.State) bool {
			return s.Current().Over() && s.Current().Reason == "no room: no"
		}},
		"a forward is under way until it has a result": {[]proto.Message{received(), &callv1.ForwardStarted{Attempt: 1}}, func(s *call.State) bool {
			return s.Forwarding() == s.Attempt(1) && !s.CallerIn()
		}},
		"a forward that failed is not under way": {[]proto.Message{received(), &callv1.ForwardStarted{Attempt: 1}, &callv1.ForwardFailed{Attempt: 1, Reason: "no"}}, func(s *call.State) bool {
			return s.Forwarding() == nil && s.Current().Over() && !s.CallerIn()
		}},
		"a forwarded caller is in": {[]proto.Message{received(), &callv1.ForwardStarted{Attempt: 1}, &callv1.CallForwarded{Attempt: 1}}, func(s *call.State) bool {
			return s.Forwarding() == nil && s.CallerIn() && s.LegsAlive() == 0
		}},
		"the next attempt is the current one": {[]proto.Message{received(), &callv1.AttemptRequested{Attempt: 2, Place: callv1.Place_PLACE_SAME_ROOM, Agent: "other"}}, func(s *call.State) bool {
			return s.Current().N == 2 && s.Current().Agent == "other" && s.Current().Place == callv1.Place_PLACE_SAME_ROOM && s.Attempt(1).Agent == "sales"
		}},
		"presence is as good as Daily's word": {[]proto.Message{received(), &callv1.LegSeen{SessionId: "s"}, &callv1.LegLost{SessionId: "s"}}, func(s *call.State) bool {
			return s.Legs["s"].Connected && s.Legs["s"].Gone && s.LegsAlive() == 0
		}},
		"a leg that failed is gone": {[]proto.Message{received(), &callv1.LegFailed{SessionId: "s"}}, func(s *call.State) bool {
			return s.Legs["s"].Failed && s.Legs["s"].Gone && !s.Legs["s"].Connected
		}},
		"a leg that leaves is gone": {[]proto.Message{received(), &callv1.LegConnected{SessionId: "s"}, &callv1.ParticipantLeft{SessionId: "s"}}, func(s *call.State) bool {
			return s.Legs["s"].Gone
		}},
		"a bot that leaves is no leg": {[]proto.Message{received(), &callv1.LegConnected{SessionId: "s"}, &callv1.ParticipantLeft{SessionId: "b", UserId: bot}}, func(s *call.State) bool {
			return len(s.Legs) == 1 && s.LegsAlive() == 1
		}},
		"somebody who leaves is no leg": {[]proto.Message{received(), &callv1.ParticipantLeft{SessionId: "w", UserId: "supervisor"}}, func(s *call.State) bool {
			return len(s.Legs) == 0
		}},
		"the end is known, and what is cleared up after it": {[]proto.Message{received(), &callv1.EndRequested{Reason: "x"}, &callv1.CallEnded{Reason: "x"}, &callv1.RoomReleased{}}, func(s *call.State) bool {
			return s.EndAsked != nil && s.Ended.Data.GetReason() == "x" && s.Ended.At.Equal(noon.Add(2*time.Second)) && s.Released
		}},
		"a room that takes calls has its bot in it": {[]proto.Message{received(), &callv1.DialinReady{Attempt: 1}}, func(s *call.State) bool {
			return s.Current().Joined
		}},
		"a bot is known by its user id": {[]proto.Message{received(), &callv1.ParticipantJoined{SessionId: "b", UserId: bot}}, func(s *call.State) bool {
			return s.Current().Joined && len(s.Legs) == 0
		}},
		"another call's bot is none of this one's": {[]proto.Message{received(), &callv1.ParticipantJoined{SessionId: "b", UserId: call.BotID(bus.CallID("another"), 1)}}, func(s *call.State) bool {
			return !s.Current().Joined
		}},
		"what Daily says makes no attempts": {[]proto.Message{received(), &callv1.DialinReady{Attempt: 7}, &callv1.ParticipantJoined{SessionId: "b", UserId: call.BotID(id, 7)}, &callv1.LegConnected{SessionId: "s", Attempt: 7}}, func(s *call.State) bool {
			return len(s.Attempts) == 1
		}},
		"a transfer changes no leg": {[]proto.Message{received(), &callv1.LegTransfer{SessionId: "s", State: "completed"}}, func(s *call.State) bool {
			return len(s.Legs) == 0
		}},
	} {
		if s := call.Read(bus.NewStory(id, story(c.story...))); !c.holds(s) {
			t.Errorf("%s: %+v", phrase, s)
		}
	}
}

func TestFactsMeanTheSameInAnyOrder(t *testing.T) {
	events := story(
		received(), &callv1.LegConnected{SessionId: "a", Room: "r", Attempt: 1}, &callv1.LegSeen{SessionId: "a", Room: "r", Attempt: 1},
		&callv1.LegAnswered{SessionId: "b", Room: "r"}, &callv1.LegEnded{SessionId: "b", Room: "r"}, &callv1.LegFailed{SessionId: "c", Room: "r"},
		&callv1.ParticipantJoined{SessionId: "a", Room: "r"}, &callv1.ParticipantLeft{SessionId: "d", Room: "r"}, &callv1.LegConnected{SessionId: "d", Room: "r"},
		&callv1.LegLost{SessionId: "e", Room: "r"}, &callv1.LegSeen{SessionId: "e", Room: "r"}, &callv1.DialinReady{Attempt: 1},
		&callv1.RoomReady{Attempt: 1}, &callv1.BotStarting{Attempt: 1}, &callv1.BotStarted{Attempt: 1}, &callv1.BotReady{Attempt: 1},
		&callv1.ForwardStarted{Attempt: 1}, &callv1.CallForwarded{Attempt: 1}, &callv1.CallConnected{Attempt: 1}, &callv1.BotExited{Attempt: 1, Status: 1},
		&callv1.AttemptRequested{Attempt: 2, Agent: "sales", Place: callv1.Place_PLACE_SAME_ROOM}, &callv1.RoomReady{Attempt: 2},
		&callv1.ParticipantJoined{SessionId: "bot", Room: "r", UserId: call.BotID(id, 1)},
	)
	want := read(events)
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		shuffled := append([]*bus.Event{events[0]}, events[1:]...)
		shuffled = append(shuffled, events[1+random.IntN(len(events)-1)], events[1+random.IntN(len(events)-1)]) // told twice
		random.Shuffle(len(shuffled)-1, func(i, j int) { shuffled[i+1], shuffled[j+1] = shuffled[j+1], shuffled[i+1] })
		if got := read(shuffled); !reflect.DeepEqual(got, want) {
			t.Fatalf("in the order %v\n got %+v\nwant %+v", names(shuffled), got, want)
		}
	}
}

func names(events []*bus.Event) []string {
	keys := make([]string, len(events))
	for i, e := range events {
		keys[i] = bus.Key(e.Data)
	}
	return keys
}

func TestADamagedAttemptNumberMakesNoGiant(t *testing.T) {
	for _, n := range []uint32{0, 1000, 1001, 1 << 20, math.MaxInt32, math.MaxUint32} {
		s := read(story(received(), &callv1.RoomReady{Attempt: n}, &callv1.BotFailed{Attempt: n, Reason: "x"}, &callv1.AttemptRequested{Attempt: n}))
		if len(s.Attempts) > 1000 || s.Current() == nil || s.Current().N != uint32(len(s.Attempts)) {
			t.Errorf("attempt %d makes %d of them", n, len(s.Attempts))
		}
		if n == 0 && s.Attempt(0) != nil || n > 1000 && s.Attempt(n) != nil {
			t.Errorf("there is an attempt %d", n)
		}
	}
}
