// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/call"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// The words of DialFailed.cause.
const (
	NoAnswer      = "no_answer"      // it rang for as long as it may, and we hung up
	NotAnswered   = "not_answered"   // it was over before that: busy, declined or out of reach, Daily does not tell
	Voicemail     = "voicemail"      // a machine answered, as the bot has heard
	DialError     = "error"          // Daily told an error of which more is not known
	InvalidNumber = "invalid_number" // a definite no: nobody has the number
	NotEnabled    = "not_enabled"    // a definite no: the domain or the room may not dial
	International = "international"  // a definite no: the domain may not dial abroad
	Lost          = call.Lost        // what became of the dial is not known
	NotDialled    = call.NotDialled  // nobody was called: the room was empty again
	PutOff        = call.PutOff      // nobody was called: policy no longer allowed it at that moment
)

// ringingGrace is how long after a bot's own leaving the end of what it was calling may be reported. The bot hears of it
// from Daily as we do, and leaves.
const ringingGrace = 5 * time.Second

// Rules are what the configuration says about dials.
type Rules struct {
	LostAfter time.Duration            // after which a dial of which nothing is known is given up
	Cause     func(text string) string // what a text of Daily's means
}

// calling says what follows for a dial-out whose person has not answered.
func (r Rules) calling(s *call.State, now time.Time) (proto.Message, time.Duration) {
	a := s.Current()
	switch failed := s.Failure(); {
	case failed != nil && !nobodyCalled(failed):
		return afterFailure(s, failed, now), 0
	case s.Dialling() != nil:
		return r.ringing(s, s.Dialling(), now)
	case !now.Before(r.Limit(s)):
		return outOfTime(s), 0
	case s.Waiting(): // for its turn
		return nil, 0
	case s.Requested.GetBotDials() && begunByBot(s, a):
		return botDials(s, now)
	case !a.Over(): // waits for its bot, or for the dial
		return nil, 0
	}
	return again(s, now, callv1.Place_PLACE_NEW_ROOM)
}

// outOfTime ends a call that could not be tried in the time that it had.
func outOfTime(s *call.State) proto.Message {
	switch a := s.Current(); {
	case s.Waiting():
		return givenUp(s, callv1.Outcome_OUTCOME_CANCELLED, Expired, a.DialFailed.GetDetail())
	case s.Requested.GetBotDials() && begunByBot(s, a):
		return ended(callv1.Outcome_OUTCOME_UNREACHED, MaxDuration, "")
	default:
		return givenUp(s, callv1.Outcome_OUTCOME_MISSED, NoBot, a.Reason)
	}
}

// givenUp ends a call that is not tried any further. Where the person has been called in vain before, that is what has
// become of it.
func givenUp(s *call.State, outcome callv1.Outcome, reason, detail string) proto.Message {
	for _, a := range slices.Backward(s.Attempts) {
		if a.DialFailed != nil && !nobodyCalled(a) {
			return ended(callv1.Outcome_OUTCOME_UNREACHED, a.DialFailed.GetCause(), strings.TrimSuffix("not tried again: "+reason+", "+detail, ", "))
		}
	}
	return ended(outcome, reason, detail)
}

// begunByBot reports whether a bot that dials by itself may have begun to. It is not tried again then.
func begunByBot(s *call.State, a *call.Attempt) bool {
	if a.Ready != nil || a.Joined {
		return true
	}
	for _, leg := range s.Legs {
		if leg.Attempt == a.N && leg.N == 0 {
			return true
		}
	}
	return false
}

