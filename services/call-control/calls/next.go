// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/call"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// The words of CallEnded.reason.
const (
	CallerHungUp = "caller_hung_up" // the last leg has left
	CallerGone   = "caller_gone"    // Daily no longer held the call when it was to be forwarded
	LegFailed    = "leg_failed"     // Daily could not connect the caller
	BotEnded     = "bot_ended"      // the bot has left, as it wanted
	BotLost      = "bot_lost"       // the bot died in the call, and none could be had in its place before the caller was gone
	NoBot        = "no_bot"         // no bot could be had within the answer budget
	ForwardLost  = "forward_lost"   // nobody can tell what became of the forward
	MaxDuration  = "max_duration"   // the call has lasted as long as it may
	CalleeHungUp = "callee_hung_up" // the person who was called has left
	Expired      = "expired"        // it was not begun in the time that it had
	DialLost     = "dial_lost"      // nobody can tell what became of the dial
	NotAllowed   = "policy"         // policy does not allow the call, as the detail says
	EndedByUser  = "end_requested"  // EndCall
	Transferred  = "transferred"    // the caller has been sent elsewhere, and what became of that is Daily's
	OperatorGone = "operator_hung_up"
	Nobody       = "nobody" // no bot could be had, and no person either
)

const (
	// maxAttempts is how often a call is tried: far more often than a bot that works needs.
	maxAttempts = 60
	// exitGrace is how long after a bot's own leaving the caller's may be reported, so that who left first is told
	// right.
	exitGrace = 2 * time.Second
	// forwardGrace is how long past the answer budget a forward in doubt may be settled. The same request may be sent
	// again 30 s after it has ended, and is then waited for as long; each may take 10 s.
	forwardGrace = 90 * time.Second
)

// Next says what follows for a call from its state: a decision to publish, or none; and how long to wait before asking
// again, where that is not for an event or one of the call's limits to bring about.
func (r Rules) Next(s *call.State, now time.Time) (decision proto.Message, wait time.Duration) {
	reached := s.Reached()
	switch {
	case s.Ended != nil || !s.Begun():
		return nil, 0
	case reached != nil && s.Attempt(reached.Attempt).Dial != nil && s.Attempt(reached.Attempt).Answered == nil:
		return &callv1.DialAnswered{Attempt: reached.Attempt, SessionId: reached.Session}, 0
	case machine(s):
		return dialFailed(s.Attempt(reached.Attempt), Voicemail, ""), 0
	case endAsked(s) && s.Dialling() != nil && reached == nil && now.Sub(s.EndAsked.At) < ringingGrace:
		return r.beforeTheEnd(s, now)
	case endAsked(s):
		return ended(talked(s), s.EndAsked.Data.GetReason(), s.EndAsked.Data.GetDetail()), 0
	case s.Requested != nil && reached == nil:
		return r.calling(s, now)
	case len(s.Callers()) > 0 && s.LegsAlive() == 0:
		return r.legsGone(s, now)
	case s.CallerIn():
		return r.inCall(s, now)
	default:
		return r.holding(s, now)
	}
}

// beforeTheEnd says what follows when a bot wants the end of a call that has just been declined, or not: it hears of that
// from Daily as we do, and may be first.
func (r Rules) beforeTheEnd(s *call.State, now time.Time) (proto.Message, time.Duration) {
	wait := s.EndAsked.At.Add(ringingGrace).Sub(now)
	m, sooner := r.ringing(s, s.Dialling(), now)
	if failed, ok := m.(*callv1.DialFailed); ok {
		return failed, 0
	}
	if sooner > 0 {
		wait = min(wait, sooner)
	}
	return nil, wait
}

// endAsked reports whether the end is wanted. A wish from before the last dial that failed was fulfilled with it, and a
// bot's, while the caller was being handed over, was about the bot alone.
func endAsked(s *call.State) bool {
	if s.EndAsked == nil || s.OwnWay(s.EndAsked.At) && !endsWithout(s) {
		return false
	}
	for _, a := range s.Attempts {
		if a.DialFailed != nil && a.DialFailedAt.After(s.EndAsked.At) {
			return false
		}
	}
	return true
}

