// SPDX-License-Identifier: Apache-2.0

package calls_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/call-control/calls"
)

const (
	budget  = time.Minute
	longest = time.Hour
	// As in the code: how long a bot's leaving and a forward in doubt are waited for.
	exitGrace    = 2 * time.Second
	forwardGrace = 90 * time.Second
)

var (
	id   = bus.CallID("domain", "call")
	noon = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
)

// at is an event of a story, so long after the call came in.
type at struct {
	after time.Duration
	event proto.Message
}

func received() at {
	return at{0, &callv1.CallReceived{Agent: "sales", AnswerBudget: durationpb.New(budget), MaxDuration: durationpb.New(longest)}}
}

// ready is an attempt up to a bot that can take the caller.
func ready(after time.Duration, n uint32) []at {
	return []at{
		{after, &callv1.RoomReady{Attempt: n, Room: call.RoomName(id, n)}},
		{after, &callv1.BotStarting{Attempt: n}},
		{after, &callv1.BotStarted{Attempt: n}},
		{after, &callv1.BotReady{Attempt: n}},
	}
}

// talking is a call in which caller and bot have been together since one second after it came in.
func talking() []at {
	return append(append([]at{received()}, ready(time.Second, 1)...),
		at{time.Second, &callv1.ForwardStarted{Attempt: 1}}, at{time.Second, &callv1.CallForwarded{Attempt: 1}},
		at{time.Second, &callv1.LegConnected{SessionId: "leg"}}, at{time.Second, &callv1.CallConnected{Attempt: 1, SessionId: "leg"}})
}

func more(story []at, events ...at) []at { return append(append([]at{}, story...), events...) }

func state(story []at) *call.State {
	s := call.New(id)
	for i, e := range story {
		s.Apply(&bus.Event{CallID: id, Seq: uint64(i + 1), Time: noon.Add(e.after), Data: e.event})
	}
	return s
}

// what follows, in words: "wait 2s", "attempt 2 same room", "connected leg", "ended COMPLETED caller_hung_up" or "".
func what(m proto.Message, wait time.Duration) string {
	switch m := m.(type) {
	case nil:
		if wait != 0 {
			return fmt.Sprint("wait ", wait)
		}
		return ""
	case *callv1.AttemptRequested:
		return fmt.Sprintf("attempt %d %s %s", m.GetAttempt(), m.GetPlace(), m.GetAgent())
	case *callv1.CallConnected:
		return fmt.Sprintf("connected %d %s", m.GetAttempt(), m.GetSessionId())
	case *callv1.DialAnswered:
		return fmt.Sprintf("answered %d %s", m.GetAttempt(), m.GetSessionId())
	case *callv1.DialFailed:
		return fmt.Sprintf("dial %d failed %s", m.GetAttempt(), m.GetCause())
	case *callv1.CallEnded:
		return fmt.Sprintf("ended %s %s", m.GetOutcome(), m.GetReason())
	}
	return fmt.Sprintf("%T", m)
}

const (
	second      = "attempt 2 PLACE_NEW_ROOM sales"
	replacement = "attempt 2 PLACE_SAME_ROOM sales"
	completed   = "ended OUTCOME_COMPLETED "
	missed      = "ended OUTCOME_MISSED "
	abandoned   = "ended OUTCOME_ABANDONED "
	failed      = "ended OUTCOME_FAILED "
)

var rules = calls.Rules{LostAfter: 90 * time.Second, Cause: func(text string) string {
	if text == "nobody has it" {
		return calls.InvalidNumber
	}
	return calls.DialError
}}

func expect(t *testing.T, table map[string]row) {
	t.Helper()
	for phrase, c := range table {
		if got := what(rules.Next(state(c.story), noon.Add(c.now))); got != c.want {
			t.Errorf("%s: %q, want %q", phrase, got, c.want)
		}
	}
}

type row struct {
	story []at
	now   time.Duration
	want  string
}

