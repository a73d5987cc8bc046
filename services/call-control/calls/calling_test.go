// SPDX-License-Identifier: Apache-2.0

package calls_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trunkline/trunkline/pkg/call"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/call-control/calls"
)

const (
	ringTime = 30 * time.Second
	window   = time.Hour
)

func requested(retries ...*callv1.Retry) at {
	return at{0, &callv1.CallRequested{
		To: "+14155550123", Agent: "sales", NotBefore: timestamppb.New(noon), NotAfter: timestamppb.New(noon.Add(window)),
		RingTimeout: durationpb.New(ringTime), AnswerBudget: durationpb.New(budget), MaxDuration: durationpb.New(longest), Retries: retries,
	}}
}

func retry(cause string, delay time.Duration, limit uint32) *callv1.Retry {
	return &callv1.Retry{Cause: cause, Delay: durationpb.New(delay), Limit: limit}
}

// then adds events to a story, each a second after the one before.
func then(story []at, events ...proto.Message) []at {
	story = slices.Clone(story)
	last := story[len(story)-1].after
	for i, e := range events {
		story = append(story, at{last + time.Duration(i+1)*time.Second, e})
	}
	return story
}

// botReady is a call whose bot is ready, four seconds after noon.
func botReady(retries ...*callv1.Retry) []at {
	return then([]at{requested(retries...)},
		&callv1.AttemptRequested{Attempt: 1, Place: callv1.Place_PLACE_NEW_ROOM, Agent: "sales"},
		&callv1.RoomReady{Attempt: 1, Room: "r1", Agent: "sales"}, &callv1.BotStarting{Attempt: 1}, &callv1.BotReady{Attempt: 1})
}

// dialling is one that was dialled at five seconds, and dialled one of which Daily has said so, at six.
func dialling(retries ...*callv1.Retry) []at {
	return then(botReady(retries...), &callv1.DialStarting{Attempt: 1, Room: "r1"})
}

func dialled(retries ...*callv1.Retry) []at {
	return then(dialling(retries...), &callv1.DialStarted{Attempt: 1, SessionId: "s"})
}

func rung(retries ...*callv1.Retry) []at {
	return then(dialled(retries...), &callv1.LegConnected{SessionId: "s", Room: "r1", Attempt: 1})
}

func answered(retries ...*callv1.Retry) []at {
	return then(rung(retries...), &callv1.LegAnswered{SessionId: "s", Room: "r1", Attempt: 1})
}

func failedDial(cause string, retries ...*callv1.Retry) []at {
	return then(rung(retries...), &callv1.DialFailed{Attempt: 1, Cause: cause})
}

const (
	anew      = "attempt 2 PLACE_NEW_ROOM sales"
	sameRoom  = "attempt 2 PLACE_SAME_ROOM sales"
	unreached = "ended OUTCOME_UNREACHED "
	cancelled = "ended OUTCOME_CANCELLED "
	s         = time.Second
)