// machine reports whether the dialled phone was taken by a machine, and the bot is done with it.
func machine(s *call.State) bool {
	leg := s.Reached()
	if leg == nil {
		return false
	}
	a := s.Attempt(leg.Attempt)
	return a.Voicemail && a.Dial != nil && (leg.Gone || a.Over() || endAsked(s))
}

// Limit is when the call must be looked at even if nothing happens.
func (r Rules) Limit(s *call.State) time.Time {
	limit := r.talkLimit(s)
	if t := s.Moved(); t != nil {
		return movedLimit(s, t, limit)
	}
	return limit
}

// talkLimit is the limit of a call whose people are where we see them.
func (r Rules) talkLimit(s *call.State) time.Time {
	if s.Requested != nil {
		return r.limitOut(s)
	}
	budget, longest := s.AnswerBudget(), s.MaxDuration()
	switch {
	case s.AwaitsPerson():
		return personLimit(s)
	case s.Forwarded != nil:
		return s.Forwarded.At.Add(longest)
	case s.CallerIn():
		return s.Began.Add(budget + longest)
	}
	return s.Began.Add(budget)
}

func (r Rules) limitOut(s *call.State) time.Time {
	leg, dial := s.Reached(), s.Dialling()
	switch {
	case leg != nil:
		return leg.AnsweredAt.Add(s.MaxDuration())
	case dial != nil: // by then it has been answered, stopped or given up
		return dial.DialAt.Add(s.Requested.GetRingTimeout().AsDuration() + 2*r.LostAfter)
	case s.Waiting():
		return s.Requested.GetNotAfter().AsTime()
	case s.Requested.GetBotDials() && begunByBot(s, s.Current()):
		return dueAt(s).Add(s.AnswerBudget() + s.MaxDuration())
	case toDial(s) != nil: // it waits for Daily's pace
		return dueAt(s).Add(2 * s.AnswerBudget())
	}
	return dueAt(s).Add(s.AnswerBudget())
}

func (r Rules) holding(s *call.State, now time.Time) (proto.Message, time.Duration) {
	current := s.Current()
	if current.ForwardFailed != nil && current.ForwardFailed.GetGone() {
		return ended(callv1.Outcome_OUTCOME_ABANDONED, CallerGone, current.ForwardFailed.GetReason()), 0
	}
	if over := now.Sub(r.Limit(s)); over >= 0 {
		if s.Forwarding() == nil {
			return lastStep(s), 0
		}
		if over >= forwardGrace {
			return ended(callv1.Outcome_OUTCOME_MISSED, ForwardLost, ""), 0
		}
		return nil, forwardGrace - over
	}
	if !current.Over() || s.Forwarding() != nil {
		return nil, 0
	}
	if s.AwaitsPerson() { // there is no further step
		return lastStep(s), 0
	}
	return again(s, now, callv1.Place_PLACE_NEW_ROOM)
}

func (r Rules) inCall(s *call.State, now time.Time) (proto.Message, time.Duration) {
	current := s.Current()
	switch {
	case s.AwaitsPerson():
		return awaitsPerson(s, now), 0
	case !now.Before(r.Limit(s)):
		return outlasted(s), 0
	case s.Bridged():
		return bridged(s, now)
	case s.Moved() != nil: // that the leg has gone is still to be told
		return nil, 0
	}
	if s.Connected == nil && current.Ready != nil && !current.Over() {
		if leg := firstLeg(s); leg != nil {
			return &callv1.CallConnected{Attempt: current.N, SessionId: leg.Session}, 0
		}
	}
	budget := s.AnswerBudget()
	switch {
	case !current.Over() && (current.Starting != nil || current.Place != callv1.Place_PLACE_SAME_ROOM):
		return nil, 0
	case left(current) && ownWay(s, current):
		return replaced(s, now)
	case left(current):
		if wait := current.ExitedAt.Add(exitGrace).Sub(now); wait > 0 {
			return nil, wait
		}
		return ended(talked(s), BotEnded, ""), 0
	case s.Transfer().UnderWay(): // somebody is about to talk to the caller
		return replaced(s, now)
	case now.Sub(botless(s)) >= budget:
		return ended(callv1.Outcome_OUTCOME_FAILED, BotLost, current.Reason), 0
	case !current.Over(): // its bot still waits for a slot, and the caller for the bot
		return nil, botless(s).Add(budget).Sub(now)
	default:
		return again(s, now, callv1.Place_PLACE_SAME_ROOM)
	}
}

