// SPDX-License-Identifier: Apache-2.0

package call

import (
	"time"

	"github.com/trunkline/trunkline/pkg/bus"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// Apply takes one more event into account. Facts may come in any order; what is said twice counts once.
func (s *State) Apply(e *bus.Event) {
	if s.Began.IsZero() {
		s.Began = e.Time
	}
	switch m := e.Data.(type) {
	case *callv1.CallReceived:
		s.Received, s.Began = m, e.Time
		if first := s.attempt(1); first.Agent == "" {
			first.Agent = m.GetAgent()
		}
	case *callv1.AttemptRequested:
		a := s.attempt(m.GetAttempt())
		a.Place, a.Agent = m.GetPlace(), m.GetAgent()
	case *callv1.RoomReady:
		s.attempt(m.GetAttempt()).Room = m
	case *callv1.RoomFailed:
		s.attempt(m.GetAttempt()).over(e.Time, "no room: %s", m.GetReason())
	case *callv1.RoomReleased:
		s.Released = true
	case *callv1.BotStarting:
		a := s.attempt(m.GetAttempt())
		a.Starting, a.StartingAt = m, e.Time
	case *callv1.BotStarted:
		s.attempt(m.GetAttempt()).Started = m
	case *callv1.DialinReady: // which takes a participant, and before the caller that is the bot
		s.joined(m.GetAttempt())
	case *callv1.ParticipantJoined:
		if id, attempt, bot := ParseBot(m.GetUserId()); bot && id == s.ID {
			s.joined(attempt)
		}
	case *callv1.BotReady:
		s.attempt(m.GetAttempt()).Ready = m
	case *callv1.BotFailed:
		a := s.attempt(m.GetAttempt())
		a.Failed = m
		a.over(e.Time, "bot failed: %s", m.GetReason())
	case *callv1.BotExited:
		a := s.attempt(m.GetAttempt())
		a.Exited, a.ExitedAt = m, e.Time
		a.over(e.Time, "bot exited: %s", m.GetReason())
	case *callv1.ForwardStarted:
		a := s.attempt(m.GetAttempt())
		a.Forward, a.ForwardAt = m, later(a.ForwardAt, e.Time)
	case *callv1.ForwardRepeated:
		a := s.attempt(m.GetAttempt())
		a.Repeats, a.ForwardAt = max(a.Repeats, m.GetNumber()), later(a.ForwardAt, e.Time)
	case *callv1.ForwardFailed:
		a := s.attempt(m.GetAttempt())
		a.ForwardFailed = m
		a.over(e.Time, "forward failed: %s", m.GetReason())
	case *callv1.CallForwarded:
		s.Forwarded = &Mark[*callv1.CallForwarded]{e.Time, m}
	case *callv1.CallConnected:
		s.Connected = &Mark[*callv1.CallConnected]{e.Time, m}
	case *callv1.EndRequested:
		s.EndAsked = &Mark[*callv1.EndRequested]{e.Time, m}
	case *callv1.CallEnded:
		s.Ended = &Mark[*callv1.CallEnded]{e.Time, m}
	default:
		s.applyLeg(e)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// joined takes note of a bot in its room. The number is Daily's word: it makes no attempt of what is none.
func (s *State) joined(attempt uint32) {
	if a := s.Attempt(attempt); a != nil {
		a.Joined = true
	}
}

func (s *State) applyLeg(e *bus.Event) {
	switch m := e.Data.(type) {
	case *callv1.LegConnected:
		s.leg(e, m).Connected = true
	case *callv1.LegSeen:
		s.leg(e, m).Connected = true
	case *callv1.LegAnswered:
		s.leg(e, m).Connected = true
	case *callv1.LegFailed:
		l := s.leg(e, m)
		l.Gone, l.Failed = true, true
	case *callv1.LegEnded:
		s.leg(e, m).Gone = true
	case *callv1.LegLost:
		s.leg(e, m).Gone = true
	case *callv1.ParticipantLeft:
		// A leg's leaving as good as says that it ended; a bot's says nothing of legs.
		// What it says holds for a leg of which the first word comes later, too.
		if id, attempt, bot := ParseBot(m.GetUserId()); bot {
			if a := s.Attempt(attempt); a != nil && id == s.ID {
				a.Left = true
			}
		} else {
			s.left[m.GetSessionId()] = true
			if l := s.Legs[m.GetSessionId()]; l != nil {
				l.Gone = true
			}
		}
	}
}

func (s *State) leg(e *bus.Event, m interface {
	GetSessionId() string
	GetRoom() string
},
) *Leg {
	l := s.Legs[m.GetSessionId()]
	if l == nil {
		l = &Leg{Session: m.GetSessionId(), Room: m.GetRoom(), Since: e.Time, Gone: s.left[m.GetSessionId()]}
		s.Legs[l.Session] = l
	}
	if e.Time.Before(l.Since) {
		l.Since = e.Time
	}
	return l
}
