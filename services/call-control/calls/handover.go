// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// movedGrace is how long past its ring time an answer of whom a caller was sent to may be reported.
const movedGrace = 30 * time.Second

// bridged says what follows for a caller who talks to a person: until one of them leaves, only what a bot is to do that
// holds the room. That none can be had does not part them.
func bridged(s *call.State, now time.Time) (proto.Message, time.Duration) {
	if leg := s.HandedTo(); leg != nil && leg.Gone {
		return ended(talked(s), OperatorGone, ""), 0
	}
	if s.Connected == nil {
		if leg := firstLeg(s); leg != nil {
			return &callv1.CallConnected{Attempt: s.Current().N, SessionId: leg.Session}, 0
		}
	}
	if !s.WantsBot() {
		return nil, 0
	}
	return replaced(s, now)
}

// replaced has another bot take the place of one that is over, however long that may take. Who left as it wanted may have
// seen the caller leave, which is told us a moment later.
func replaced(s *call.State, now time.Time) (proto.Message, time.Duration) {
	current := s.Current()
	if !current.Over() {
		return nil, 0
	}
	if wait := current.ExitedAt.Add(exitGrace).Sub(now); left(current) && wait > 0 {
		return nil, wait
	}
	if current.N >= maxAttempts {
		return nil, 0
	}
	return again(s, now, callv1.Place_PLACE_SAME_ROOM)
}

// left reports whether the attempt's bot has left as it wanted.
func left(a *call.Attempt) bool {
	return a.Exited != nil && a.Exited.GetStatus() == 0 && a.Failed == nil
}

// ownWay reports whether a bot's leaving was about itself alone.
func ownWay(s *call.State, a *call.Attempt) bool {
	return s.OwnWay(a.ExitedAt) || s.Transfer().UnderWay()
}

// botless is since when the caller waits for a bot. As long as somebody else was about to talk to him, he did not.
func botless(s *call.State) time.Time {
	at := lost(s)
	for _, t := range s.Transfers {
		if t.Failed != nil && t.Failed.At.After(at) {
			at = t.Failed.At
		}
		if t.Cancelled != nil && t.Cancelled.At.After(at) {
			at = t.Cancelled.At
		}
	}
	return at
}

// endsWithout reports whether the call was to end because nobody could be had to whom the caller could be handed over.
func endsWithout(s *call.State) bool {
	t := s.Transfer()
	return t != nil && t.Asked != nil && t.Asked.Data.GetEnds() && t.Failed != nil
}

// moved says what follows for a caller whom a transfer has taken out of the room: whoever it is that talks to him now,
// the call goes on for as long as Daily tells of it.
func (r Rules) moved(s *call.State, t *call.Transfer, now time.Time) proto.Message {
	switch {
	case t.Done() && (toldOf(s, t) == "completed" || isRefer(t)):
		return sent(s, toldOf(s, t))
	case !now.Before(r.Limit(s)):
		return outlasted(s)
	}
	return nil
}

// outlasted ends a call that has reached its limit.
func outlasted(s *call.State) proto.Message {
	if t := s.Moved(); t != nil {
		return sent(s, toldOf(s, t))
	}
	return ended(talked(s), MaxDuration, "")
}

// sentByBot says what follows for a caller whom a bot has had sent elsewhere by itself.
func sentByBot(s *call.State, now time.Time) (proto.Message, time.Duration) {
	if slices.ContainsFunc(s.Transfers, func(t *call.Transfer) bool { return t.Asked != nil && t.Moves() }) {
		return nil, 0
	}
	switch word, gone := furthest(s); {
	case word == "":
		return nil, 0
	case word != words[0]:
		return sent(s, word), 0
	default: // whether it has begun is told at any moment
		return nil, max(0, gone.Add(exitGrace).Sub(now))
	}
}

func sent(s *call.State, word string) proto.Message {
	detail := "Daily has told nothing of it"
	if word != "" {
		detail = "Daily has told: " + word
	}
	return ended(talked(s), Transferred, detail)
}

// words are what Daily tells of a leg that is sent elsewhere, in this order.
var words = []string{"triggered", "initiated", "answered", "completed"}

// furthest is the last of the words that Daily has told of a leg of the caller's, and when such a leg left; or "".
func furthest(s *call.State) (word string, gone time.Time) {
	for _, leg := range s.Callers() {
		switch told := s.Told(leg.Session); {
		case told == "" || slices.Index(words, told) < slices.Index(words, word):
		case told != word || leg.GoneAt.After(gone):
			word, gone = told, leg.GoneAt
		}
	}
	return word, gone
}

// toldOf is what Daily has told of the leg that a transfer has sent away.
func toldOf(s *call.State, t *call.Transfer) string {
	for _, try := range slices.Backward(t.Tries) {
		if try.Starting != nil && try.Starting.Data.GetSessionId() != "" {
			return s.Told(try.Starting.Data.GetSessionId())
		}
	}
	word, _ := furthest(s)
	return word
}

func isRefer(t *call.Transfer) bool {
	return t.Asked != nil && t.Asked.Data.GetMode() == config.ModeRefer
}

// movedLimit is when the call of a caller who was sent elsewhere is over: as long after the ring time as an answer may be
// reported; once there was one, not before the longest duration.
func movedLimit(s *call.State, t *call.Transfer, longest time.Time) time.Time {
	if word := toldOf(s, t); slices.Index(words, word) > slices.Index(words, "initiated") {
		return longest
	}
	limit := t.Completed.At.Add(movedGrace)
	if k := int(t.Completed.Data.GetK()); t.Asked != nil && k >= 1 && k <= len(t.Asked.Data.GetNumbers()) {
		limit = limit.Add(t.Asked.Data.GetNumbers()[k-1].GetRingTimeout().AsDuration())
	}
	if longest.Before(limit) {
		return longest
	}
	return limit
}