func TestWhatFollowsWhileTheCallerHolds(t *testing.T) {
	one := []at{received()}
	forwarding := more(one, append(ready(time.Second, 1), at{time.Second, &callv1.ForwardStarted{Attempt: 1}})...)
	refused := at{2 * time.Second, &callv1.ForwardFailed{Attempt: 1, Reason: "no"}}
	crashed := at{2 * time.Second, &callv1.BotExited{Attempt: 1, Status: 137}}
	expect(t, map[string]row{
		"nothing is known":                              {nil, 0, ""},
		"the call is not ours":                          {[]at{{0, &callv1.LegConnected{SessionId: "leg"}}}, time.Hour, ""},
		"a call has come in":                            {one, 0, ""},
		"a bot is on its way":                           {more(one, ready(time.Second, 1)[:3]...), budget - 1, ""},
		"a bot is ready":                                {more(one, ready(time.Second, 1)...), budget - 1, ""},
		"no room":                                       {more(one, at{time.Second, &callv1.RoomFailed{Attempt: 1}}), time.Second, second},
		"the bot was not ready in time":                 {more(one, at{time.Second, &callv1.BotFailed{Attempt: 1}}), time.Second, second},
		"the bot died":                                  {more(one, crashed), 2 * time.Second, second},
		"the bot left, as it wanted":                    {more(one, at{2 * time.Second, &callv1.BotExited{Attempt: 1}}), 2 * time.Second, second},
		"the forward was refused":                       {more(forwarding, refused), 2 * time.Second, second},
		"Daily no longer holds the caller":              {more(forwarding, at{2 * time.Second, &callv1.ForwardFailed{Attempt: 1, Gone: true}}), 2 * time.Second, abandoned + calls.CallerGone},
		"the forward is under way":                      {forwarding, 2 * time.Second, ""},
		"the bot dies while the forward is under way":   {more(forwarding, crashed), 3 * time.Second, ""},
		"then the forward is refused":                   {more(forwarding, crashed, refused), 3 * time.Second, second},
		"a bot wants the end before anybody talked":     {more(one, at{time.Second, &callv1.EndRequested{Reason: "closed"}}), time.Second, abandoned + "closed"},
		"the budget is nearly over":                     {one, budget - 1, ""},
		"the budget is over":                            {one, budget, missed + calls.NoBot},
		"the budget is over, a bot is ready":            {more(one, ready(time.Second, 1)...), budget, missed + calls.NoBot},
		"the budget is over, an attempt is, too":        {more(one, crashed), budget, missed + calls.NoBot},
		"the budget is over, a second attempt runs":     {more(one, crashed, at{2 * time.Second, &callv1.AttemptRequested{Attempt: 2}}), budget, missed + calls.NoBot},
		"the budget is over, the forward in doubt":      {forwarding, budget, "wait " + forwardGrace.String()},
		"the budget is long over, the forward in doubt": {forwarding, budget + forwardGrace - time.Second, "wait 1s"},
		"a forward in doubt is settled by no one":       {forwarding, budget + forwardGrace, missed + calls.ForwardLost},
		"a forward in doubt is refused, too late":       {more(forwarding, at{budget + 30*time.Second, &callv1.ForwardFailed{Attempt: 1}}), budget + 30*time.Second, missed + calls.NoBot},
		"a forward in doubt finds nobody, too late":     {more(forwarding, at{budget + 30*time.Second, &callv1.ForwardFailed{Attempt: 1, Gone: true}}), budget + 30*time.Second, abandoned + calls.CallerGone},
		"a forward in doubt has worked":                 {more(forwarding, at{budget + 30*time.Second, &callv1.CallForwarded{Attempt: 1}}), budget + 31*time.Second, ""},
		"a leg shows that it has":                       {more(forwarding, at{budget + 30*time.Second, &callv1.LegSeen{SessionId: "leg"}}), budget + 31*time.Second, "connected 1 leg"},
		"the caller could not be connected":             {more(forwarding, at{2 * time.Second, &callv1.LegFailed{SessionId: "leg"}}), 2 * time.Second, failed + calls.LegFailed},
	})
}

