// SPDX-License-Identifier: Apache-2.0

package transfers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// The words of TransferMissed.cause, and of TransferFailed.reason.
const (
	NoAnswer    = "no_answer"    // it rang for as long as it may, and we hung up
	NotAnswered = "not_answered" // it was over before that: busy, declined or out of reach, Daily does not tell
	HungUp      = "hung_up"      // who had answered left before the caller was handed over
	Declined    = "declined"     // who had answered does not want the caller
	Refused     = "refused"      // Daily would not
	Lost        = "lost"         // what became of it is not known
	NotMoved    = "not_moved"    // Daily took the request, and the caller is still here
	NotAllowed  = "policy"       // policy does not allow it, as the detail says
	Unavailable = "unavailable"  // policy could not be asked
	NoHold      = "no_hold"      // the caller could not be put on hold, as a warm transfer needs
	Closed      = "closed"       // nobody is there at this time
)

// The words of TransferCancelled.reason.
const (
	TakenBack    = "cancelled"
	CallerHungUp = "caller_hung_up"
	CallEnded    = "call_ended"
)

// Rules are what the configuration says about all transfers.
type Rules struct {
	LostAfter      time.Duration // after which a request of which nothing is known is given up
	MessageTimeout time.Duration // for the bot to say its last words
}

// An act is something that is done outside. Each may be done again: it is done until what follows from it is on record.
type act struct {
	does verb
	n, k uint32 // the try that it is about
}

type verb int

const (
	nothing verb = iota
	dial         // calls number k; once: it has an intent of its own
	move         // has Daily send the caller to number k; the same
	hangUp       // on number k
	hold         // lets the caller hear the bot alone
	seclude      // lets the caller hear nobody
	restore      // lets the caller hear everybody
	silence      // lets the bot neither be heard nor hear
)

// step is what follows for a call's transfers: a decision to publish, or an act; or nothing before a time, if that is not
// for an event to bring about.
type step struct {
	decide proto.Message
	act    act
	until  time.Time
}

// view is a call at a time, of which some acts have just been done.
type view struct {
	Rules
	*call.State
	now  time.Time
	done map[act]bool
}

// Next says what follows for a call's transfers from its state. What has been done since it was read is not done again.
func (r Rules) Next(s *call.State, now time.Time, done map[act]bool) step {
	v := view{r, s, now, done}
	if a := v.unwanted(); a.does != nothing {
		return step{act: a}
	}
	t := s.Transfer()
	switch {
	case t == nil || t.Asked == nil:
		return step{}
	case s.Ended != nil:
		return v.afterEnd(t)
	case t.Failed != nil && t.Asked.Data.GetEnds() && (s.EndAsked == nil || s.EndAsked.At.Before(t.Asked.At)):
		return v.lastWords(t)
	case s.Bridged():
		return v.bridged(t)
	case !t.UnderWay():
		return step{}
	case t.Announced == nil:
		return v.announcement(t)
	case t.Moves():
		return v.moving(t)
	case t.Answer() != nil:
		return v.answered(t, t.Answer())
	default:
		return v.hunting(t)
	}
}

// unwanted finds somebody who has been dialled and is not wanted: of a transfer that is over, or where another has
// answered.
func (v view) unwanted() act {
	for _, t := range v.Transfers {
		for _, try := range t.Tries {
			if v.wanted(t, try) {
				continue
			}
			leg, a := v.Operator(t.N, try.K), act{hangUp, t.N, try.K}
			// A dial of which we hear when it has been given up is not known to be over either.
			open := try.Started != nil && (try.Missed == nil || try.Started.At.After(try.Missed.At))
			there := leg != nil && !leg.Gone || leg == nil && open && v.OperatorSession(t.N, try.K) != ""
			if there && !t.Moves() && !v.done[a] {
				return a
			}
		}
	}
	return act{}
}

func (v view) wanted(t *call.Transfer, try *call.Try) bool {
	switch {
	case v.Ended != nil, t.Failed != nil, t.Cancelled != nil, try.Missed != nil:
		return false
	case t.Completed != nil:
		return try.K == t.Completed.Data.GetK()
	}
	return t.Answer() == nil || t.Answer() == try
}