// again tries the call once more: at once the first time, then with growing pauses.
func again(s *call.State, now time.Time, place callv1.Place) (proto.Message, time.Duration) {
	current := s.Current()
	if current.N >= maxAttempts { // a story must stay readable: the answer budget ends what cannot be tried again
		return nil, max(0, lost(s).Add(s.AnswerBudget()).Sub(now))
	}
	if wait := current.OverAt.Add(pauseAfter(current.N)).Sub(now); wait > 0 {
		return nil, wait
	}
	return &callv1.AttemptRequested{Attempt: current.N + 1, Place: place, Agent: current.Agent, Reason: current.Reason}, 0
}

func pauseAfter(n uint32) time.Duration {
	if n == 1 {
		return 0
	}
	return min(500*time.Millisecond<<min(n-2, 10), 10*time.Second)
}

// firstLeg is the leg that has been in the call for longest, or nil.
func firstLeg(s *call.State) *call.Leg {
	if s.Requested != nil {
		return s.Reached()
	}
	var first *call.Leg
	for _, leg := range s.Callers() {
		if !leg.Connected || leg.Gone {
			continue
		}
		if first == nil || leg.Before(first) {
			first = leg
		}
	}
	return first
}

// lost is when the call's last good bot was lost.
func lost(s *call.State) time.Time {
	at, last := s.Current().OverAt, len(s.Attempts)-1
	if !s.Current().Over() {
		last--
	}
	for i := last; i >= 0 && s.Attempts[i].Over(); i-- {
		at = s.Attempts[i].OverAt
		if s.Attempts[i].Ready != nil {
			break
		}
	}
	return at
}

// legsGone says what it means that no leg of the caller's is left: he has hung up, unless he was sent elsewhere.
func (r Rules) legsGone(s *call.State, now time.Time) (proto.Message, time.Duration) {
	if t := s.Leaving(); t != nil {
		return r.moved(s, t, now), 0
	}
	if m, wait := sentByBot(s, now); m != nil || wait > 0 {
		return m, wait
	}
	return hungUp(s, now), 0
}

func hungUp(s *call.State, now time.Time) proto.Message {
	for _, leg := range s.Callers() {
		if leg.Failed {
			continue
		}
		if bot := missing(s); bot != nil && now.Sub(lost(s)) >= exitGrace {
			return ended(callv1.Outcome_OUTCOME_FAILED, BotLost, bot.Reason)
		}
		if s.Requested != nil {
			return ended(talked(s), CalleeHungUp, "")
		}
		return ended(talked(s), CallerHungUp, "")
	}
	return ended(callv1.Outcome_OUTCOME_FAILED, LegFailed, "")
}

// missing is the attempt whose bot died in the call, while no other is there in its place; or nil. Whether one is there,
// only the domain webhook tells.
func missing(s *call.State) *call.Attempt {
	current := s.Current()
	switch {
	case s.Bridged(): // nobody misses it
		return nil
	case !slices.ContainsFunc(s.Attempts, func(a *call.Attempt) bool { return a.Joined }):
		return nil
	case current.Failed != nil || current.Exited.GetStatus() != 0:
		return current
	case !current.Over() && current.Place == callv1.Place_PLACE_SAME_ROOM && current.Ready == nil:
		return s.Attempt(current.N - 1)
	}
	return nil
}

// talked is the outcome of a call that ends as calls do: it depends on whether the person ever came through.
func talked(s *call.State) callv1.Outcome {
	if s.Requested != nil {
		if s.Reached() != nil {
			return callv1.Outcome_OUTCOME_COMPLETED
		}
		return callv1.Outcome_OUTCOME_CANCELLED
	}
	if s.AwaitsPerson() { // whom nobody has answered yet
		return callv1.Outcome_OUTCOME_ABANDONED
	}
	if s.Forwarded != nil || len(s.Callers()) > 0 {
		return callv1.Outcome_OUTCOME_COMPLETED
	}
	return callv1.Outcome_OUTCOME_ABANDONED
}

func ended(outcome callv1.Outcome, reason, detail string) *callv1.CallEnded {
	return &callv1.CallEnded{Outcome: outcome, Reason: reason, Detail: detail}
}
