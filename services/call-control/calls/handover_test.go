// SPDX-License-Identifier: Apache-2.0

package calls_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/call-control/calls"
)

const (
	rings      = 20 * time.Second
	movedGrace = 30 * time.Second
	// personGrace is how long a caller waits for a person beyond what phones ring.
	personGrace = 60 * time.Second
)

// handing is a call in which somebody is asked for 10 s after it came in.
func handing(mode string, change ...func(*callv1.TransferRequested)) []at {
	asked := &callv1.TransferRequested{N: 1, Mode: mode, Target: "support", Numbers: []*callv1.TransferNumber{
		{To: "+14155550177", Target: "support", RingTimeout: durationpb.New(rings), Group: 1},
	}}
	for _, f := range change {
		f(asked)
	}
	return more(talking(), at{10 * time.Second, asked})
}

func ringing(after time.Duration) []at {
	return []at{
		{after, &callv1.TransferStarting{N: 1, K: 1, Room: call.RoomName(id, 1)}},
		{after, &callv1.TransferStarted{N: 1, K: 1, SessionId: "operator"}},
		{after, &callv1.LegConnected{SessionId: "operator", UserId: call.OperatorID(id, 1, 1), Dialled: true}},
	}
}

// bridge is a call in which caller and operator talk since 20 s after it came in.
func bridge(change ...func(*callv1.TransferRequested)) []at {
	return more(handing(config.ModeCold, change...), append(ringing(12*time.Second),
		at{20 * time.Second, &callv1.LegAnswered{SessionId: "operator", UserId: call.OperatorID(id, 1, 1), Dialled: true}},
		at{20 * time.Second, &callv1.TransferAnswered{N: 1, K: 1, SessionId: "operator"}},
		at{20 * time.Second, &callv1.TransferCompleted{N: 1, K: 1}})...)
}

func botLeaves(m *callv1.TransferRequested) { m.BotLeaves = true }

func TestWhatFollowsWhileSomebodyIsCalledForTheCaller(t *testing.T) {
	cold := more(handing(config.ModeCold), ringing(12*time.Second)...)
	left := at{15 * time.Second, &callv1.BotExited{Attempt: 1}}
	crash := at{15 * time.Second, &callv1.BotExited{Attempt: 1, Status: 1}}
	again := at{17 * time.Second, &callv1.AttemptRequested{Attempt: 2, Place: callv1.Place_PLACE_SAME_ROOM, Agent: "sales"}}
	over := at{30 * time.Second, &callv1.TransferFailed{N: 1, Reason: "no_answer"}}
	wish := at{15 * time.Second, &callv1.EndRequested{Attempt: 1, Reason: "bot_ended"}}
	expect(t, map[string]row{
		"it rings":            {cold, 13 * time.Second, ""},
		"the caller hangs up": {more(cold, at{15 * time.Second, &callv1.LegEnded{SessionId: "leg"}}), 15 * time.Second, completed + calls.CallerHungUp},
		"the operator is in, the caller hangs up":      {more(cold, at{14 * time.Second, &callv1.LegAnswered{SessionId: "operator", Dialled: true}}, at{15 * time.Second, &callv1.LegEnded{SessionId: "leg"}}), 15 * time.Second, completed + calls.CallerHungUp},
		"the operator declines":                        {more(cold, at{15 * time.Second, &callv1.LegEnded{SessionId: "operator"}}), 15 * time.Second, ""},
		"the operator cannot be called":                {more(cold, at{15 * time.Second, &callv1.LegFailed{SessionId: "operator", Reason: "busy"}}), 15 * time.Second, ""},
		"the bot leaves":                               {more(cold, left), 15 * time.Second, "wait " + exitGrace.String()},
		"it is replaced, as one that died":             {more(cold, left), 15*time.Second + exitGrace, replacement},
		"the bot dies":                                 {more(cold, crash), 15 * time.Second, replacement},
		"the bot had left just before":                 {more(talking(), at{9 * time.Second, &callv1.BotExited{Attempt: 1}}, at{10 * time.Second, &callv1.TransferRequested{N: 1, Mode: "cold"}}), 9*time.Second + exitGrace, replacement},
		"another waits for a slot, and waits":          {more(cold, crash, again), 15*time.Second + 2*budget, ""},
		"the bot wants the end":                        {more(cold, wish), 15 * time.Second, ""},
		"and it fails":                                 {more(cold, wish, over), 30 * time.Second, ""},
		"and it fails, with which the call was to end": {more(handing(config.ModeCold, func(m *callv1.TransferRequested) { m.Ends = true }), wish, over), 30 * time.Second, completed + "bot_ended"},
		"the bot wanted the end before":                {more(talking(), at{9 * time.Second, &callv1.EndRequested{Attempt: 1, Reason: "bot_ended"}}, at{10 * time.Second, &callv1.TransferRequested{N: 1, Mode: "cold"}}), 10 * time.Second, completed + "bot_ended"},
		"nobody was had, and the call is to end":       {more(cold, over, at{31 * time.Second, &callv1.EndRequested{Attempt: 1, Reason: "transfer_failed"}}), 31 * time.Second, completed + "transfer_failed"},
		"nobody was had, the bot leaves":               {more(cold, over, at{40 * time.Second, &callv1.BotExited{Attempt: 1}}), 40*time.Second + exitGrace, completed + calls.BotEnded},
		"nobody was had, and no bot either":            {more(cold, crash, again, over), 30*time.Second + budget, failed + calls.BotLost},
		"nobody was had: a bot is waited for anew":     {more(cold, crash, again, over), 30*time.Second + budget - time.Second, "wait 1s"},
		"the call has lasted for long enough":          {cold, time.Second + longest, completed + calls.MaxDuration},
	})
}

