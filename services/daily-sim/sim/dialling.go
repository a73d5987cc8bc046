// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// The ways to end without an answer.
var failures = map[string]string{
	DoesBusy: "busy", DoesNoAnswer: "no-answer", DoesReject: "rejected", DoesInvalid: "invalid-number", DoesError: "error",
}

// place calls the phone into a room; what comes of it comes by itself. mu is held.
func (s *Sim) place(rm *room, ask dialAsk, from phoneNumber, by string, b Behaviour) *dial {
	d := s.newDial(rm, ask, from, by, b)
	rm.dials[d] = true
	s.begin(d)
	return d
}

// newDial notes that somebody is called; mu is held.
func (s *Sim) newDial(rm *room, ask dialAsk, from phoneNumber, by string, b Behaviour) *dial {
	d := &dial{ask: ask, behaviour: b, room: rm, sipCallID: uuid.NewString(), provider: "signalwire"}
	if ask.sip() {
		d.provider = rm.provider()
		if ask.provider != "" {
			d.provider = ask.provider
		}
	}
	d.Dial = Dial{
		ID: uuid.NewString(), Room: rm.name, To: ask.address(), From: from.number, CallerID: from.id, By: by,
		Asked: ask.fields, Does: b.Does, State: Dialling, StartedAt: time.Now(),
	}
	s.dialOrder = forget(s.dialOrder, s.cfg.History, func(d *dial) bool { return d.State == Ended }, func(d *dial) { delete(s.dials, d.ID) })
	s.dials[d.ID] = d
	s.dialOrder = append(s.dialOrder, d)
	s.dialled[d.To]++
	return d
}

// begin lets the phone do what it was set to do.
func (s *Sim) begin(d *dial) {
	wait := s.cfg.Dialout.RingDelay.Std()
	switch b := d.behaviour; b.Does {
	case DoesBusy, DoesInvalid, DoesError:
		s.step(d, or(b.After, wait), func() {
			s.warn(d)
			s.endDial(d, failures[b.Does])
		})
	default:
		s.step(d, wait, func() { s.startRinging(d) })
	}
	s.touch()
}

// step does something later, unless the dial has ended by then.
func (s *Sim) step(d *dial, after time.Duration, do func()) {
	d.steps = append(d.steps, s.tasks.after(after, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if d.State != Ended {
			do()
		}
	}))
}

// startRinging is Daily's "connected": the leg is there, and rings. mu is held.
func (s *Sim) startRinging(d *dial) {
	if d.State != Dialling {
		return
	}
	now := time.Now()
	d.State, d.RingingAt = Ringing, &now
	if d.transfer == nil && s.cfg.Dialout.Joins == "connected" && !s.joinDialled(d, now) {
		return
	}
	s.announce(d, "connected")
	s.warn(d)
	b, set := d.behaviour, s.cfg.Dialout
	giveUp := set.RingTimeout.Std()
	switch b.Does {
	case DoesAnswer, DoesVoicemail:
		s.step(d, or(b.After, set.AnswerDelay.Std()), func() { s.pickUp(d) })
	case DoesReject:
		s.step(d, or(b.After, set.AnswerDelay.Std()), func() { s.endDial(d, failures[DoesReject]) })
	default:
		giveUp = or(b.After, giveUp)
	}
	if giveUp > 0 {
		s.step(d, giveUp, func() {
			if d.State == Ringing {
				s.endDial(d, failures[DoesNoAnswer])
			}
		})
	}
	s.touch()
}

// pickUp is the answer; mu is held.
func (s *Sim) pickUp(d *dial) {
	if d.State != Ringing {
		return
	}
	now := time.Now()
	d.State, d.AnsweredAt, d.Machine = Answered, &now, d.behaviour.Does == DoesVoicemail
	if d.transfer != nil {
		s.answerTransfer(d.transfer)
	} else if d.participant != nil || s.joinDialled(d, now) {
		s.announce(d, "answered")
		s.announceVoice(d)
	} else {
		return
	}
	if talk := d.behaviour.Talk.Std(); talk > 0 {
		s.step(d, talk, func() { s.endDial(d, "hung-up") })
	}
	s.touch()
}

// joinDialled makes the leg a participant; it is false if the leg was out again at once, because the legs of the room
// were alone without grace.
func (s *Sim) joinDialled(d *dial, now time.Time) bool {
	d.participant = &participant{
		id: d.ID, userID: d.ask.userID, userName: d.ask.displayName, kind: d.ask.kind, dial: d,
		ejectAt: ejectTime(d.room, token{}, now), permissions: s.legPermissions(d.room, d.ask.permissions),
	}
	s.enter(d.room, d.participant)
	return !d.participant.left
}

// endDial takes the leg out and tells as much of the end as Daily does; mu is held.
func (s *Sim) endDial(d *dial, why string) {
	if d.State == Ended {
		return
	}
	now := time.Now()
	d.State, d.Why, d.EndedAt = Ended, why, &now
	delete(d.room.dials, d)
	for _, step := range d.steps {
		s.tasks.stop(step)
	}
	if d.participant != nil {
		s.leave(d.participant, why)
	}
	if d.transfer != nil {
		s.endTransfer(d.transfer, why)
	}
	ends := d.ends(s.cfg.Dialout)
	if ends != endStopped {
		s.announce(d, "error")
	}
	if ends != endError {
		s.announce(d, "stopped")
	}
	s.touch()
}

// failed tells that there was no answer, and that it was not our side that gave up.
func (d *dial) failed() bool {
	if d.AnsweredAt != nil {
		return false
	}
	for _, why := range failures {
		if why == d.Why {
			return true
		}
	}
	return false
}

// ends is which events tell the end.
func (d *dial) ends(set Dialout) string {
	switch {
	case !d.failed():
		return endStopped
	case d.behaviour.Ends != "":
		return d.behaviour.Ends
	case d.Why == failures[DoesInvalid] || d.Why == failures[DoesError]:
		return endError
	}
	return set.Unanswered
}

// endUnjoined ends the dials whose leg is not in the room yet, when nobody is there any more; mu is held.
func (s *Sim) endUnjoined(rm *room, why string) {
	for _, d := range rm.inOrder() {
		if d.participant == nil {
			s.endDial(d, why)
		}
	}
}

// inOrder is the room's dials in order of their start, so that what follows from them has an order too.
func (rm *room) inOrder() []*dial {
	var list []*dial
	for d := range rm.dials {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b *dial) int { return a.StartedAt.Compare(b.StartedAt) })
	return list
}