// intent is what is written down before a try, or nil where that is not what follows, after what has been done.
func (r Rules) intent(s *call.State, now time.Time, a act, done map[act]bool) proto.Message {
	if r.Next(s, now, done).act != a {
		return nil
	}
	v := view{State: s}
	starting := &callv1.TransferStarting{N: a.n, K: a.k, Room: v.room()}
	if a.does == move {
		starting.SessionId = v.caller()
	}
	return starting
}

// afterEnd ends the transfer with its call, once nobody rings any more, as far as is known.
func (v view) afterEnd(t *call.Transfer) step {
	if t.UnderWay() {
		reason := CallEnded
		if v.LegsAlive() == 0 && len(v.Callers()) > 0 {
			reason = CallerHungUp
		}
		return step{decide: &callv1.TransferCancelled{N: t.N, Reason: reason, Detail: v.Ended.Data.GetReason()}}
	}
	return step{}
}

// lastWords ends a call for which nobody was had, when the bot has had its time to say so.
func (v view) lastWords(t *call.Transfer) step {
	until := t.Failed.At
	if t.Asked.Data.GetMessage() != "" && v.bot() != nil {
		until = until.Add(v.MessageTimeout)
	}
	if v.now.Before(until) {
		return step{until: until}
	}
	return step{decide: &callv1.EndRequested{Attempt: v.Current().N, Reason: "transfer_failed", Detail: t.Failed.Data.GetReason()}}
}

func (v view) announcement(t *call.Transfer) step {
	if t.Asked.Data.GetAnnouncement() == "" {
		return step{decide: &callv1.TransferAnnounced{N: t.N}}
	}
	if until := t.Asked.At.Add(t.Asked.Data.GetAnnounceWithin().AsDuration()); v.now.Before(until) {
		return step{until: until}
	}
	return step{decide: &callv1.TransferAnnounced{N: t.N, Late: true}}
}

// warm reports whether somebody is to be told what it is about. A warm transfer whose bot is lost goes on as a cold one:
// nobody is there to tell it.
func (v view) warm(t *call.Transfer) bool {
	return t.Asked.Data.GetMode() == config.ModeWarm && v.bot() != nil && !v.lostSince(t)
}

func (v view) lostSince(t *call.Transfer) bool {
	for _, a := range v.Attempts {
		if a.Over() && !a.OverAt.Before(t.Asked.At) {
			return true
		}
	}
	return false
}

// bot gives the attempt whose bot is there, or nil.
func (v view) bot() *call.Attempt {
	if a := v.Current(); a.Ready != nil && !a.Over() {
		return a
	}
	return nil
}

// restored gives the act that lets the caller hear everybody, where he may not, and it has not just been done. A request to
// put him on hold may have been made of which nothing is on record.
func (v view) restored(t *call.Transfer) (act, bool) {
	a := act{restore, t.N, 0}
	return a, t.Asked.Data.GetMode() != config.ModeWarm || v.done[a]
}

// hunting says what follows while nobody has answered.
func (v view) hunting(t *call.Transfer) step {
	if s, ok := v.holding(t); !ok {
		return s
	}
	if k := v.firstAnswered(t); k > 0 {
		return step{decide: &callv1.TransferAnswered{N: t.N, K: k, SessionId: v.OperatorSession(t.N, k)}}
	}
	var waits step
	for _, k := range v.group(t) {
		switch s := v.trying(t, k); {
		case s.decide != nil || s.act.does != nothing:
			return s
		case !s.until.IsZero() && (waits.until.IsZero() || s.until.Before(waits.until)):
			waits = s
		}
	}
	if len(v.group(t)) > 0 {
		return waits
	}
	return v.failed(t)
}

// holding puts the caller on hold where that is to be done, or off it where nobody is left to talk to him there. It is ok if
// neither is.
func (v view) holding(t *call.Transfer) (step, bool) {
	switch a := (act{hold, t.N, 0}); {
	case !v.warm(t):
		a, ok := v.restored(t)
		return step{act: a}, ok
	case t.Held != nil && (v.done[a] || len(v.group(t)) == 0 || !secluded(t)):
		return step{}, true
	case !v.done[a]:
		return step{act: a}, false
	}
	return step{decide: &callv1.TransferHeld{N: t.N, SessionId: v.caller()}}, false
}

