// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

const (
	kindWeb    = "web"
	kindDialin = "sip-dial-in"
)

// session is what goes on in a room from the first participant to the last. A join within the lag of
// meeting.ended goes on with the same meeting.
type session struct {
	id      string
	room    *room
	members map[string]*participant
	banned  map[string]bool // user ids
	sipUp   bool
	sipWait *task
	ending  *task
	alone   int // > 0: legs are alone, since the change of this number
	changes int
	meeting *meeting
	closed  bool
	away    map[*transfer]bool // of phones that were here
}

// hosting tells whether a call is going on in the room.
func (rm *room) hosting() bool { return rm.session != nil && len(rm.session.members) > 0 }

// enter makes p a participant; mu is held, and the caller has checked that p may.
func (s *Sim) enter(rm *room, p *participant) *session {
	now := time.Now()
	se := rm.session
	if se == nil {
		se = &session{id: uuid.NewString(), room: rm, members: map[string]*participant{}, banned: map[string]bool{}, away: map[*transfer]bool{}}
		rm.session = se
		s.sessions[se] = struct{}{}
		s.openMeeting(se, now)
		s.emitMeetingStarted(se)
	}
	s.tasks.stop(se.ending)
	se.ending = nil
	p.session, p.joinedAt = se, now
	first := len(se.members) == 0
	se.members[p.id] = p
	se.company(now)
	s.attend(se, p, now)
	if first {
		s.startSIP(se, p)
	}
	if first && !p.web() && s.cfg.LegsFirst == "alone" {
		se.leaveAlone()
	}
	if se.alone > 0 && !s.legsAlone(se, nil) {
		se.alone = 0
	}
	if se.alone > 0 && !p.web() {
		s.dropWhenIdle(se, p)
	}
	if !p.ejectAt.IsZero() {
		p.ejector = s.tasks.after(time.Until(p.ejectAt), func() { s.expel(p) })
	}
	if p.permissions.hasPresence {
		s.tell(se, p, event{"event": "participant-joined", "participant": p.view()})
	}
	s.emitParticipantJoined(p)
	if p.web() {
		s.countBots()
	}
	s.touch()
	return se
}

// stays is how long bots must have been there together to count as having stayed.
const stays = 500 * time.Millisecond

// countBots keeps account of how many bots there were at once; mu is held.
func (s *Sim) countBots() {
	var here []*participant
	for se := range s.sessions {
		for _, p := range se.members {
			if p.web() {
				here = append(here, p)
			}
		}
	}
	s.maxBots = max(s.maxBots, len(here))
	if len(here) <= s.maxStayed {
		return
	}
	s.tasks.after(stays, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		here = slices.DeleteFunc(here, func(p *participant) bool { return p.left })
		s.maxStayed = max(s.maxStayed, len(here))
		s.touch()
	})
}

// startSIP brings the SIP worker up some time after the first participant; mu is held.
func (s *Sim) startSIP(se *session, first *participant) {
	if len(se.room.endpoints) == 0 {
		return
	}
	if !first.web() {
		se.sipUp = true // the caller's own arrival has brought it up
		return
	}
	se.sipWait = s.tasks.after(s.cfg.SIPReadyDelay.Std(), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if se.closed || len(se.members) == 0 {
			return
		}
		se.sipUp = true
		for _, endpoint := range se.room.endpoints {
			s.tell(se, nil, dialinReady(se.room, endpoint))
			s.emitDialinReady(se.room, endpoint)
		}
		s.touch()
	})
}

// expel ends a participant's time at the moment that was fixed when it joined.
func (s *Sim) expel(p *participant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !p.left {
		s.leave(p, "expired")
	}
}

// leave takes p out; why is for the control API and, as far as Daily tells, for p itself. mu is held.
func (s *Sim) leave(p *participant, why string) {
	if p.left {
		return
	}
	p.left = true
	now := time.Now()
	se := p.session
	delete(se.members, p.id)
	if p.leg != nil {
		p.leg.call.Alone += p.alone(now)
	}
	se.company(now)
	s.tasks.stop(p.ejector)
	s.depart(p, now)
	if p.web() {
		p.farewell(why)
	}
	if p.permissions.hasPresence {
		s.tell(se, nil, event{"event": "participant-left", "participant": p.view(), "reason": "left"})
	}
	s.emitParticipantLeft(p, now)
	if t := p.transfer; t != nil && t.State == Triggered {
		s.endTransfer(t, why)
	}
	if p.leg != nil {
		s.tell(se, nil, event{"event": "dialin-stopped", "sessionId": p.id, "provider": se.room.provider(), "sipCallId": p.leg.sipCallID})
		s.emitDialinStopped(p)
		s.legGone(p.leg, why)
	}
	if p.dial != nil {
		s.endDial(p.dial, why)
	}
	switch {
	case len(se.members) == 0:
		s.emptied(se, now)
	case p.web() && !se.closed:
		s.lookForLonelyLegs(se, p)
	}
	s.touch()
}

// company keeps account of how long callers are without a bot.
func (se *session) company(now time.Time) {
	bot := false
	for _, p := range se.members {
		bot = bot || p.web()
	}
	for _, p := range se.members {
		switch {
		case p.leg == nil:
		case !bot && p.aloneSince.IsZero():
			p.aloneSince = now
		case bot:
			p.leg.call.Alone += p.alone(now)
			p.aloneSince = time.Time{}
		}
	}
}

// emptied ends the session, with the lag in which somebody may still come back.
func (s *Sim) emptied(se *session, now time.Time) {
	se.sipUp, se.alone = false, 0
	s.tasks.stop(se.sipWait)
	se.meeting.endedAt = now
	if !se.room.dialStarts() {
		s.endUnjoined(se.room, "room-ended")
	}
	if se.ending != nil {
		return
	}
	se.ending = s.tasks.after(s.cfg.MeetingEndedLag.Std(), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(se.members) > 0 {
			return
		}
		se.closed = true
		delete(s.sessions, se)
		if se.room.session == se {
			se.room.session = nil
		}
		s.endAway(se)
		s.emitMeetingEnded(se)
		s.touch()
	})
}

// endSession puts everybody out at once; mu is held, se may be nil.
func (s *Sim) endSession(se *session, why string) {
	if se == nil {
		return
	}
	se.closed = true
	for _, p := range se.list() {
		s.leave(p, why)
	}
	if se.room.session == se {
		se.room.session = nil
	}
	s.endAway(se)
}

// list is the members in order of arrival, so that what follows from them has an order too.
func (se *session) list() []*participant {
	var list []*participant
	for _, a := range se.meeting.attendances {
		if p := se.members[a.participantID]; p != nil {
			list = append(list, p)
		}
	}
	return list
}

// tell sends e to all web participants but one; mu is held.
func (s *Sim) tell(se *session, but *participant, e event) {
	for _, p := range se.members {
		if p.web() && p != but {
			p.say(e)
		}
	}
}

func (rm *room) provider() string {
	if v, ok := rm.object("sip")["provider"].(string); ok {
		return v
	}
	return "signalwire"
}

func dialinReady(rm *room, endpoint string) event {
	return event{"event": "dialin-ready", "sipEndpoint": "sip:" + endpoint, "provider": rm.provider()}
}
