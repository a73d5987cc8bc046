// SPDX-License-Identifier: Apache-2.0

package transfers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

const (
	announceWithin = 10 * time.Second
	briefWithin    = 30 * time.Second
	rings          = 20 * time.Second
)

var (
	id    = bus.CallID("domain", "call")
	noon  = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	rules = Rules{LostAfter: time.Minute, MessageTimeout: 15 * time.Second}
)

// at is an event of a story, so many seconds after noon.
type at struct {
	after float64
	event proto.Message
}

func sec(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// stateAfter is a call of which all of these events are known, in this order.
func stateAfter(stories ...[]at) *call.State {
	s, seq := call.New(id), uint64(0)
	for _, story := range stories {
		for _, e := range story {
			seq++
			s.Apply(&bus.Event{CallID: id, Seq: seq, Time: noon.Add(sec(e.after)), Data: e.event})
		}
	}
	return s
}

func more(story []at, events ...at) []at { return append(append([]at{}, story...), events...) }

// talking is a call in which caller and bot are together.
func talking() []at {
	return []at{
		{-60, &callv1.CallReceived{Agent: "sales"}},
		{-59, &callv1.BotStarting{Attempt: 1}},
		{-59, &callv1.BotReady{Attempt: 1}},
		{-58, &callv1.CallForwarded{Attempt: 1, Room: "room"}},
		{-58, &callv1.LegConnected{SessionId: "caller", Room: "room", Attempt: 1}},
	}
}

func number(to string, group uint32) *callv1.TransferNumber {
	return &callv1.TransferNumber{To: to, Target: "support", RingTimeout: durationpb.New(rings), Group: group}
}

// wants is a request for a transfer, which needs no announcement.
func wants(mode string, numbers ...*callv1.TransferNumber) *callv1.TransferRequested {
	return &callv1.TransferRequested{
		N: 1, Target: "support", Mode: mode, Numbers: numbers,
		AnnounceWithin: durationpb.New(announceWithin), BriefWithin: durationpb.New(briefWithin),
	}
}

// asked is a call in which a transfer has been asked for at noon, and is executed from then on.
func asked(mode string, numbers ...*callv1.TransferNumber) []at {
	return more(talking(), at{0, wants(mode, numbers...)}, at{0, &callv1.TransferAnnounced{N: 1}})
}

// The steps of a try, by its number.
func starting(after float64, k uint32) at {
	return at{after, &callv1.TransferStarting{N: 1, K: k, Room: "room"}}
}

func operator(k uint32) string { return fmt.Sprint("operator", k) }

func started(after float64, k uint32) at {
	return at{after, &callv1.TransferStarted{N: 1, K: k, SessionId: operator(k)}}
}

func ringing(after float64, k uint32) at {
	return at{after, &callv1.LegConnected{SessionId: operator(k), Room: "room", Attempt: 1, UserId: call.OperatorID(id, 1, k), Dialled: true}}
}

func answers(after float64, k uint32) at {
	return at{after, &callv1.LegAnswered{SessionId: operator(k), Room: "room", Attempt: 1, UserId: call.OperatorID(id, 1, k), Dialled: true}}
}

func leaves(after float64, k uint32) at {
	return at{after, &callv1.LegEnded{SessionId: operator(k), Room: "room", Attempt: 1, UserId: call.OperatorID(id, 1, k), Dialled: true}}
}

func fails(after float64, k uint32, reason string) at {
	return at{after, &callv1.LegFailed{SessionId: operator(k), Room: "room", Attempt: 1, UserId: call.OperatorID(id, 1, k), Dialled: true, Reason: reason}}
}

func stopping(after float64, k uint32) at { return at{after, &callv1.TransferStopping{N: 1, K: k}} }

func answered(after float64, k uint32) at {
	return at{after, &callv1.TransferAnswered{N: 1, K: k, SessionId: operator(k)}}
}

func missed(after float64, k uint32, cause string) at {
	return at{after, &callv1.TransferMissed{N: 1, K: k, Cause: cause}}
}

func held(after float64) at { return at{after, &callv1.TransferHeld{N: 1, SessionId: "caller"}} }

func briefing(after float64, k uint32) at { return at{after, &callv1.TransferBriefing{N: 1, K: k}} }

func briefed(after float64, k uint32) at { return at{after, &callv1.TransferBriefed{N: 1, K: k}} }

func declined(after float64, k uint32) at {
	return at{after, &callv1.TransferBriefed{N: 1, K: k, Declined: true, Detail: "busy"}}
}

func completed(after float64, k uint32) at { return at{after, &callv1.TransferCompleted{N: 1, K: k}} }

func failed(after float64, reason string) at {
	return at{after, &callv1.TransferFailed{N: 1, Reason: reason}}
}

func cancelled(after float64) at {
	return at{after, &callv1.TransferCancelled{N: 1, Reason: TakenBack}}
}

func botLost(after float64) at { return at{after, &callv1.BotFailed{Attempt: 1, Reason: "gone"}} }

func hangsUp(after float64) at {
	return at{after, &callv1.LegEnded{SessionId: "caller", Room: "room", Attempt: 1}}
}

func callEnds(after float64) at { return at{after, &callv1.CallEnded{Reason: "caller_hung_up"}} }

// rung is one number, dialled and ringing since one second.
func rung(mode string) []at {
	return more(asked(mode, number("+1", 1)), starting(1, 1), started(1, 1), ringing(1, 1))
}

// warmly is a warm transfer whose number rings.
func warmly() []at {
	return more(asked(config.ModeWarm, number("+1", 1)), held(1), starting(1, 1), started(1, 1), ringing(1, 1))
}

// what follows, in words: "dial 1", "answered 1", "missed 1 no_answer", "wait 10s", or "" for nothing.
func what(s step) string {
	switch m := s.decide.(type) {
	case nil:
	case *callv1.TransferAnnounced:
		return strings.TrimSuffix(fmt.Sprintf("announced late=%t", m.GetLate()), " late=false")
	case *callv1.TransferHeld:
		return "held " + m.GetSessionId()
	case *callv1.TransferStopping:
		return fmt.Sprint("stopping ", m.GetK())
	case *callv1.TransferAnswered:
		return fmt.Sprint("answered ", m.GetK())
	case *callv1.TransferBriefing:
		return fmt.Sprint("briefing ", m.GetK())
	case *callv1.TransferBriefed:
		return fmt.Sprintf("briefed %d late=%t", m.GetK(), m.GetLate())
	case *callv1.TransferMissed:
		return strings.TrimSpace(fmt.Sprintf("missed %d %s %s", m.GetK(), m.GetCause(), m.GetDetail()))
	case *callv1.TransferCompleted:
		return strings.TrimSpace(fmt.Sprintf("completed %d %s", m.GetK(), m.GetTold())) + map[bool]string{true: " moved"}[m.GetMoved()]
	case *callv1.TransferFailed:
		return "failed " + m.GetReason()
	case *callv1.TransferCancelled:
		return "cancelled " + m.GetReason()
	case *callv1.EndRequested:
		return "end " + m.GetReason()
	default:
		return fmt.Sprintf("%T", m)
	}
	if s.act.does != nothing {
		return strings.TrimSuffix(fmt.Sprintf("%s %d", s.act.does, s.act.k), " 0")
	}
	if !s.until.IsZero() {
		return fmt.Sprint("wait until ", s.until.Sub(noon))
	}
	return ""
}

// row is what follows for a call some seconds after noon, when some acts have just been done.
type row struct {
	story []at
	now   float64
	did   []act
	want  string
}

func did(does verb, k uint32) []act { return []act{{does, 1, k}} }

func expect(t *testing.T, table map[string]row) {
	t.Helper()
	for phrase, c := range table {
		done := map[act]bool{}
		for _, a := range c.did {
			done[a] = true
		}
		if got := what(rules.Next(stateAfter(c.story), noon.Add(sec(c.now)), done)); got != c.want {
			t.Errorf("%s: %q, want %q", phrase, got, c.want)
		}
	}
}

func TestWhatFollowsUntilTheTransferIsExecuted(t *testing.T) {
	wanted := wants(config.ModeCold, number("+1", 1))
	silent := more(talking(), at{0, wanted})
	spoken := proto.CloneOf(wanted)
	spoken.Announcement = "One moment please."
	announced := more(talking(), at{0, spoken})
	expect(t, map[string]row{
		"nobody wants a transfer":                     {story: talking(), want: ""},
		"there is nothing to announce":                {story: silent, want: "announced"},
		"the bot announces it":                        {story: announced, now: 1, want: "wait until 10s"},
		"the bot does not say that it has":            {story: announced, now: 10, want: "announced late=true"},
		"the bot has said so":                         {story: more(announced, at{2, &callv1.TransferAnnounced{N: 1}}), now: 2, want: "dial 1"},
		"it is taken back before that":                {story: more(announced, cancelled(2)), now: 11, want: ""},
		"the caller hangs up before that":             {story: more(announced, hangsUp(2), callEnds(2)), now: 2, want: "cancelled caller_hung_up"},
		"the call is ended before that":               {story: more(announced, callEnds(2)), now: 2, want: "cancelled call_ended"},
		"the request is known later than what it led": {story: more(talking(), starting(1, 1)), now: 1, want: ""},
	})
}

func TestWhatFollowsForAColdTransfer(t *testing.T) {
	none := asked(config.ModeCold, number("+1", 1))
	rung := rung(config.ModeCold)
	taken := more(rung, answers(8, 1))
	expect(t, map[string]row{
		"nobody has been dialled":                      {story: none, want: "dial 1"},
		"it is about to be dialled":                    {story: more(none, starting(1, 1)), now: 1, want: "wait until 1m1s"},
		"Daily dials":                                  {story: more(none, starting(1, 1), started(2, 1)), now: 2, want: "wait until 22s"},
		"it rings":                                     {story: rung, now: 2, want: "wait until 21s"},
		"it has rung for long enough":                  {story: rung, now: 21, want: "stopping 1"},
		"it is to ring no more":                        {story: more(rung, stopping(21, 1)), now: 21, want: "hang_up 1"},
		"it rings no more":                             {story: more(rung, stopping(21, 1)), now: 21, did: did(hangUp, 1), want: "missed 1 no_answer"},
		"it rings no more, says Daily":                 {story: more(rung, stopping(21, 1), leaves(21.1, 1)), now: 21.1, want: "missed 1 no_answer"},
		"it was answered when it was to ring no more":  {story: more(rung, stopping(21, 1), answers(21.1, 1)), now: 21.2, want: "hang_up 1"},
		"it was answered as late, and is hung up":      {story: more(rung, stopping(21, 1), answers(21.1, 1)), now: 21.2, did: did(hangUp, 1), want: "missed 1 no_answer"},
		"it was answered just before that":             {story: more(rung, answers(20.9, 1), stopping(21, 1)), now: 21, want: "answered 1"},
		"it is declined":                               {story: more(rung, leaves(5, 1)), now: 5, want: "missed 1 not_answered"},
		"Daily cannot reach it":                        {story: more(none, starting(1, 1), started(1, 1), fails(2, 1, "no route")), now: 2, want: "missed 1 refused no route"},
		"somebody answers":                             {story: taken, now: 8, want: "answered 1"},
		"somebody has answered":                        {story: more(taken, answered(8, 1)), now: 8, want: "completed 1"},
		"somebody has answered and left again":         {story: more(taken, answered(8, 1), leaves(8.5, 1)), now: 9, want: "missed 1 hung_up"},
		"somebody answered and left before we knew":    {story: more(taken, leaves(8.5, 1)), now: 9, want: "missed 1 not_answered"},
		"we hear first that it is over, then that not": {story: more(none, starting(1, 1), leaves(5, 1), answers(5.1, 1), ringing(5.2, 1), started(5.3, 1)), now: 5.3, want: "missed 1 not_answered"},
		"we hear everything twice":                     {story: more(taken, ringing(9, 1), answers(9, 1)), now: 9, want: "answered 1"},
		"nobody was had":                               {story: more(rung, missed(21, 1, NoAnswer), leaves(21, 1)), now: 21, want: "failed no_answer"},
		"nobody is there at this time":                 {story: asked(config.ModeCold), want: "failed closed"},
		"nobody was had, and the phone rings still":    {story: more(rung, missed(21, 1, NoAnswer)), now: 21, want: "hang_up 1"},
		"it is done":                                   {story: more(taken, answered(8, 1), completed(8, 1)), now: 9, did: did(silence, 0), want: ""},
		"it is done, and the bot is lost":              {story: more(taken, answered(8, 1), completed(8, 1), botLost(9)), now: 9, want: ""},
		"the bot is lost while it rings":               {story: more(rung, botLost(3)), now: 3, want: "wait until 21s"},
		"the bot is lost when somebody has answered":   {story: more(taken, answered(8, 1), botLost(8)), now: 8, want: "completed 1"},
	})
}

func TestWhatFollowsWhenADialIsInDoubt(t *testing.T) {
	none := more(asked(config.ModeCold, number("+1", 1), number("+2", 2)), starting(1, 1))
	seen := at{5, &callv1.LegSeen{SessionId: operator(1), Room: "room", Attempt: 1, UserId: call.OperatorID(id, 1, 1)}}
	expect(t, map[string]row{
		"nothing is known of it yet":                      {story: none, now: 30, want: "wait until 1m1s"},
		"nothing is known of it for long":                 {story: none, now: 61, want: "missed 1 lost"},
		"its leg is known by its user id":                 {story: more(none, ringing(5, 1)), now: 6, want: "wait until 25s"},
		"its leg is seen":                                 {story: more(none, seen), now: 6, want: "wait until 25s"},
		"its leg has rung for long enough":                {story: more(none, ringing(5, 1)), now: 25, want: "stopping 1"},
		"its leg answers":                                 {story: more(none, answers(5, 1)), now: 6, want: "answered 1"},
		"its leg shows up when it has been given up":      {story: more(none, missed(61, 1, Lost), ringing(62, 1)), now: 62, want: "hang_up 1"},
		"its leg answers when it has been given up":       {story: more(none, missed(61, 1, Lost), answers(62, 1)), now: 62, want: "hang_up 1"},
		"its leg shows up when the transfer is cancelled": {story: more(none, cancelled(3), ringing(5, 1)), now: 5, want: "hang_up 1"},
		"its leg shows up when the call is over":          {story: more(none, hangsUp(2), callEnds(2), at{2, &callv1.TransferCancelled{N: 1}}, ringing(5, 1)), now: 5, want: "hang_up 1"},
		"it has been given up":                            {story: more(none, missed(61, 1, Lost)), now: 61, want: "dial 2"},
		"a stranger's leg is not it":                      {story: more(none, at{5, &callv1.LegConnected{SessionId: "stranger", UserId: call.OperatorID(bus.CallID("domain", "other"), 1, 1), Dialled: true}}), now: 6, want: "wait until 1m1s"},
	})
}

func TestWhatFollowsForNumbersInOrder(t *testing.T) {
	first := more(asked(config.ModeCold, number("+1", 1), number("+2", 2)), starting(1, 1), started(1, 1), ringing(1, 1))
	second := more(first, stopping(21, 1), missed(21, 1, NoAnswer), leaves(21, 1))
	expect(t, map[string]row{
		"the first rings":                      {story: first, now: 5, want: "wait until 21s"},
		"the first has not answered":           {story: second, now: 21, want: "dial 2"},
		"the first is known not to ring later": {story: second[:len(second)-1], now: 21, did: did(hangUp, 1), want: "dial 2"},
		"the first answers when we have given it up": {
			story: more(second[:len(second)-1], starting(22, 2), answers(22, 1)), now: 22, want: "hang_up 1",
		},
		"the second was refused": {story: more(second, missed(22, 2, Refused)), now: 22, want: "failed refused"},
		"the second answers":     {story: more(second, starting(22, 2), answers(25, 2)), now: 25, want: "answered 2"},
	})
}

func TestWhatFollowsForNumbersAtOnce(t *testing.T) {
	none := asked(config.ModeCold, number("+1", 1), number("+2", 1), number("+3", 2))
	both := more(none, starting(1, 1), ringing(1, 1), starting(2, 2), ringing(2, 2))
	expect(t, map[string]row{
		"the first has been dialled":                         {story: more(none, starting(1, 1), ringing(1, 1)), now: 1, want: "dial 2"},
		"the third is not rung with them":                    {story: both, now: 2, want: "wait until 21s"},
		"the first has rung for long enough":                 {story: both, now: 21, want: "stopping 1"},
		"the second rings longer":                            {story: more(both, stopping(21, 1), missed(21, 1, NoAnswer), leaves(21, 1)), now: 21, want: "wait until 22s"},
		"both were missed":                                   {story: more(both, missed(21, 1, NoAnswer), leaves(21, 1), missed(22, 2, NoAnswer), leaves(22, 2)), now: 22, want: "dial 3"},
		"the second answers":                                 {story: more(both, answers(5, 2)), now: 5, want: "answered 2"},
		"both answer, the second first":                      {story: more(both, answers(5, 2), answers(5.1, 1)), now: 6, want: "answered 2"},
		"the second has answered":                            {story: more(both, answers(5, 2), answered(5, 2)), now: 5, want: "hang_up 1"},
		"the second has answered, and the first rings not":   {story: more(both, answers(5, 2), answered(5, 2), leaves(5, 1)), now: 5, want: "completed 2"},
		"the first answers when the second has":              {story: more(both, answers(5, 2), answered(5, 2), answers(5.1, 1)), now: 6, want: "hang_up 1"},
		"the first answers when it is done":                  {story: more(both, answers(5, 2), answered(5, 2), completed(5, 2), answers(5.1, 1)), now: 6, want: "hang_up 1"},
		"the second leaves, and the first was hung up on":    {story: more(both, answers(5, 2), answered(5, 2), leaves(5, 1), leaves(6, 2), missed(6, 2, HungUp)), now: 6, want: "missed 1 not_answered"},
		"the first was dialled as the second answered":       {story: more(none, starting(1, 1), started(1, 1), starting(2, 2), answers(3, 2), answered(3, 2)), now: 3, want: "hang_up 1"},
		"the first is in doubt, and the second has answered": {story: more(none, starting(1, 1), starting(2, 2), answers(3, 2), answered(3, 2)), now: 3, want: "completed 2"},
	})
}

func TestWhatFollowsForAWarmTransfer(t *testing.T) {
	none := asked(config.ModeWarm, number("+1", 1), number("+2", 2))
	taken := more(warmly(), answers(8, 1), answered(8, 1))
	told := more(taken, briefing(9, 1))
	expect(t, map[string]row{
		"the caller is not on hold":                      {story: none, want: "hold"},
		"the caller is":                                  {story: none, did: did(hold, 0), want: "held caller"},
		"that is known":                                  {story: more(none, held(1)), now: 1, want: "dial 1"},
		"it rings":                                       {story: warmly(), now: 2, want: "wait until 21s"},
		"somebody has answered":                          {story: taken, now: 8, want: "seclude"},
		"the caller hears nobody":                        {story: taken, now: 8, did: did(seclude, 0), want: "briefing 1"},
		"the bot tells what it is about":                 {story: told, now: 9, want: "wait until 39s"},
		"the bot does not come to an end":                {story: told, now: 39, want: "briefed 1 late=true"},
		"the bot has told it":                            {story: more(told, briefed(12, 1)), now: 12, want: "restore"},
		"the caller hears everybody":                     {story: more(told, briefed(12, 1)), now: 12, did: did(restore, 0), want: "completed 1"},
		"whoever has answered declines":                  {story: more(told, declined(12, 1)), now: 12, want: "missed 1 declined busy"},
		"who has declined is hung up on":                 {story: more(told, declined(12, 1), missed(12, 1, Declined)), now: 12, want: "hang_up 1"},
		"then the caller hears the bot":                  {story: more(told, declined(12, 1), missed(12, 1, Declined), leaves(13, 1)), now: 13, want: "restore"},
		"then it has failed, though a number was left":   {story: more(none, held(1), starting(1, 1), answers(8, 1), answered(8, 1), briefing(9, 1), declined(12, 1), missed(12, 1, Declined), leaves(13, 1)), now: 13, did: did(restore, 0), want: "failed declined"},
		"whoever has answered leaves while he is told":   {story: more(told, leaves(10, 1)), now: 10, want: "missed 1 hung_up"},
		"whoever has answered leaves when he has heard":  {story: more(told, briefed(12, 1), leaves(12.5, 1)), now: 13, want: "missed 1 hung_up"},
		"nobody answers":                                 {story: more(warmly(), missed(21, 1, NoAnswer), leaves(21, 1)), now: 21, want: "restore"},
		"nobody answers, and the caller is off hold":     {story: more(warmly(), missed(21, 1, NoAnswer), leaves(21, 1)), now: 21, did: did(restore, 0), want: "failed no_answer"},
		"the bot is lost while the caller is on hold":    {story: more(none, held(1), botLost(2)), now: 2, want: "restore"},
		"then it goes on as a cold one":                  {story: more(none, held(1), botLost(2)), now: 2, did: did(restore, 0), want: "dial 1"},
		"the bot is lost while it rings":                 {story: more(warmly(), botLost(5)), now: 5, did: did(restore, 0), want: "wait until 21s"},
		"the bot is lost while it tells":                 {story: more(told, botLost(10)), now: 10, want: "restore"},
		"the bot is lost while it tells, and it goes on": {story: more(told, botLost(10)), now: 10, did: did(restore, 0), want: "completed 1"},
		"another bot has come since":                     {story: more(told, botLost(10), at{11, &callv1.BotReady{Attempt: 2}}), now: 11, want: "restore"},
		"another bot has come before": {story: more(talking(), botLost(-5), at{-4, &callv1.AttemptRequested{Attempt: 2}}, at{-4, &callv1.BotReady{Attempt: 2}},
			at{0, wants(config.ModeWarm, number("+1", 1))}, at{0, &callv1.TransferAnnounced{N: 1}}), want: "hold"},
	})
}

func TestWhatFollowsWhenTheCallerIsSentAway(t *testing.T) {
	away := func(after float64, k uint32) at {
		return at{after, &callv1.TransferStarting{N: 1, K: k, Room: "room", SessionId: "caller"}}
	}
	took := func(after float64, k uint32) at { return at{after, &callv1.TransferStarted{N: 1, K: k}} }
	tells := func(after float64, state string) at {
		return at{after, &callv1.LegTransfer{SessionId: "caller", State: state}}
	}
	for _, mode := range []string{config.ModeBlind, config.ModeRefer} {
		none := asked(mode, number("+1", 1), number("+2", 2))
		sent := more(none, away(1, 1), took(1, 1))
		expect(t, map[string]row{
			mode + ": nobody has been asked":                    {story: none, want: "move 1"},
			mode + ": Daily is asked":                           {story: more(none, away(1, 1)), now: 1, want: "wait until 1m1s"},
			mode + ": Daily has taken the request":              {story: sent, now: 1, want: "wait until 1m1s"},
			mode + ": Daily begins":                             {story: more(sent, tells(2, "triggered")), now: 2, want: "wait until 1m1s"},
			mode + ": Daily is on it":                           {story: more(sent, tells(2, "initiated")), now: 2, want: "wait until 3s"},
			mode + ": Daily was on it, and the caller has gone": {story: more(sent, tells(2, "initiated"), hangsUp(3)), now: 3, want: "completed 1 initiated moved"},
			mode + ": Daily was on it, and the caller stays":    {story: more(sent, tells(2, "initiated")), now: 61, want: "missed 1 not_moved"},
			mode + ": Daily tells in the wrong order":           {story: more(sent, tells(2, "answered"), tells(3, "triggered")), now: 3, want: "completed 1 answered moved"},
			mode + ": the caller's leg is gone":                 {story: more(sent, hangsUp(3)), now: 3, want: "completed 1 moved"},
			mode + ": the caller is here still":                 {story: sent, now: 61, want: "missed 1 not_moved"},
			mode + ": nobody knows what became of it":           {story: more(none, away(1, 1)), now: 61, want: "missed 1 lost"},
			mode + ": Daily would not":                          {story: more(none, away(1, 1), missed(1, 1, Refused)), now: 1, want: "move 2"},
			mode + ": Daily would not for any":                  {story: more(none, away(1, 1), missed(1, 1, Refused), missed(2, 2, Refused)), now: 2, want: "failed refused"},
			mode + ": it is done":                               {story: more(sent, hangsUp(3), at{3, &callv1.TransferCompleted{N: 1, K: 1, Moved: true}}), now: 3, want: ""},
			mode + ": it is done, and Daily tells some more":    {story: more(sent, hangsUp(3), at{3, &callv1.TransferCompleted{N: 1, K: 1, Moved: true}}, tells(9, "completed")), now: 9, want: ""},
			mode + ": the caller hangs up before":               {story: more(none, hangsUp(1), callEnds(1)), now: 1, want: "cancelled caller_hung_up"},
		})
	}
}

// At each step of a transfer, the caller hangs up, the call is ended, or the transfer is taken back.
func TestWhatFollowsWhenItIsOverInTheMiddle(t *testing.T) {
	cold, warm := rung(config.ModeCold), warmly()
	steps := map[string]struct {
		story []at
		up    bool // somebody who has been dialled is there, or may be
	}{
		"when it is executed":            {asked(config.ModeCold, number("+1", 1)), false},
		"when the caller is on hold":     {more(asked(config.ModeWarm, number("+1", 1)), held(1)), false},
		"when a dial is in doubt":        {more(asked(config.ModeCold, number("+1", 1)), starting(1, 1)), false},
		"when Daily dials":               {more(asked(config.ModeCold, number("+1", 1)), starting(1, 1), started(1, 1)), true},
		"when it rings":                  {cold, true},
		"when it is to ring no more":     {more(cold, stopping(2, 1)), true},
		"when it has been declined":      {more(cold, leaves(2, 1)), false},
		"when somebody answers":          {more(cold, answers(2, 1)), true},
		"when somebody has answered":     {more(cold, answers(2, 1), answered(2, 1)), true},
		"when who answered has left":     {more(cold, answers(2, 1), answered(2, 1), leaves(2, 1)), false},
		"when a held caller's rings":     {warm, true},
		"when the summary is told":       {more(warm, answers(2, 1), answered(2, 1), briefing(2, 1)), true},
		"when the summary has been told": {more(warm, answers(2, 1), answered(2, 1), briefing(2, 1), briefed(2, 1)), true},
	}
	for phrase, c := range steps {
		first := func(then string) string {
			if c.up {
				return "hang_up 1"
			}
			return then
		}
		hung := did(hangUp, 1)
		expect(t, map[string]row{
			"the call is ended " + phrase:                    {story: more(c.story, callEnds(3)), now: 3, want: first("cancelled call_ended")},
			"the call is ended, nobody rings, " + phrase:     {story: more(c.story, callEnds(3)), now: 3, did: hung, want: "cancelled call_ended"},
			"the caller hangs up " + phrase:                  {story: more(c.story, hangsUp(3), callEnds(3)), now: 3, want: first("cancelled caller_hung_up")},
			"the caller hangs up, nobody rings, " + phrase:   {story: more(c.story, hangsUp(3), callEnds(3)), now: 3, did: hung, want: "cancelled caller_hung_up"},
			"the transfer is taken back " + phrase:           {story: more(c.story, cancelled(3)), now: 3, want: first("")},
			"it is taken back, nobody rings, " + phrase:      {story: more(c.story, cancelled(3)), now: 3, did: hung, want: ""},
			"it is taken back, and the call ends, " + phrase: {story: more(c.story, cancelled(3), callEnds(4)), now: 4, did: hung, want: ""},
		})
	}
	expect(t, map[string]row{
		"the call is ended when the caller has been handed over": {story: more(cold, answers(2, 1), answered(2, 1), completed(2, 1), callEnds(9)), now: 9, want: "hang_up 1"},
		"the call is ended when that was over":                   {story: more(cold, missed(2, 1, NotAnswered), leaves(2, 1), failed(2, NotAnswered), callEnds(9)), now: 9, want: ""},
	})
}

func TestWhatFollowsForALaterTransfer(t *testing.T) {
	again := proto.CloneOf(wants(config.ModeCold, number("+9", 1)))
	again.N = 2
	story := more(rung(config.ModeCold), cancelled(3), at{4, again}, at{4, &callv1.TransferAnnounced{N: 2}})
	expect(t, map[string]row{
		"who was dialled for the one before rings still": {story: story, now: 4, want: "hang_up 1"},
		"nobody does": {story: more(story, leaves(5, 1)), now: 5, want: "dial 1"},
		"who was dialled for the one before answers too late": {story: more(story, answers(5, 1)), now: 5, want: "hang_up 1"},
	})
	if a := rules.Next(stateAfter(story, []at{leaves(5, 1)}), noon.Add(5*time.Second), nil).act; a != (act{dial, 2, 1}) {
		t.Errorf("what follows is %v, want a dial of the second transfer", a)
	}
}

func TestWhatFollowsWhenNobodyWasHadAndTheCallIsToEnd(t *testing.T) {
	ends := wants(config.ModeCold, number("+1", 1))
	ends.Ends = true
	says := proto.CloneOf(ends)
	says.Message = "Nobody is there. Goodbye."
	over := func(m *callv1.TransferRequested) []at {
		return more(talking(), at{0, m}, at{0, &callv1.TransferAnnounced{N: 1}}, missed(2, 1, Refused), failed(3, Refused))
	}
	expect(t, map[string]row{
		"the bot has nothing to say":                {story: over(ends), now: 3, want: "end transfer_failed"},
		"the bot says it":                           {story: over(says), now: 4, want: "wait until 18s"},
		"the bot has had its time":                  {story: over(says), now: 18, want: "end transfer_failed"},
		"no bot is there to say it":                 {story: more(over(says), botLost(4)), now: 4, want: "end transfer_failed"},
		"it is on its way":                          {story: more(over(says), at{18, &callv1.EndRequested{Attempt: 1}}), now: 18, want: ""},
		"the caller hangs up meanwhile":             {story: more(over(says), hangsUp(5), callEnds(5)), now: 18, want: ""},
		"it was taken back, and the bot goes on":    {story: more(talking(), at{0, says}, cancelled(1)), now: 60, want: ""},
		"the caller is to go on talking to the bot": {story: over(wants(config.ModeCold, number("+1", 1))), now: 60, want: ""},
	})
}

// What a process has done before it dials does not stand between the dial and its intent: Daily may never tell of it.
func TestADialMayFollowOtherActs(t *testing.T) {
	for phrase, c := range map[string]row{
		"the number before was hung up on, and Daily has not told": {
			story: more(asked(config.ModeCold, number("+1", 1), number("+2", 2)), starting(1, 1), started(1, 1), ringing(1, 1), stopping(21, 1), missed(21, 1, NoAnswer)),
			now:   21, did: did(hangUp, 1), want: "dial 2",
		},
		"the bot is lost, and the caller has been taken off hold": {
			story: more(asked(config.ModeWarm, number("+1", 1)), held(1), botLost(2)),
			now:   2, did: did(restore, 0), want: "dial 1",
		},
	} {
		done := map[act]bool{c.did[0]: true}
		s, now := stateAfter(c.story), noon.Add(sec(c.now))
		next := rules.Next(s, now, done)
		if got := what(next); got != c.want {
			t.Errorf("%s: %q, want %q", phrase, got, c.want)
		}
		if rules.intent(s, now, next.act, done) == nil {
			t.Errorf("%s: nobody is dialled", phrase)
		}
		if rules.intent(s, now, next.act, nil) != nil {
			t.Errorf("%s: somebody is dialled by a process that has not done that", phrase)
		}
	}
}

func TestADialThatWasGivenWayToIsLookedAtAgain(t *testing.T) {
	expect(t, map[string]row{
		"something else followed when it was to be dialled":   {story: asked(config.ModeCold, number("+1", 1)), did: did(dial, 1), want: "wait until 1s"},
		"something else followed when he was to be sent away": {story: asked(config.ModeBlind, number("+1", 1)), did: did(move, 1), want: "wait until 1s"},
	})
}

func TestWhenTheCallersHearingIsToBeGivenBack(t *testing.T) {
	again := func(mode string) at {
		m := wants(mode, number("+9", 1))
		m.N = 2
		return at{4, m}
	}
	over := more(warmly(), cancelled(3))
	for phrase, c := range map[string]struct {
		story []at
		want  bool
	}{
		"a warm transfer is over":                           {over, true},
		"a warm transfer is under way":                      {warmly(), false},
		"a cold transfer is over":                           {more(rung(config.ModeCold), cancelled(3)), false},
		"a cold transfer follows a warm one at once":        {more(over, again(config.ModeCold)), true},
		"a cold transfer has followed a warm one":           {more(over, again(config.ModeCold), at{5, &callv1.TransferCompleted{N: 2, K: 1}}), true},
		"a warm transfer is announced after a warm one":     {more(over, again(config.ModeWarm)), true},
		"a warm transfer is executed after a warm one":      {more(over, again(config.ModeWarm), at{5, &callv1.TransferAnnounced{N: 2}}), false},
		"a warm transfer is over, and the call is over too": {more(over, callEnds(4)), false},
	} {
		if got := heldBefore(stateAfter(c.story)); got != c.want {
			t.Errorf("%s: %t, want %t", phrase, got, c.want)
		}
	}
}

func TestACallerWhoseHoldIsInDoubtIsTakenOffIt(t *testing.T) {
	none := more(asked(config.ModeWarm, number("+1", 1)), botLost(2))
	expect(t, map[string]row{
		"the bot is lost while the caller is put on hold": {story: none, now: 2, want: "restore"},
		"that has been undone":                            {story: none, now: 2, did: did(restore, 0), want: "dial 1"},
	})
}

func TestTheBotIsSilencedOnceTheCallerHasBeenHandedOver(t *testing.T) {
	taken := more(rung(config.ModeCold), answers(8, 1), answered(8, 1))
	expect(t, map[string]row{
		"not before, for it may have to go on":  {story: taken, now: 8, want: "completed 1"},
		"when it is done":                       {story: more(taken, completed(8, 1)), now: 8, want: "silence"},
		"not where there is no bot":             {story: more(taken, completed(8, 1), botLost(9)), now: 9, want: ""},
		"not where nobody has been handed over": {story: more(taken, cancelled(8), leaves(9, 1)), now: 9, want: ""},
	})
}

func TestTheCallerHearsTheBotAgainWhenTheNextNumberRings(t *testing.T) {
	left := more(asked(config.ModeWarm, number("+1", 1), number("+2", 2)), held(1), starting(1, 1), answers(8, 1), answered(8, 1), briefing(9, 1),
		leaves(10, 1), missed(10, 1, HungUp))
	expect(t, map[string]row{
		"whoever has answered leaves while he is told": {story: left, now: 10, want: "hold"},
		"the caller hears the bot again":               {story: left, now: 10, did: did(hold, 0), want: "dial 2"},
	})
}

func TestNothingIsToldWhereTheCallerWouldHearIt(t *testing.T) {
	taken := more(warmly(), answers(8, 1), answered(8, 1))
	m := unbriefed(stateAfter(taken), 1, "Daily would not")
	if got := what(step{decide: m}); got != "briefed 1 late=true" {
		t.Fatalf("Daily does not let the caller hear nobody: %q", got)
	}
	expect(t, map[string]row{"nothing was told": {story: more(taken, at{9, m}), now: 9, want: "restore"}})
	for phrase, story := range map[string][]at{
		"it is being told":         more(taken, briefing(8, 1)),
		"it was taken back":        more(taken, cancelled(8)),
		"the call is over":         more(taken, callEnds(8)),
		"whoever answered is gone": more(taken, leaves(8, 1), missed(8, 1, HungUp)),
	} {
		if m := unbriefed(stateAfter(story), 1, ""); m != nil {
			t.Errorf("%s: %v", phrase, m)
		}
	}
}

func TestATimerIsNotMovedByWhoKnowsLess(t *testing.T) {
	known := rules.Next(stateAfter(rung(config.ModeCold)), noon.Add(2*time.Second), nil).until
	less := rules.Next(stateAfter(asked(config.ModeCold, number("+1", 1)), []at{starting(1, 1)}), noon.Add(2*time.Second), nil).until
	if !known.Before(less) || stepAt(id, known) == stepAt(id, less) {
		t.Errorf("%v, to ring until %s, is moved to %s", stepAt(id, known), known, less)
	}
}

func TestADialThatIsKnownAfterItHasBeenGivenUpIsHungUpOn(t *testing.T) {
	lost := more(asked(config.ModeCold, number("+1", 1), number("+2", 2)), starting(1, 1), missed(61, 1, Lost))
	expect(t, map[string]row{
		"Daily's answer is on record late":   {story: more(lost, started(62, 1)), now: 62, want: "hang_up 1"},
		"it has been hung up on":             {story: more(lost, started(62, 1)), now: 62, did: did(hangUp, 1), want: "dial 2"},
		"Daily's answer came long before it": {story: more(asked(config.ModeCold, number("+1", 1), number("+2", 2)), starting(1, 1), started(2, 1), missed(22, 1, NoAnswer)), now: 22, want: "dial 2"},
	})
}

func TestAWishFromBeforeTheTransferDoesNotEndTheCall(t *testing.T) {
	ends := wants(config.ModeCold, number("+1", 1))
	ends.Ends = true
	expect(t, map[string]row{
		"the attempt before was to end, for a machine took the call": {
			story: append([]at{{-300, &callv1.EndRequested{Attempt: 1}}}, more(talking(), at{0, ends}, at{0, &callv1.TransferAnnounced{N: 1}}, failed(3, Refused))...),
			now:   3, want: "end transfer_failed",
		},
	})
}