func TestWhatFollowsInTheCall(t *testing.T) {
	crash := at{10 * time.Second, &callv1.BotExited{Attempt: 1, Status: 1}}
	left := at{10 * time.Second, &callv1.BotExited{Attempt: 1}}
	gone := at{10 * time.Second, &callv1.LegEnded{SessionId: "leg"}}
	again := at{10 * time.Second, &callv1.AttemptRequested{Attempt: 2, Place: callv1.Place_PLACE_SAME_ROOM, Agent: "sales"}}
	unconnected := talking()[:len(talking())-1]
	joined := at{time.Second, &callv1.ParticipantJoined{SessionId: "bot", UserId: call.BotID(id, 1)}}
	lost := 10*time.Second + budget
	expect(t, map[string]row{
		"caller and bot are together":                 {unconnected, time.Second, "connected 1 leg"},
		"the caller is there, the bot was never":      {more([]at{received()}, at{time.Second, &callv1.LegConnected{SessionId: "leg"}}), time.Second, ""},
		"the caller is forwarded, and not seen yet":   {unconnected[:len(unconnected)-1], 2 * time.Second, ""},
		"of two legs the first connects the call":     {more(unconnected, at{2 * time.Second, &callv1.LegConnected{SessionId: "a later leg"}}), 2 * time.Second, "connected 1 leg"},
		"of two legs one has gone":                    {more(unconnected, gone, at{2 * time.Second, &callv1.LegConnected{SessionId: "other"}}), 10 * time.Second, "connected 1 other"},
		"they talk":                                   {talking(), 10 * time.Minute, ""},
		"they talk, the answer budget is over":        {talking(), budget, ""},
		"the caller hangs up":                         {more(talking(), gone), 10 * time.Second, completed + calls.CallerHungUp},
		"the caller is no longer present":             {more(talking(), at{time.Minute, &callv1.LegLost{SessionId: "leg"}}), time.Minute, completed + calls.CallerHungUp},
		"the caller leaves, in other words":           {more(talking(), at{time.Minute, &callv1.ParticipantLeft{SessionId: "leg"}}), time.Minute, completed + calls.CallerHungUp},
		"one of two legs goes":                        {more(talking(), at{5 * time.Second, &callv1.LegConnected{SessionId: "other"}}, gone), 10 * time.Second, ""},
		"the bot is seen to leave":                    {more(talking(), at{10 * time.Second, &callv1.ParticipantLeft{SessionId: "bot", UserId: call.BotID(id, 1)}}), 10 * time.Second, ""},
		"the bot has left: who was first is not told": {more(talking(), left), 10 * time.Second, "wait " + exitGrace.String()},
		"the bot has left, the caller has not":        {more(talking(), left), 10*time.Second + exitGrace, completed + calls.BotEnded},
		"the bot has left, then the caller":           {more(talking(), left, gone), 11 * time.Second, completed + calls.CallerHungUp},
		"the bot leaves before the caller is seen":    {more(unconnected[:len(unconnected)-1], left), 10*time.Second + exitGrace, completed + calls.BotEnded},
		"the bot dies":                                {more(talking(), crash), 10 * time.Second, replacement},
		"the bot was given up, and then left":         {more(talking(), at{9 * time.Second, &callv1.BotFailed{Attempt: 1}}, left), 10 * time.Second, replacement},
		"another is on its way":                       {more(talking(), crash, again, at{11 * time.Second, &callv1.BotStarting{Attempt: 2}}), 30 * time.Second, ""},
		"another waits for a slot":                    {more(talking(), crash, again), 30 * time.Second, "wait 40s"},
		"another has waited for longer than allowed":  {more(talking(), crash, again), lost, failed + calls.BotLost},
		"another is there":                            {more(talking(), append([]at{crash, again}, ready(12*time.Second, 2)...)...), lost, ""},
		"no other could be had in time":               {more(talking(), crash, again, at{lost, &callv1.BotFailed{Attempt: 2}}), lost, failed + calls.BotLost},
		"another dies long after":                     {more(talking(), append(append([]at{crash, again}, ready(12*time.Second, 2)...), at{lost, &callv1.BotExited{Attempt: 2, Status: 1}})...), lost + time.Second, "attempt 3 PLACE_SAME_ROOM sales"},
		"the caller goes while another is on its way": {more(talking(), crash, again, gone), 11 * time.Second, completed + calls.CallerHungUp},
		"the caller goes long after his bot":          {more(talking(), joined, crash, again, gone), 12 * time.Second, failed + calls.BotLost},
		"and where nobody tells who joins":            {more(talking(), crash, again, gone), 12 * time.Second, completed + calls.CallerHungUp},
		"and another bot is there":                    {more(talking(), append([]at{joined, crash, again, gone}, ready(11*time.Second, 2)...)...), 12 * time.Second, completed + calls.CallerHungUp},
		"the bot wants the end":                       {more(talking(), at{10 * time.Second, &callv1.EndRequested{Reason: "goodbye"}}), 10 * time.Second, completed + "goodbye"},
		"the longest duration is nearly reached":      {talking(), time.Second + longest - 1, ""},
		"the longest duration is reached":             {talking(), time.Second + longest, completed + calls.MaxDuration},
		"it is reached with no bot":                   {more(talking(), crash, again), time.Second + longest, completed + calls.MaxDuration},
		"it counts from the forward":                  {unconnected[:len(unconnected)-1], time.Second + longest, completed + calls.MaxDuration},
		"every leg failed":                            {more(unconnected[:len(unconnected)-1], at{2 * time.Second, &callv1.LegFailed{SessionId: "x"}}, at{2 * time.Second, &callv1.LegFailed{SessionId: "y"}}), 2 * time.Second, failed + calls.LegFailed},
		"one leg failed, the other has left":          {more(talking(), at{2 * time.Second, &callv1.LegFailed{SessionId: "x"}}, gone), 10 * time.Second, completed + calls.CallerHungUp},
	})
}