// ringing says what follows while somebody is being called.
func (r Rules) ringing(s *call.State, a *call.Attempt, now time.Time) (proto.Message, time.Duration) {
	leg, bot := s.Callee(a), s.Current()
	switch {
	case leg != nil && leg.Failed:
		return dialFailed(a, r.Cause(leg.Reason), leg.Reason), 0
	case leg != nil && leg.Gone:
		if wait := leg.GoneAt.Add(exitGrace).Sub(now); wait > 0 { // what was told before it may come later
			return nil, wait
		}
		if a.Stopping != nil {
			return dialFailed(a, NoAnswer, ""), 0
		}
		return dialFailed(a, NotAnswered, ""), 0
	case leg == nil && a.Dialled == nil:
		if wait := a.DialAt.Add(r.LostAfter).Sub(now); wait > 0 {
			return nil, 0 // the dial's timer asks
		}
		return dialFailed(a, Lost, ""), 0
	case !now.Before(r.Limit(s)):
		return dialFailed(a, Lost, "it could not be stopped"), 0
	case bot.Exited != nil && bot.Exited.GetStatus() == 0 && bot.Failed == nil:
		if wait := bot.ExitedAt.Add(ringingGrace).Sub(now); wait > 0 {
			return nil, wait
		}
		return dialFailed(a, NotAnswered, "the bot left while it rang"), 0
	case bot.Over(): // whoever answers is to find a bot
		return again(s, now, callv1.Place_PLACE_SAME_ROOM)
	}
	return nil, 0
}

// botDials says what follows for a call whose bot has begun to dial by itself: it is tried once.
func botDials(s *call.State, now time.Time) (proto.Message, time.Duration) {
	a := s.Current()
	if !a.Over() {
		return nil, 0
	}
	if wait := a.OverAt.Add(ringingGrace).Sub(now); wait > 0 {
		return nil, wait
	}
	cause, detail := NotAnswered, ""
	for _, leg := range s.Legs {
		if leg.Failed && leg.N == 0 {
			cause, detail = DialError, leg.Reason
		}
	}
	return ended(callv1.Outcome_OUTCOME_UNREACHED, cause, detail), 0
}

// afterFailure ends a call whose person could not be had, or leaves it to its retry.
func afterFailure(s *call.State, a *call.Attempt, now time.Time) proto.Message {
	cause, detail, last := a.DialFailed.GetCause(), a.DialFailed.GetDetail(), s.Requested.GetNotAfter().AsTime()
	if leg := s.Callee(a); leg != nil && cause == NotAnswered && !leg.AnsweredAt.IsZero() && leg.Gone && leg.GoneAt.Before(a.DialFailedAt) {
		return ended(callv1.Outcome_OUTCOME_COMPLETED, CalleeHungUp, "the answer was reported after the end")
	}
	at, again := RetryAt(s)
	switch {
	case cause == Lost:
		return ended(callv1.Outcome_OUTCOME_FAILED, DialLost, detail)
	case !again:
		return ended(callv1.Outcome_OUTCOME_UNREACHED, cause, detail)
	case at.After(last) || !now.Before(last):
		return ended(callv1.Outcome_OUTCOME_UNREACHED, cause, "the next try would be too late")
	}
	return nil
}

// RetryAt is when a person who could not be had is called again, if at all.
func RetryAt(s *call.State) (at time.Time, again bool) {
	a := s.Failure()
	if a == nil || a.N >= maxAttempts {
		return time.Time{}, false
	}
	for _, retry := range s.Requested.GetRetries() {
		if retry.GetCause() != a.DialFailed.GetCause() {
			continue
		}
		failed := uint32(0)
		for _, before := range s.Attempts {
			if before.DialFailed.GetCause() == retry.GetCause() {
				failed++
			}
		}
		return a.DialFailedAt.Add(retry.GetDelay().AsDuration()), failed <= retry.GetLimit()
	}
	return time.Time{}, false
}

// nobodyCalled reports whether the attempt's dial failed without anybody having been called.
func nobodyCalled(a *call.Attempt) bool {
	cause := a.DialFailed.GetCause()
	return cause == NotDialled || cause == call.PutOff
}

// dueAt is when the call was last let begin: since then it is owed a bot. What was tried again without anybody having
// been called counts from the first time.
func dueAt(s *call.State) time.Time {
	at := s.Current().AskedAt
	for i := len(s.Attempts) - 2; i >= 0; i-- {
		a := s.Attempts[i]
		if a.AskedAt.IsZero() || a.DialFailed.GetCause() == call.PutOff || a.Dial != nil && !nobodyCalled(a) {
			break
		}
		at = a.AskedAt
	}
	return at
}

func dialFailed(a *call.Attempt, cause, detail string) *callv1.DialFailed {
	return &callv1.DialFailed{Attempt: a.N, Cause: cause, Detail: detail}
}