func TestWhatFollowsWhenCallerAndOperatorTalk(t *testing.T) {
	crash := at{30 * time.Second, &callv1.BotExited{Attempt: 1, Status: 1}}
	left := at{30 * time.Second, &callv1.BotExited{Attempt: 1}}
	again := at{30 * time.Second, &callv1.AttemptRequested{Attempt: 2, Place: callv1.Place_PLACE_SAME_ROOM, Agent: "sales"}}
	joined := at{time.Second, &callv1.ParticipantJoined{SessionId: "bot", UserId: call.BotID(id, 1)}}
	gone := at{40 * time.Second, &callv1.LegEnded{SessionId: "leg"}}
	expect(t, map[string]row{
		"they talk":                               {bridge(), 30 * time.Second, ""},
		"the caller hangs up":                     {more(bridge(), gone), 40 * time.Second, completed + calls.CallerHungUp},
		"the operator hangs up":                   {more(bridge(), at{40 * time.Second, &callv1.LegEnded{SessionId: "operator"}}), 40 * time.Second, completed + calls.OperatorGone},
		"the operator is no longer present":       {more(bridge(), at{40 * time.Second, &callv1.LegLost{SessionId: "operator"}}), 40 * time.Second, completed + calls.OperatorGone},
		"another who was rung leaves":             {more(bridge(), at{21 * time.Second, &callv1.LegConnected{SessionId: "other", UserId: call.OperatorID(id, 1, 2)}}, at{22 * time.Second, &callv1.LegEnded{SessionId: "other"}}), 22 * time.Second, ""},
		"the bot dies: the room needs one":        {more(bridge(), crash), 30 * time.Second, replacement},
		"the bot leaves: the room needs one":      {more(bridge(), left), 30*time.Second + exitGrace, replacement},
		"no bot is to be had":                     {more(bridge(), crash, again, at{31 * time.Second, &callv1.BotStarting{Attempt: 2}}, at{30*time.Second + 2*budget, &callv1.BotFailed{Attempt: 2}}), 31*time.Second + 2*budget, "attempt 3 PLACE_SAME_ROOM sales"},
		"no slot is to be had":                    {more(bridge(), crash, again), 30*time.Second + 2*budget, ""},
		"the caller goes, no bot was there":       {more(bridge(), joined, crash, again, gone), time.Minute, completed + calls.CallerHungUp},
		"the bot was to leave, and does":          {more(bridge(botLeaves), left), time.Minute, ""},
		"the bot was to leave, and dies":          {more(bridge(botLeaves), crash), 10 * time.Minute, ""},
		"the bot wants the end":                   {more(bridge(), at{30 * time.Second, &callv1.EndRequested{Attempt: 1, Reason: "bot_ended"}}), 30 * time.Second, ""},
		"the call has lasted for long enough":     {bridge(botLeaves), time.Second + longest, completed + calls.MaxDuration},
		"another is called, and they talk on":     {more(bridge(botLeaves), left, at{time.Minute, &callv1.TransferRequested{N: 2, Mode: "cold"}}), 2 * time.Minute, ""},
		"another was not had, and they talk on":   {more(bridge(botLeaves), left, at{time.Minute, &callv1.TransferRequested{N: 2, Mode: "cold"}}, at{2 * time.Minute, &callv1.TransferFailed{N: 2}}), 2 * time.Minute, ""},
		"the story was never told to be together": {more(bridge()[:len(talking())-1], bridge()[len(talking()):]...), 20 * time.Second, "connected 1 leg"},
	})
}