// secluded reports whether the caller may hear nobody, for the sake of somebody who has been missed after all.
func secluded(t *call.Transfer) bool {
	return slices.ContainsFunc(t.Tries, func(try *call.Try) bool { return try.Answered != nil && try.Missed != nil })
}

// caller is the session id of the leg that is transferred, or empty while it is not known.
func (v view) caller() string {
	var first *call.Leg
	for _, l := range v.Callers() {
		if !l.Gone && (first == nil || l.Before(first)) {
			first = l
		}
	}
	if first == nil {
		return ""
	}
	return first.Session
}

// room is where the caller is.
func (v view) room() string {
	if l := v.Legs[v.caller()]; l != nil {
		return l.Room
	}
	if v.Forwarded != nil {
		return v.Forwarded.Data.GetRoom()
	}
	return ""
}

// group gives the numbers that are to ring now: the first group of which not all were missed. Empty is none, as when
// somebody has declined, who may be taken to speak for all.
func (v view) group(t *call.Transfer) (ks []uint32) {
	numbers := t.Asked.Data.GetNumbers()
	for i, number := range numbers {
		k := uint32(i + 1)
		if try := t.Try(k); try != nil && try.Missed != nil && try.Missed.Data.GetCause() == Declined {
			return nil
		}
		if len(ks) > 0 && number.GetGroup() != numbers[ks[0]-1].GetGroup() {
			break
		}
		if try := t.Try(k); try == nil || try.Missed == nil {
			ks = append(ks, k)
		}
	}
	return ks
}

// firstAnswered is the number that has answered first, and in time, or 0.
func (v view) firstAnswered(t *call.Transfer) (k uint32) {
	var first *call.Leg
	for _, try := range t.Tries {
		leg := v.Operator(t.N, try.K)
		switch {
		case try.Missed != nil || leg == nil || leg.AnsweredAt.IsZero() || leg.Gone:
		case try.Stopping != nil && leg.AnsweredAt.After(try.Stopping.At):
		case first == nil || leg.AnsweredAt.Before(first.AnsweredAt):
			first, k = leg, try.K
		}
	}
	return k
}

// once gives an act that has an intent of its own. Where it has been done and has left none, something else followed just
// then, of which this process may have been the only one to know: it is looked at again.
func (v view) once(a act) step {
	if !v.done[a] {
		return step{act: a}
	}
	return step{until: v.now.Add(askAgain)}
}

// trying says what follows for one number that has not answered.
func (v view) trying(t *call.Transfer, k uint32) step {
	missed := func(cause, detail string) step {
		return step{decide: &callv1.TransferMissed{N: t.N, K: k, Cause: cause, Detail: detail}}
	}
	try, leg, stop := t.Try(k), v.Operator(t.N, k), act{hangUp, t.N, k}
	if try == nil || try.Starting == nil {
		return v.once(act{dial, t.N, k})
	}
	session := v.OperatorSession(t.N, k)
	rings := try.Starting.At
	if try.Started != nil {
		rings = try.Started.At
	}
	if leg != nil {
		rings = leg.Since
	}
	until := rings.Add(t.Asked.Data.GetNumbers()[k-1].GetRingTimeout().AsDuration())
	lost := try.Starting.At.Add(v.LostAfter)
	switch {
	case leg != nil && leg.Failed:
		return missed(Refused, leg.Reason)
	case leg != nil && leg.Gone && try.Stopping != nil, try.Stopping != nil && v.done[stop]:
		return missed(NoAnswer, "")
	case leg != nil && leg.Gone:
		return missed(NotAnswered, "")
	case try.Stopping != nil:
		return step{act: stop}
	case session == "" && v.now.Before(lost):
		return step{until: lost}
	case session == "":
		return missed(Lost, "")
	case v.now.Before(until):
		return step{until: until}
	}
	return step{decide: &callv1.TransferStopping{N: t.N, K: k}}
}