func TestNothingFollowsTheEnd(t *testing.T) {
	over := more(talking(), at{time.Minute, &callv1.CallEnded{Reason: calls.CallerHungUp}})
	for _, late := range []proto.Message{
		&callv1.LegEnded{SessionId: "leg"}, &callv1.LegConnected{SessionId: "another"}, &callv1.LegFailed{SessionId: "leg"}, &callv1.LegLost{SessionId: "leg"},
		&callv1.BotExited{Attempt: 1, Status: 1}, &callv1.BotReady{Attempt: 2}, &callv1.BotFailed{Attempt: 1}, &callv1.RoomFailed{Attempt: 2},
		&callv1.ForwardFailed{Attempt: 1, Gone: true}, &callv1.CallForwarded{Attempt: 1}, &callv1.EndRequested{Reason: "late"}, &callv1.RoomReleased{},
	} {
		story := more(over, at{2 * time.Minute, late})
		for _, now := range []time.Duration{2 * time.Minute, 2 * longest} {
			if got := what(rules.Next(state(story), noon.Add(now))); got != "" {
				t.Errorf("%T: %q", late, got)
			}
		}
	}
}

func TestThePausesBetweenAttemptsGrow(t *testing.T) {
	story := []at{{0, &callv1.CallReceived{Agent: "sales", AnswerBudget: durationpb.New(24 * time.Hour)}}}
	now := time.Duration(0)
	for n, pause := range []time.Duration{
		0, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second, 10 * time.Second, 10 * time.Second,
		10 * time.Second, 10 * time.Second, 10 * time.Second, 10 * time.Second, 10 * time.Second,
	} {
		attempt := uint32(n + 1)
		story = append(story, at{now, &callv1.BotFailed{Attempt: attempt}})
		if pause > 0 {
			if got, want := what(rules.Next(state(story), noon.Add(now))), "wait "+pause.String(); got != want {
				t.Errorf("at the end of attempt %d: %q, want %q", attempt, got, want)
			}
		}
		now += pause
		m, wait := rules.Next(state(story), noon.Add(now))
		if got, want := what(m, wait), fmt.Sprintf("attempt %d PLACE_NEW_ROOM sales", attempt+1); got != want {
			t.Fatalf("%s after attempt %d: %q, want %q", pause, attempt, got, want)
		}
		story = append(story, at{now, m})
	}
}

func TestTheLimitIsTheBudgetAndThenTheLongestDuration(t *testing.T) {
	if got := rules.Limit(state([]at{received()})); !got.Equal(noon.Add(budget)) {
		t.Errorf("while the caller holds: %s", got)
	}
	if got := rules.Limit(state(talking())); !got.Equal(noon.Add(time.Second + longest)) {
		t.Errorf("in the call: %s", got)
	}
}