func TestWhatFollowsWhenTheCallerIsSentAway(t *testing.T) {
	sending := func(mode string) []at {
		return more(handing(mode), at{12 * time.Second, &callv1.TransferStarting{N: 1, K: 1, SessionId: "leg"}})
	}
	gone := at{14 * time.Second, &callv1.LegEnded{SessionId: "leg"}}
	done := at{15 * time.Second, &callv1.TransferCompleted{N: 1, K: 1, Moved: true}}
	word := func(after time.Duration, state string) at {
		return at{after, &callv1.LegTransfer{SessionId: "leg", State: state}}
	}
	blind, refer := sending(config.ModeBlind), sending(config.ModeRefer)
	unheard := 15*time.Second + rings + movedGrace
	expect(t, map[string]row{
		"he is about to be sent":                         {blind, 13 * time.Second, ""},
		"he has left the room":                           {more(blind, gone), 14 * time.Second, ""},
		"he has left the room, the bot has, too":         {more(blind, gone, at{14 * time.Second, &callv1.BotExited{Attempt: 1}}), time.Minute, ""},
		"nobody ever tells of it":                        {more(blind, gone), time.Second + longest, completed + calls.MaxDuration},
		"it has failed: he has hung up":                  {more(blind, gone, at{15 * time.Second, &callv1.TransferFailed{N: 1}}), 15 * time.Second, completed + calls.CallerHungUp},
		"it has failed, though Daily had begun":          {more(blind, word(14*time.Second, "initiated"), gone, at{15 * time.Second, &callv1.TransferMissed{N: 1, K: 1}}), 15 * time.Second, completed + calls.CallerHungUp},
		"it was taken back: he has hung up":              {more(blind, gone, at{15 * time.Second, &callv1.TransferCancelled{N: 1}}), 15 * time.Second, completed + calls.CallerHungUp},
		"before it has begun, he hangs up":               {more(handing(config.ModeBlind), gone), 14 * time.Second, completed + calls.CallerHungUp},
		"it is on its way":                               {more(blind, gone, done, word(14*time.Second, "initiated")), 20 * time.Second, ""},
		"no answer was told of in time":                  {more(blind, gone, done, word(14*time.Second, "initiated")), unheard, completed + calls.Transferred},
		"no word of it was told at all":                  {more(blind, gone, done), unheard, completed + calls.Transferred},
		"nor that he has left":                           {more(blind, done), unheard, completed + calls.Transferred},
		"whether he has left is not told yet":            {more(blind, done, at{16 * time.Second, &callv1.BotExited{Attempt: 1}}), unheard - time.Second, ""},
		"somebody has answered":                          {more(blind, gone, done, word(20*time.Second, "answered")), unheard, ""},
		"they have talked for long enough":               {more(blind, gone, done, word(20*time.Second, "answered")), time.Second + longest, completed + calls.Transferred},
		"they have hung up":                              {more(blind, gone, done, word(20*time.Second, "answered"), word(time.Minute, "completed")), time.Minute, completed + calls.Transferred},
		"that they have hung up is told before the rest": {more(blind, gone, word(15*time.Second, "completed")), 15 * time.Second, ""},
		"a REFER is on its way":                          {more(refer, gone), 14 * time.Second, ""},
		"a REFER was taken":                              {more(refer, gone, word(14*time.Second, "initiated"), done), 15 * time.Second, completed + calls.Transferred},
		"a REFER was taken, and he is still there":       {more(refer, done), 16 * time.Second, ""},
		"a REFER was taken, and he goes much later":      {more(refer, done, at{20 * time.Second, &callv1.LegEnded{SessionId: "leg"}}), 20 * time.Second, completed + calls.Transferred},

		"the bot has sent him away by itself":      {more(talking(), word(9*time.Second, "triggered"), word(10*time.Second, "initiated"), gone), 14 * time.Second, completed + calls.Transferred},
		"it is about to, perhaps":                  {more(talking(), word(14*time.Second, "triggered"), gone), 14 * time.Second, "wait " + exitGrace.String()},
		"it was about to, and nothing came of it":  {more(talking(), word(9*time.Second, "triggered"), gone), 14*time.Second + exitGrace, completed + calls.CallerHungUp},
		"it has sent him away, and he is there":    {more(talking(), word(9*time.Second, "initiated")), 14 * time.Second, ""},
		"an operator's leg was sent away":          {more(bridge(), at{30 * time.Second, &callv1.LegTransfer{SessionId: "operator", State: "initiated"}}, at{31 * time.Second, &callv1.LegEnded{SessionId: "leg"}}), 31 * time.Second, completed + calls.CallerHungUp},
		"a call that we have placed is sent, too":  {more(placedAndAnswered(), at{20 * time.Second, &callv1.TransferRequested{N: 1, Mode: "blind"}}, at{21 * time.Second, &callv1.TransferStarting{N: 1, K: 1, SessionId: "callee"}}, at{22 * time.Second, &callv1.LegEnded{SessionId: "callee"}}), 22 * time.Second, ""},
		"of a call that we have placed one leaves": {more(placedAndAnswered(), at{20 * time.Second, &callv1.TransferRequested{N: 1, Mode: "cold"}}, at{22 * time.Second, &callv1.LegEnded{SessionId: "callee"}}), 22 * time.Second, completed + calls.CalleeHungUp},
		"of a call that we have placed both talk":  {more(placedAndAnswered(), at{20 * time.Second, &callv1.TransferRequested{N: 1, Mode: "cold"}}, at{20 * time.Second, &callv1.TransferStarted{N: 1, K: 1, SessionId: "operator"}}, at{21 * time.Second, &callv1.LegAnswered{SessionId: "operator", Attempt: 1}}, at{22 * time.Second, &callv1.LegEnded{SessionId: "operator"}}), 22 * time.Second, ""},
	})
}

