// SPDX-License-Identifier: Apache-2.0

package calls_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/services/call-control/calls"
)

const week = 7 * 24 * time.Hour

// seen makes a view of events, one a second from noon on.
func seen(maxAge time.Duration, events ...*bus.Event) *calls.View {
	v := calls.NewView(maxAge)
	for i, e := range events {
		e.Seq = uint64(i + 1)
		if e.Time.IsZero() {
			e.Time = noon.Add(time.Duration(i) * time.Second)
		}
		v.See(e)
	}
	return v
}

func every(*controlv1.Call) bool { return true }

// in is the calls in a state, or all.
func in(state controlv1.State) func(*controlv1.Call) bool {
	return func(c *controlv1.Call) bool {
		return state == controlv1.State_STATE_UNSPECIFIED || c.GetState() == state
	}
}

func of(callID string, m proto.Message) *bus.Event { return &bus.Event{CallID: callID, Data: m} }

func ids(list []*controlv1.Call) []string {
	names := []string{}
	for _, c := range list {
		names = append(names, c.GetId())
	}
	return names
}

func TestAViewFollowsACall(t *testing.T) {
	v := calls.NewView(week)
	step := func(m proto.Message, after time.Duration) *controlv1.Call {
		v.See(&bus.Event{CallID: "call", Data: m, Seq: uint64(after) + 1, Time: noon.Add(after)})
		list, _ := v.List(10, 0, every)
		if len(list) != 1 {
			t.Fatalf("%d calls", len(list))
		}
		return list[0]
	}
	c := step(comesIn(time.Minute, time.Hour), 0)
	if c.GetState() != controlv1.State_STATE_WAITING || c.GetAgent() != "sales" || c.GetAttempts() != 1 || c.GetFrom() != "+14155550123" || c.GetTo() != "+14155550199" || !c.GetReceived().AsTime().Equal(noon) {
		t.Errorf("a call that came in: %v", c)
	}
	if c := step(&callv1.AttemptRequested{Attempt: 2, Agent: "night"}, 1); c.GetAttempts() != 2 || c.GetAgent() != "night" || c.GetState() != controlv1.State_STATE_WAITING {
		t.Errorf("the second attempt: %v", c)
	}
	if c := step(&callv1.BotReady{Attempt: 2}, 2); c.GetState() != controlv1.State_STATE_FORWARDING {
		t.Errorf("a bot is ready: %v", c)
	}
	if c := step(&callv1.CallConnected{Attempt: 2}, 3*time.Second); c.GetState() != controlv1.State_STATE_CONNECTED || !c.GetConnected().AsTime().Equal(noon.Add(3*time.Second)) {
		t.Errorf("connected: %v", c)
	}
	end := &callv1.CallEnded{Outcome: callv1.Outcome_OUTCOME_COMPLETED, Reason: calls.CallerHungUp}
	over := step(end, time.Minute)
	if over.GetState() != controlv1.State_STATE_ENDED || over.GetOutcome() != end.GetOutcome() || over.GetReason() != end.GetReason() || !over.GetEnded().AsTime().Equal(noon.Add(time.Minute)) {
		t.Errorf("ended: %v", over)
	}
	if late := step(&callv1.AttemptRequested{Attempt: 3, Agent: "late"}, 2*time.Minute); !proto.Equal(late, over) {
		t.Errorf("a late event has changed %v into %v", over, late)
	}
}

func TestAViewHasCallsOfBothKinds(t *testing.T) {
	v := seen(week, of("in", comesIn(time.Minute, time.Hour)), of("out", &callv1.CallRequested{Agent: "sales"}), of("lost", &callv1.BotReady{Attempt: 1}), of("out", &callv1.BotReady{Attempt: 1}))
	if list, _ := v.List(10, 0, every); !slices.Equal(ids(list), []string{"out", "in"}) || !list[0].GetReceived().AsTime().Equal(noon.Add(time.Second)) {
		t.Errorf("calls %v", list)
	}
}

func TestWhatRunsIsWhatIsNotOver(t *testing.T) {
	v := seen(week,
		of("a", comesIn(time.Minute, time.Hour)), of("b", comesIn(time.Minute, time.Hour)), of("c", comesIn(time.Minute, time.Hour)),
		of("b", &callv1.CallEnded{}), of("b", &callv1.RoomReleased{}), of("d", &callv1.CallRequested{}), of("unknown", &callv1.BotReady{Attempt: 1}))
	if running, last := v.Running(); !slices.Equal(ids(running), []string{"a", "c", "d"}) || last != 7 {
		t.Errorf("%v at %d", ids(running), last)
	}
	v.See(&bus.Event{CallID: "late", Seq: 8, Time: noon.Add(week + 2*time.Second), Data: comesIn(time.Minute, time.Hour)})
	if running, last := v.Running(); !slices.Equal(ids(running), []string{"c", "d", "late"}) || last != 8 {
		t.Errorf("%v at %d, once the stream has forgotten some", ids(running), last)
	}
}