// answered says what follows once somebody has answered and is the one.
func (v view) answered(t *call.Transfer, try *call.Try) step {
	leg := v.Operator(t.N, try.K)
	if leg == nil || leg.Gone {
		return step{decide: &callv1.TransferMissed{N: t.N, K: try.K, Cause: HungUp}}
	}
	if v.warm(t) {
		if s, ok := v.briefing(t, try); !ok {
			return s
		}
	}
	if try.Briefed != nil && try.Briefed.Data.GetDeclined() {
		return step{decide: &callv1.TransferMissed{N: t.N, K: try.K, Cause: Declined, Detail: try.Briefed.Data.GetDetail()}}
	}
	if a, ok := v.restored(t); !ok {
		return step{act: a}
	}
	return step{decide: &callv1.TransferCompleted{N: t.N, K: try.K}}
}

// bridged silences the bot once the caller has been handed over. Before, it might have to be undone.
func (v view) bridged(t *call.Transfer) step {
	if a := (act{silence, t.N, 0}); v.bot() != nil && !v.done[a] {
		return step{act: a}
	}
	return step{}
}

// briefing has whoever answered told what it is about. It is ok once that is over.
func (v view) briefing(t *call.Transfer, try *call.Try) (step, bool) {
	switch a := (act{seclude, t.N, 0}); {
	case try.Briefed != nil:
		return step{}, true
	case try.Briefing == nil && !v.now.Before(try.Answered.At.Add(v.LostAfter)): // Daily cannot, and two people wait
		return step{decide: &callv1.TransferBriefed{N: t.N, K: try.K, Late: true}}, false
	case try.Briefing == nil && !v.done[a]:
		return step{act: a}, false
	case try.Briefing == nil:
		return step{decide: &callv1.TransferBriefing{N: t.N, K: try.K}}, false
	}
	if until := try.Briefing.At.Add(t.Asked.Data.GetBriefWithin().AsDuration()); v.now.Before(until) {
		return step{until: until}, false
	}
	return step{decide: &callv1.TransferBriefed{N: t.N, K: try.K, Late: true}}, false
}

// moving says what follows while the caller is being sent away. That he is gone is all that is certain of it.
func (v view) moving(t *call.Transfer) step {
	for i := range t.Asked.Data.GetNumbers() {
		k := uint32(i + 1)
		try := t.Try(k)
		switch {
		case try != nil && try.Missed != nil:
			continue
		case try == nil || try.Starting == nil:
			return v.once(act{move, t.N, k})
		}
		session := try.Starting.Data.GetSessionId()
		told, leg := v.Told(session), v.Legs[session]
		if told == "answered" || told == "completed" || leg != nil && leg.Gone {
			return step{decide: &callv1.TransferCompleted{N: t.N, K: k, Moved: true, Told: told}}
		}
		// That it has been tried does not say that the caller has gone: the other end may not want him.
		until := try.Starting.At.Add(v.LostAfter)
		if soon := v.now.Add(askAgain); told == "initiated" && soon.Before(until) {
			until = soon
		}
		if v.now.Before(until) {
			return step{until: until}
		}
		cause := NotMoved
		if try.Started == nil {
			cause = Lost
		}
		return step{decide: &callv1.TransferMissed{N: t.N, K: k, Cause: cause}}
	}
	return v.failed(t)
}

// failed gives the caller back to the bot.
func (v view) failed(t *call.Transfer) step {
	if a, ok := v.restored(t); !ok {
		return step{act: a}
	}
	reason, tried := Closed, []string{}
	for i, try := range t.Tries {
		if try.Missed == nil || i >= len(t.Asked.Data.GetNumbers()) {
			continue
		}
		reason = try.Missed.Data.GetCause()
		tried = append(tried, strings.TrimSuffix(fmt.Sprintf("%s, number %d: %s, %s", t.Asked.Data.GetNumbers()[i].GetTarget(), try.K, reason, try.Missed.Data.GetDetail()), ", "))
	}
	return step{decide: &callv1.TransferFailed{N: t.N, Reason: reason, Detail: strings.Join(tried, "; ")}}
}