// placedAndAnswered is a call that we have placed, with its person on the line.
func placedAndAnswered() []at {
	return []at{
		{0, &callv1.CallRequested{To: "+14155550123", Agent: "sales", AnswerBudget: durationpb.New(budget), MaxDuration: durationpb.New(longest), RingTimeout: durationpb.New(rings)}},
		{0, &callv1.AttemptRequested{Attempt: 1, Agent: "sales", Place: callv1.Place_PLACE_NEW_ROOM}},
		{time.Second, &callv1.RoomReady{Attempt: 1, Room: call.RoomName(id, 1)}},
		{time.Second, &callv1.BotStarting{Attempt: 1}},
		{time.Second, &callv1.BotReady{Attempt: 1}},
		{2 * time.Second, &callv1.DialStarting{Attempt: 1}},
		{2 * time.Second, &callv1.DialStarted{Attempt: 1, SessionId: "callee"}},
		{9 * time.Second, &callv1.LegAnswered{SessionId: "callee", Attempt: 1, Dialled: true}},
		{9 * time.Second, &callv1.DialAnswered{Attempt: 1, SessionId: "callee"}},
		{9 * time.Second, &callv1.CallConnected{Attempt: 1, SessionId: "callee"}},
	}
}

func TestWhatFollowsWhereAPersonIsTheLastStep(t *testing.T) {
	first := received()
	first.event.(*callv1.CallReceived).Overflow = "reception"
	one := []at{first}
	crash := at{2 * time.Second, &callv1.BotFailed{Attempt: 1, Reason: "late"}}
	wanted := at{budget, &callv1.AttemptRequested{Attempt: 2, Place: callv1.Place_PLACE_PERSON, Agent: "sales"}}
	person := more(one, crash, wanted)
	room := at{budget + time.Second, &callv1.RoomReady{Attempt: 2, Room: call.RoomName(id, 2)}}
	forwarding := more(person, room, at{budget + time.Second, &callv1.ForwardStarted{Attempt: 2}})
	forwarded := more(forwarding, at{budget + 2*time.Second, &callv1.CallForwarded{Attempt: 2}}, at{budget + 2*time.Second, &callv1.LegConnected{SessionId: "leg"}})
	asked := more(forwarded, at{budget + 3*time.Second, &callv1.TransferRequested{N: 1, Target: "reception", Mode: "cold", Numbers: []*callv1.TransferNumber{
		{To: "+14155550177", Target: "reception", RingTimeout: durationpb.New(rings), Group: 1},
		{To: "+14155550178", Target: "reception", RingTimeout: durationpb.New(rings / 2), Group: 1},
		{To: "+14155550179", Target: "reception", RingTimeout: durationpb.New(rings), Group: 2},
	}}})
	limit := budget + 3*time.Second + 2*rings + personGrace
	gone := at{budget + 5*time.Second, &callv1.LegEnded{SessionId: "leg"}}
	done := more(asked, at{budget + 10*time.Second, &callv1.TransferStarted{N: 1, K: 1, SessionId: "operator"}},
		at{budget + 10*time.Second, &callv1.LegAnswered{SessionId: "operator", Dialled: true}}, at{budget + 10*time.Second, &callv1.TransferCompleted{N: 1, K: 1}})
	expect(t, map[string]row{
		"the budget is nearly over":                {one, budget - 1, ""},
		"the budget is over":                       {one, budget, "attempt 2 PLACE_PERSON sales"},
		"the budget is over, a bot is ready":       {more(one, ready(time.Second, 1)...), budget, "attempt 2 PLACE_PERSON sales"},
		"the budget is over, the forward in doubt": {more(one, append(ready(time.Second, 1), at{time.Second, &callv1.ForwardStarted{Attempt: 1}})...), budget, "wait " + forwardGrace.String()},
		"the person's room is being made":          {person, budget + time.Second, ""},
		"the person's room is not to be had":       {more(person, at{budget + time.Second, &callv1.RoomFailed{Attempt: 2}}), budget + time.Second, missed + calls.NoBot},
		"nobody makes the person's room":           {person, budget + personGrace, missed + calls.NoBot},
		"the person's room is ready":               {more(person, room), budget + time.Second, ""},
		"the forward is refused":                   {more(forwarding, at{budget + 2*time.Second, &callv1.ForwardFailed{Attempt: 2}}), budget + 2*time.Second, missed + calls.NoBot},
		"the caller has gone":                      {more(forwarding, at{budget + 2*time.Second, &callv1.ForwardFailed{Attempt: 2, Gone: true}}), budget + 2*time.Second, abandoned + calls.CallerGone},
		"the forward is in doubt":                  {forwarding, budget + personGrace, "wait " + forwardGrace.String()},
		"the caller is in the room":                {forwarded, budget + 3*time.Second, ""},
		"nobody is asked for":                      {forwarded, budget + 2*time.Second + personGrace, missed + calls.Nobody},
		"somebody is being called":                 {asked, limit - 1, ""},
		"nobody answers, and nobody says so":       {asked, limit, missed + calls.Nobody},
		"nobody was had":                           {more(asked, at{budget + time.Minute, &callv1.TransferFailed{N: 1}}), budget + time.Minute, missed + calls.Nobody},
		"somebody took it back":                    {more(asked, at{budget + time.Minute, &callv1.TransferCancelled{N: 1}}), budget + time.Minute, missed + calls.Nobody},
		"the caller hangs up":                      {more(asked, gone), budget + 5*time.Second, abandoned + calls.CallerHungUp},
		"the caller hangs up, which is told first": {more(asked, gone, at{budget + 6*time.Second, &callv1.TransferCancelled{N: 1}}), budget + 6*time.Second, abandoned + calls.CallerHungUp},
		"somebody has answered":                    {done, budget + 10*time.Second, "connected 2 leg"},
		"they talk":                                {more(done, at{budget + 10*time.Second, &callv1.CallConnected{Attempt: 2}}), budget + 40*time.Minute, ""},
		"the operator hangs up":                    {more(done, at{budget + 10*time.Second, &callv1.CallConnected{Attempt: 2}}, at{2 * budget, &callv1.LegEnded{SessionId: "operator"}}), 2 * budget, completed + calls.OperatorGone},
		"the caller hangs up in the end":           {more(done, at{budget + 10*time.Second, &callv1.CallConnected{Attempt: 2}}, at{2 * budget, &callv1.LegEnded{SessionId: "leg"}}), 2 * budget, completed + calls.CallerHungUp},
		"they have talked for long enough":         {more(done, at{budget + 10*time.Second, &callv1.CallConnected{Attempt: 2}}), budget + 2*time.Second + longest, completed + calls.MaxDuration},
	})
}