func TestWhatFollowsForADialOut(t *testing.T) {
	leg := callv1.LegEnded{SessionId: "s", Room: "r1", Attempt: 1}
	talking := then(answered(), &callv1.DialAnswered{Attempt: 1, SessionId: "s"}, &callv1.CallConnected{Attempt: 1, SessionId: "s"})
	machine := then(talking, &callv1.VoicemailHeard{Attempt: 1})
	expect(t, map[string]row{
		"its turn is waited for":                    {[]at{requested()}, 0, ""},
		"its time runs out":                         {[]at{requested()}, window, cancelled + calls.Expired},
		"the end is wanted before it began":         {then([]at{requested()}, &callv1.EndRequested{Reason: "x"}), 2 * s, cancelled + "x"},
		"its bot is waited for":                     {botReady()[:3], 3 * s, ""},
		"its bot fails, and another is tried":       {then(botReady(), &callv1.BotFailed{Attempt: 1}), 6 * s, anew},
		"its room fails":                            {then(botReady()[:2], &callv1.RoomFailed{Attempt: 1}), 3 * s, anew},
		"no bot can be had in the budget":           {then(botReady()[:3], &callv1.BotFailed{Attempt: 1}), budget + s, missed + calls.NoBot},
		"a bot that is ready is to dial":            {botReady(), 5 * s, ""},
		"nothing is known of the dial":              {dialling(), 90 * s, ""},
		"nothing is known of the dial for too long": {dialling(), 95 * s, "dial 1 failed lost"},
		"a dial that Daily has taken is not lost":   {dialled(), 100 * s, ""},
		"it rings":                                     {rung(), 20 * s, ""},
		"a leg is as good as Daily's answer":           {then(dialling(), &callv1.LegSeen{SessionId: "x", Room: "r1", Attempt: 1}), 95 * s, ""},
		"it is answered":                               {answered(), 9 * s, "answered 1 s"},
		"bot and callee are together":                  {then(answered(), &callv1.DialAnswered{Attempt: 1, SessionId: "s"}), 10 * s, "connected 1 s"},
		"they talk":                                    {talking, 20 * s, ""},
		"they have talked for as long as they may":     {talking, 8*s + longest, completed + calls.MaxDuration},
		"the callee hangs up":                          {then(talking, &leg), 20 * s, completed + calls.CalleeHungUp},
		"the bot leaves":                               {then(talking, &callv1.BotExited{Attempt: 1}), 20 * s, completed + calls.BotEnded},
		"the bot dies in the call":                     {then(talking, &callv1.BotExited{Attempt: 1, Status: 1}), 12 * s, sameRoom},
		"the bot dies while it rings":                  {then(rung(), &callv1.BotExited{Attempt: 1, Status: 1}), 9 * s, sameRoom},
		"the bot leaves while it rings":                {then(rung(), &callv1.BotExited{Attempt: 1}), 8 * s, "wait 5s"},
		"the bot has left while it rang":               {then(rung(), &callv1.BotExited{Attempt: 1}), 13 * s, "dial 1 failed not_answered"},
		"it stops ringing, and the answer may be late": {then(rung(), &leg), 8 * s, "wait 2s"},
		"it has stopped ringing":                       {then(rung(), &leg), 10 * s, "dial 1 failed not_answered"},
		"it has stopped ringing because we hung up":    {then(rung(), &callv1.DialStopping{Attempt: 1}, &leg), 12 * s, "dial 1 failed no_answer"},
		"who answers when we hang up is too late":      {then(rung(), &callv1.DialStopping{Attempt: 1}, &callv1.LegAnswered{SessionId: "s", Room: "r1", Attempt: 1}), 10 * s, ""},
		"an error":      {then(rung(), &callv1.LegFailed{SessionId: "s", Room: "r1", Attempt: 1, Reason: "oh"}), 9 * s, "dial 1 failed error"},
		"a definite no": {then(rung(), &callv1.LegFailed{SessionId: "s", Room: "r1", Attempt: 1, Reason: "nobody has it"}), 9 * s, "dial 1 failed invalid_number"},
		"a dial that failed is the end without a retry":  {failedDial(calls.NotAnswered), 10 * s, unreached + calls.NotAnswered},
		"a retry for another cause is none":              {failedDial(calls.NotAnswered, retry(calls.NoAnswer, s, 3)), 10 * s, unreached + calls.NotAnswered},
		"a retry is waited for":                          {failedDial(calls.NotAnswered, retry(calls.NotAnswered, time.Minute, 1)), 10 * s, ""},
		"a retry would be too late":                      {failedDial(calls.NotAnswered, retry(calls.NotAnswered, window, 1)), 10 * s, unreached + calls.NotAnswered},
		"an answer that was reported after the failure":  {then(rung(retry(calls.NotAnswered, time.Minute, 1)), &leg, &callv1.DialFailed{Attempt: 1, Cause: calls.NotAnswered}, &callv1.LegAnswered{SessionId: "s", Room: "r1", Attempt: 1}), 12 * s, completed + calls.CalleeHungUp},
		"a definite no is not tried again":               {failedDial(calls.InvalidNumber, retry(calls.DialError, s, 3)), 10 * s, unreached + calls.InvalidNumber},
		"a dial that is lost is never tried again":       {failedDial(calls.Lost, retry(calls.DialError, s, 3)), 10 * s, failed + calls.DialLost},
		"nobody was in the room: it is tried again":      {failedDial(calls.NotDialled), 10 * s, anew},
		"the first retry failed, too, and was the last":  {then(failedDial(calls.NoAnswer, retry(calls.NoAnswer, s, 1)), &callv1.AttemptRequested{Attempt: 2, Place: callv1.Place_PLACE_NEW_ROOM}, &callv1.DialStarting{Attempt: 2}, &callv1.DialFailed{Attempt: 2, Cause: calls.NoAnswer}), 15 * s, unreached + calls.NoAnswer},
		"of two retries the second is waited for":        {then(failedDial(calls.NoAnswer, retry(calls.NoAnswer, time.Minute, 2)), &callv1.AttemptRequested{Attempt: 2, Place: callv1.Place_PLACE_NEW_ROOM}, &callv1.DialStarting{Attempt: 2}, &callv1.DialFailed{Attempt: 2, Cause: calls.NoAnswer}), 15 * s, ""},
		"the dial fails when another bot has come":       {then(rung(), &callv1.AttemptRequested{Attempt: 2, Place: callv1.Place_PLACE_SAME_ROOM}, &callv1.DialFailed{Attempt: 1, Cause: calls.NoAnswer}), 15 * s, unreached + calls.NoAnswer},
		"a machine: the bot may speak to it":             {machine, 15 * s, ""},
		"a machine, and the bot has left":                {then(machine, &callv1.BotExited{Attempt: 1}), 15 * s, "dial 1 failed voicemail"},
		"a machine, and the bot wants the end":           {then(machine, &callv1.EndRequested{Reason: "bot_ended"}), 15 * s, "dial 1 failed voicemail"},
		"a machine that hangs up":                        {then(machine, &leg), 15 * s, "dial 1 failed voicemail"},
		"a machine is not a person reached":              {then(machine, &callv1.EndRequested{}, &callv1.DialFailed{Attempt: 1, Cause: calls.Voicemail}), 20 * s, unreached + calls.Voicemail},
		"the end that the bot wanted is not the retry's": {then(then(machine, &callv1.EndRequested{}, &callv1.DialFailed{Attempt: 1, Cause: calls.Voicemail}), &callv1.AttemptRequested{Attempt: 2, Place: callv1.Place_PLACE_NEW_ROOM}), 20 * s, ""},
		"the bot wants the end while it rings":           {then(rung(), &callv1.EndRequested{Attempt: 1, Reason: "bot_ended"}), 8 * s, "wait 5s"},
		"the bot wanted the end while it rang":           {then(rung(), &callv1.EndRequested{Attempt: 1, Reason: "bot_ended"}), 13 * s, cancelled + "bot_ended"},
		"the bot wants the end because it was declined":  {then(rung(), &callv1.EndRequested{Attempt: 1, Reason: "bot_ended"}, &leg), 11 * s, "dial 1 failed not_answered"},
		"a retry for which no bot can be had":            {then(failedDial(calls.NoAnswer, retry(calls.NoAnswer, s, 1)), &callv1.AttemptRequested{Attempt: 2, Place: callv1.Place_PLACE_NEW_ROOM}), 10*s + budget, unreached + calls.NoAnswer},
		"a retry whose time runs out":                    {then(failedDial(calls.NoAnswer, retry(calls.NoAnswer, s, 3)), &callv1.AttemptRequested{Attempt: 2, Place: callv1.Place_PLACE_NEW_ROOM}, &callv1.DialFailed{Attempt: 2, Cause: calls.PutOff}), window, unreached + calls.NoAnswer},
		"ready, and Daily's pace is waited for":          {botReady(), s + budget, ""},
		"a call that is over":                            {then(talking, &callv1.CallEnded{}), window, ""},
	})
}