func TestAListHasTheLatestFirstAndGoesOnWhereItStopped(t *testing.T) {
	var events []*bus.Event
	for i := range 10 {
		events = append(events, of(fmt.Sprint(i), comesIn(time.Minute, time.Hour)))
	}
	for _, i := range []int{1, 4, 7} {
		events = append(events, of(fmt.Sprint(i), &callv1.CallEnded{}))
	}
	v := seen(week, events...)
	for phrase, c := range map[string]struct {
		size  int
		state controlv1.State
		want  [][]string
	}{
		"all at once":                 {50, controlv1.State_STATE_UNSPECIFIED, [][]string{{"9", "8", "7", "6", "5", "4", "3", "2", "1", "0"}}},
		"exactly all":                 {10, controlv1.State_STATE_UNSPECIFIED, [][]string{{"9", "8", "7", "6", "5", "4", "3", "2", "1", "0"}}},
		"pages":                       {4, controlv1.State_STATE_UNSPECIFIED, [][]string{{"9", "8", "7", "6"}, {"5", "4", "3", "2"}, {"1", "0"}}},
		"pages that come out even":    {5, controlv1.State_STATE_UNSPECIFIED, [][]string{{"9", "8", "7", "6", "5"}, {"4", "3", "2", "1", "0"}}},
		"the ended ones":              {50, controlv1.State_STATE_ENDED, [][]string{{"7", "4", "1"}}},
		"the ended ones, one by one":  {1, controlv1.State_STATE_ENDED, [][]string{{"7"}, {"4"}, {"1"}}},
		"those that wait, in pages":   {4, controlv1.State_STATE_WAITING, [][]string{{"9", "8", "6", "5"}, {"3", "2", "0"}}},
		"of a state that none is in":  {4, controlv1.State_STATE_CONNECTED, [][]string{{}}},
		"pages of those, with an end": {2, controlv1.State_STATE_FORWARDING, [][]string{{}}},
	} {
		var got [][]string
		for before, more := uint64(0), true; more; more = before > 0 {
			var list []*controlv1.Call
			list, before = v.List(c.size, before, in(c.state))
			got = append(got, ids(list))
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v", phrase, got, c.want)
		}
	}
}

func TestAPageIsNotMovedByNewCalls(t *testing.T) {
	v := seen(week, of("a", comesIn(time.Minute, time.Hour)), of("b", comesIn(time.Minute, time.Hour)), of("c", comesIn(time.Minute, time.Hour)))
	first, next := v.List(2, 0, every)
	v.See(&bus.Event{CallID: "d", Seq: 4, Time: noon.Add(time.Hour), Data: comesIn(time.Minute, time.Hour)})
	second, end := v.List(2, next, every)
	if got := append(ids(first), ids(second)...); !slices.Equal(got, []string{"c", "b", "a"}) || end != 0 {
		t.Errorf("%v, then %d", got, end)
	}
	first[0].Agent = "changed by whoever asked"
	if list, _ := v.List(4, 0, every); list[1].GetAgent() != "sales" {
		t.Error("what was given out is the view's own")
	}
}

func TestAViewForgetsWhatTheStreamDoes(t *testing.T) {
	old, young := of("old", comesIn(time.Minute, time.Hour)), of("young", comesIn(time.Minute, time.Hour))
	old.Time, young.Time = noon.Add(-week-time.Second), noon.Add(-week+time.Second)
	late := of("late", comesIn(time.Minute, time.Hour))
	late.Time = noon
	v := seen(week, old, young, of("old", &callv1.CallEnded{}), of("unknown", &callv1.BotReady{Attempt: 1}), late)
	if list, _ := v.List(10, 0, every); !slices.Equal(ids(list), []string{"late", "young"}) {
		t.Errorf("calls %v", ids(list))
	}
	v.See(&bus.Event{CallID: "old", Seq: 6, Time: noon, Data: &callv1.RoomReleased{}})
	if list, _ := v.List(10, 0, every); len(list) != 2 {
		t.Errorf("calls %v", ids(list))
	}
}

func TestAViewMadeAnewIsWhatItWas(t *testing.T) {
	w := newWorldWithout(t, bustest.Start(t).Setup(calls.Service.Needs))
	view := follow(t, w.control)
	for i := range 5 {
		w.publish(fmt.Sprint(i), comesIn(time.Minute, time.Hour))
	}
	w.publish("1", append(connects(), &callv1.CallConnected{Attempt: 1, SessionId: "leg"})...)
	w.publish("2", &callv1.RoomFailed{Attempt: 1}, &callv1.AttemptRequested{Attempt: 2, Agent: "night"})
	w.publish("3", &callv1.CallEnded{Outcome: callv1.Outcome_OUTCOME_MISSED, Reason: calls.NoBot}, &callv1.BotExited{Attempt: 1})
	w.publish("last", comesIn(time.Minute, time.Hour))
	list := awaitCall(t, view, "last")
	again := awaitCall(t, follow(t, w.control), "last")
	if len(list) != 6 || len(again) != len(list) {
		t.Fatalf("%d calls, then %d", len(list), len(again))
	}
	for i := range list {
		if !proto.Equal(list[i], again[i]) {
			t.Errorf("%v\nhas become %v", list[i], again[i])
		}
	}
}

// follow makes a view that sees the stream, as far as it has come.
func follow(t *testing.T, b *bus.Bus) *calls.View {
	t.Helper()
	v := calls.NewView(week)
	followInto(t, b, v)
	return v
}

// followInto has a view see the stream, and waits until it has seen what is there.
func followInto(t *testing.T, b *bus.Bus, v *calls.View) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	caughtUp, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- b.Follow(ctx, v.See, func() { v.CaughtUp(); close(caughtUp) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-caughtUp
}

// awaitCall waits until a view has a call and gives all that it has.
func awaitCall(t *testing.T, v *calls.View, id string) []*controlv1.Call {
	t.Helper()
	var list []*controlv1.Call
	eventually(t, "the view has call "+id, func() bool {
		list, _ = v.List(100, 0, every)
		return len(list) > 0 && list[0].GetId() == id
	})
	return list
}