func TestAMissedCallTellsAllThatWasTried(t *testing.T) {
	first := received()
	first.event.(*callv1.CallReceived).Overflow = "reception"
	story := []at{
		first,
		{time.Second, &callv1.BotFailed{Attempt: 1, Reason: "not ready in time"}},
		{time.Second, &callv1.AttemptRequested{Attempt: 2}},
		{2 * time.Second, &callv1.BotFailed{Attempt: 2, Reason: "not ready in time"}},
		{2 * time.Second, &callv1.AttemptRequested{Attempt: 3}},
		{3 * time.Second, &callv1.BotExited{Attempt: 3, Status: 1, Reason: "killed"}},
		{4 * time.Second, &callv1.AttemptRequested{Attempt: 4}},
		{budget, &callv1.AttemptRequested{Attempt: 5, Place: callv1.Place_PLACE_PERSON}},
		{budget, &callv1.CallForwarded{Attempt: 5}},
		{budget, &callv1.TransferRequested{N: 1, Numbers: []*callv1.TransferNumber{{To: "+14155550177", Target: "reception"}, {To: "+14155550178", Target: "manager"}, {To: "+14155550179", Target: "manager"}}}},
		{budget, &callv1.TransferStarting{N: 1, K: 1}},
		{budget, &callv1.TransferMissed{N: 1, K: 1, Cause: "no_answer"}},
		{budget, &callv1.TransferMissed{N: 1, K: 2, Cause: "error", Detail: "busy"}},
		{budget, &callv1.TransferFailed{N: 1, Reason: "no_answer"}},
	}
	m, _ := rules.Next(state(story), noon.Add(budget))
	const want = "attempts 1 to 2: bot failed: not ready in time; attempt 3: bot exited: killed; attempt 4: no bot within the answer budget; " +
		"reception +1********77: no_answer; manager +1********78: error (busy); manager +1********79: not called"
	if end, ok := m.(*callv1.CallEnded); !ok || end.GetDetail() != want {
		t.Errorf("%v,\nwant %s", m, want)
	}
}

