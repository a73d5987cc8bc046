// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"time"

	"github.com/google/uuid"
)

// trigger begins what was accepted; the phone is out of its room a little later. mu is held.
func (s *Sim) trigger(p *participant, ask transferAsk, by string, b Behaviour, from phoneNumber) {
	t := &transfer{ask: ask, session: p.session, moved: p, from: p.endpoint()}
	s.lastTransfer++
	t.Transfer = Transfer{
		Seq: s.lastTransfer, Room: p.session.room.name, SessionID: p.id, To: ask.address(), Refer: ask.refer, By: by,
		Asked: ask.fields, State: Triggered, StartedAt: time.Now(),
	}
	if p.leg != nil {
		t.call, t.Call = p.leg.call, p.leg.call.ID
	}
	s.transfers = forget(s.transfers, s.cfg.History, func(t *transfer) bool { return t.State == Ended }, func(*transfer) {})
	s.transfers = append(s.transfers, t)
	p.transfer = t
	if s.cfg.Transfers.Order == "triggered-first" {
		s.announceTransfer(t, "triggered")
	}
	s.tasks.after(s.cfg.Transfers.Delay.Std(), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if t.State == Triggered {
			s.initiate(t, b, from)
		}
	})
	s.touch()
}

// initiate takes the phone out of its room, from where nobody can take it back, and lets the other side ring.
func (s *Sim) initiate(t *transfer, b Behaviour, from phoneNumber) {
	late := s.cfg.Transfers.Order == "left-first"
	if t.Refer && s.cfg.Transfers.Refer == "declined" {
		if late {
			s.announceTransfer(t, "triggered")
		}
		s.endTransfer(t, "declined")
		return
	}
	now := time.Now()
	t.State, t.InitiatedAt = Initiated, &now
	to, endpoint := s.doorFor(t.ask.target)
	if to != nil {
		t.ToRoom = to.name
		s.becomeCall(t)
	}
	if t.call != nil {
		t.call.State, t.call.away = Transferred, t
	} else {
		t.moved.dial.away = t
	}
	t.session.away[t] = true
	s.leave(t.moved, "transferred")
	if late {
		s.announceTransfer(t, "triggered")
	}
	s.announceTransfer(t, "initiated")
	switch {
	case to == nil:
		s.ringOutside(t, b, from)
	case !s.reachable(to) || to.busy[endpoint] != nil:
		s.endTransfer(t, "unreachable")
	default:
		s.send(t.call, to, endpoint, t)
		t.call.away = nil // the leg holds the call
	}
	s.touch()
}

// ringOutside calls the other side, which is a phone as those that are dialled, in no room.
func (s *Sim) ringOutside(t *transfer, b Behaviour, from phoneNumber) {
	by := "transfer"
	if t.Refer {
		by, from = "refer", phoneNumber{number: t.from}
	}
	t.target = s.newDial(t.session.room, t.ask.dialAsk, from, by, b)
	t.target.transfer = t
	t.Dial = t.target.ID
	s.begin(t.target)
}

// becomeCall makes a called person a caller, which is what they are in the other room.
func (s *Sim) becomeCall(t *transfer) {
	if t.call != nil {
		return
	}
	number := t.moved.dial.To
	c := &call{spec: CallSpec{From: number, To: t.To}, legs: map[*leg]bool{}}
	c.Call = Call{
		ID: uuid.NewString(), CallDomain: s.cfg.CallDomain, From: &number, To: t.To, StartedAt: time.Now(),
		Rooms: []string{}, Sessions: []string{}, Webhooks: []Delivery{},
	}
	s.calls[c.ID] = c
	s.order = append(s.order, c)
	t.call, t.Call = c, c.ID
	t.moved.dial.away = t
}

// answerTransfer is the moment from which the two talk; mu is held.
func (s *Sim) answerTransfer(t *transfer) {
	now := time.Now()
	t.State, t.AnsweredAt = Answered, &now
	s.announceTransfer(t, "answered")
	s.touch()
}

// endTransfer ends it with all that hangs on it: the other side's phone, and the one that was sent away. mu is held.
func (s *Sim) endTransfer(t *transfer, why string) {
	if t.State == Ended {
		return
	}
	now, outside, initiated := time.Now(), t.outside() || why == "unreachable", t.InitiatedAt != nil
	t.State, t.Why, t.EndedAt = Ended, why, &now
	t.moved.transfer = nil
	delete(t.session.away, t)
	if t.target != nil {
		s.endDial(t.target, why)
	}
	if t.AnsweredAt != nil || initiated && s.cfg.Transfers.Unanswered == "completed" {
		s.announceTransfer(t, "completed")
	}
	if outside && t.call != nil && t.call.away == t {
		t.call.away = nil
		s.endCall(t.call, t.callsWhy())
	}
	s.touch()
}

// callsWhy is why the call of who was sent away has ended.
func (t *transfer) callsWhy() string {
	switch {
	case t.Why == callerHungUp:
		return "hung-up"
	case t.AnsweredAt != nil:
		return "transfer-ended"
	}
	return "transfer-failed"
}

// callerHungUp is why a transfer ends when who was sent away hangs up.
const callerHungUp = "caller-hung-up"

// hangUpAway lets a called person who was sent away hang up, wherever they are now.
func (s *Sim) hangUpAway(t *transfer) {
	if t.call != nil {
		s.endCall(t.call, "hung-up")
		return
	}
	s.endTransfer(t, callerHungUp)
}

// endAway ends the transfers out of a session, where they live no longer than it; mu is held.
func (s *Sim) endAway(se *session) {
	if s.cfg.Transfers.EndsWith != "session" {
		return
	}
	for _, t := range s.transfers {
		if se.away[t] && t.outside() {
			s.endTransfer(t, "room-ended")
		}
	}
}
