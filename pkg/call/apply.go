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
		s.first(m.GetAgent())
	case *callv1.CallRequested:
		s.Requested, s.Began = m, e.Time
		s.first(m.GetAgent())
	case *callv1.AttemptRequested:
		a := s.attempt(m.GetAttempt())
		a.Place, a.Agent, a.AskedAt = m.GetPlace(), m.GetAgent(), e.Time
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
			if a := s.Attempt(attempt); a != nil {
				a.Session = m.GetSessionId()
			}
		}
	case *callv1.BotReady:
		s.attempt(m.GetAttempt()).Ready = m
	case *callv1.BotClaimed:
		s.attempt(m.GetAttempt()).Claimed = m
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
		if s.EndAsked == nil || m.GetAttempt() > s.EndAsked.Data.GetAttempt() {
			s.EndAsked = &Mark[*callv1.EndRequested]{e.Time, m}
		}
	case *callv1.CallEnded:
		s.Ended = &Mark[*callv1.CallEnded]{e.Time, m}
	default:
		s.applyDial(e)
		s.applyLeg(e)
		s.applyTransfer(e)
	}
}

// first is the attempt that a call has from its start.
func (s *State) first(agent string) {
	if a := s.attempt(1); a.Agent == "" {
		a.Agent = agent
	}
}

func (s *State) applyDial(e *bus.Event) {
	switch m := e.Data.(type) {
	case *callv1.DialStarting:
		a := s.attempt(m.GetAttempt())
		a.Dial, a.DialAt = m, e.Time
	case *callv1.DialStarted:
		a := s.attempt(m.GetAttempt())
		a.Dialled, a.DialledAt = m, e.Time
	case *callv1.DialAnswered:
		s.attempt(m.GetAttempt()).Answered = m
	case *callv1.DialStopping:
		a := s.attempt(m.GetAttempt())
		a.Stopping, a.StoppingAt = m, e.Time
	case *callv1.DialFailed:
		a := s.attempt(m.GetAttempt())
		a.DialFailed, a.DialFailedAt = m, e.Time
		a.over(e.Time, "dial failed: %s", m.GetCause())
	case *callv1.VoicemailHeard:
		s.attempt(m.GetAttempt()).Voicemail = true
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
		l := s.leg(e, m)
		l.Connected, l.AnsweredAt = true, e.Time
	case *callv1.LegFailed:
		l := s.leg(e, m)
		l.gone(e.Time)
		l.Failed, l.Reason = true, m.GetReason()
	case *callv1.LegEnded:
		s.leg(e, m).gone(e.Time)
	case *callv1.LegLost:
		s.leg(e, m).gone(e.Time)
	case *callv1.ParticipantLeft:
		// A leg's leaving as good as says that it ended; a bot's says nothing of legs.
		// What it says holds for a leg of which the first word comes later, too.
		if id, attempt, bot := ParseBot(m.GetUserId()); bot {
			if a := s.Attempt(attempt); a != nil && id == s.ID {
				a.Left = true
			}
			return
		}
		if at, known := s.left[m.GetSessionId()]; !known || e.Time.Before(at) {
			s.left[m.GetSessionId()] = e.Time
		}
		if l := s.Legs[m.GetSessionId()]; l != nil {
			l.gone(e.Time)
		}
	}
}

func (l *Leg) gone(at time.Time) {
	if !l.Gone || at.Before(l.GoneAt) {
		l.Gone, l.GoneAt = true, at
	}
}

func (s *State) leg(e *bus.Event, m interface {
	GetSessionId() string
	GetRoom() string
	GetAttempt() uint32
},
) *Leg {
	l := s.Legs[m.GetSessionId()]
	if l == nil {
		l = &Leg{Session: m.GetSessionId(), Room: m.GetRoom(), Attempt: m.GetAttempt(), Since: e.Time}
		s.Legs[l.Session] = l
		if at, left := s.left[l.Session]; left {
			l.gone(at)
		}
		l.N, l.K = s.dialled[l.Session].n, s.dialled[l.Session].k
	}
	if e.Time.Before(l.Since) {
		l.Since = e.Time
	}
	if m, ok := m.(interface{ GetDialled() bool }); ok {
		l.Dialled = l.Dialled || m.GetDialled()
	}
	if m, ok := m.(interface{ GetUserId() string }); ok {
		if id, as, ok := parseOperator(m.GetUserId()); ok && id == s.ID {
			s.dialledAs(l.Session, as)
		}
	}
	return l
}