func TestTheLimitFollowsTheHandingOver(t *testing.T) {
	blind := more(handing(config.ModeBlind), at{12 * time.Second, &callv1.TransferStarting{N: 1, K: 1, SessionId: "leg"}}, at{15 * time.Second, &callv1.TransferCompleted{N: 1, K: 1, Moved: true}})
	person := []at{received(), {budget, &callv1.AttemptRequested{Attempt: 2, Place: callv1.Place_PLACE_PERSON}}}
	for phrase, c := range map[string]struct {
		story []at
		want  time.Duration
	}{
		"a person is wanted":       {person, budget + personGrace},
		"he is in the room":        {more(person, at{budget + 5*time.Second, &callv1.CallForwarded{Attempt: 2}}), budget + 5*time.Second + personGrace},
		"they talk":                {bridge(), time.Second + longest},
		"he was sent away":         {blind, 15*time.Second + rings + movedGrace},
		"somebody answered there":  {more(blind, at{16 * time.Second, &callv1.LegTransfer{SessionId: "leg", State: "answered"}}), time.Second + longest},
		"somebody is being called": {handing(config.ModeCold), time.Second + longest},
	} {
		if got := rules.Limit(state(c.story)); !got.Equal(noon.Add(c.want)) {
			t.Errorf("%s: %s after the beginning, want %s", phrase, got.Sub(noon), c.want)
		}
	}
}