func TestWhatFollowsForABotThatDialsByItself(t *testing.T) {
	own := botReady()
	own[0].event.(*callv1.CallRequested).BotDials = true
	expect(t, map[string]row{
		"it dials":                     {own, 10 * s, ""},
		"somebody answers":             {then(own, &callv1.LegAnswered{SessionId: "a", Room: "r1", Attempt: 1}), 6 * s, "connected 1 a"},
		"nobody does, and it leaves":   {then(own, &callv1.LegConnected{SessionId: "a", Room: "r1", Attempt: 1}, &callv1.BotExited{Attempt: 1}), 12 * s, unreached + calls.NotAnswered},
		"it dies: it may have dialled": {then(own, &callv1.BotExited{Attempt: 1, Status: 1}), 12 * s, unreached + calls.NotAnswered},
		"it joins and dies":            {then(own[:4], &callv1.ParticipantJoined{SessionId: "b", UserId: call.BotID(id, 1)}, &callv1.BotExited{Attempt: 1, Status: 1}), 13 * s, unreached + calls.NotAnswered},
		"it dies before it is ready":   {then(own[:4], &callv1.BotExited{Attempt: 1, Status: 1}), 12 * s, anew},
	})
}

func TestTheLimitOfADialOut(t *testing.T) {
	for phrase, c := range map[string]struct {
		story []at
		want  time.Duration
	}{
		"before its turn":      {[]at{requested()}, window},
		"without a bot":        {botReady()[:2], s + budget},
		"a second attempt":     {then(botReady()[:2], &callv1.RoomFailed{Attempt: 1}, &callv1.AttemptRequested{Attempt: 2, Place: callv1.Place_PLACE_NEW_ROOM}), s + budget},
		"waiting for the dial": {botReady(), s + 2*budget},
		"being dialled":        {dialled(), 5*s + ringTime + 180*s},
		"answered":             {answered(), 8*s + longest},
		"waiting for a retry":  {failedDial(calls.NoAnswer, retry(calls.NoAnswer, time.Minute, 1)), window},
	} {
		if got := rules.Limit(state(c.story)).Sub(noon); got != c.want {
			t.Errorf("%s: %s, want %s", phrase, got, c.want)
		}
	}
}
