// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"time"
)

// Hearing is one participant and who they hear now.
type Hearing struct {
	SessionID string `json:"session_id"`
	// Kind is web, sip-dial-in, sip-dial-out or pstn-dial-out.
	Kind     string `json:"kind"`
	UserID   string `json:"user_id"`
	UserName string `json:"user_name"`
	// Call is the id of the call of a phone that called.
	Call string `json:"call,omitempty"`
	// Hears are the session ids of those who would be heard if they spoke.
	Hears []string `json:"hears"`
}

// Said is something that was said in a room, and to whom.
type Said struct {
	Seq  int       `json:"seq"`
	At   time.Time `json:"at"`
	Room string    `json:"room"`
	By   string    `json:"by"`
	Text string    `json:"text"`
	// HeardBy are the session ids of those who heard it, Missed of those who were in the room and did not.
	HeardBy []string `json:"heard_by"`
	Missed  []string `json:"missed"`
}

// ErrCannotSpeak is returned for a phone that nobody has answered yet.
var ErrCannotSpeak = errors.New("sim: the phone has not been answered")

// hears tells whether p hears what speaker says; nobody hears themselves.
func (p *participant) hears(speaker *participant) bool {
	return p != speaker && p.onTheLine() && speaker.onTheLine() && !speaker.muted &&
		speaker.permissions.speaks() && p.permissions.hears(speaker)
}

// onTheLine is false for a phone that still rings.
func (p *participant) onTheLine() bool { return p.dial == nil || p.dial.AnsweredAt != nil }

// Hears is who hears whom in a room now, in order of arrival.
func (s *Sim) Hears(room string) []Hearing {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Hearing{}
	rm := s.rooms[room]
	if rm == nil || rm.session == nil {
		return list
	}
	all := rm.session.list()
	for _, p := range all {
		h := Hearing{SessionID: p.id, Kind: p.kind, UserID: p.userID, UserName: p.userName, Hears: []string{}}
		if p.leg != nil {
			h.Call = p.leg.call.ID
		}
		for _, speaker := range all {
			if p.hears(speaker) {
				h.Hears = append(h.Hears, speaker.id)
			}
		}
		list = append(list, h)
	}
	return list
}

// Say lets somebody in a room speak, by their session id or their call's, and notes who heard it.
func (s *Sim) Say(room, by, text string) (Said, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rm := s.rooms[room]
	if rm == nil || rm.session == nil {
		return Said{}, ErrNotFound
	}
	for _, p := range rm.session.list() {
		if p.id == by || p.leg != nil && p.leg.call.ID == by {
			return s.speak(p, text)
		}
	}
	return Said{}, ErrNotFound
}

// speak tells who hears it, if they are clients; mu is held.
func (s *Sim) speak(speaker *participant, text string) (Said, error) {
	if !speaker.onTheLine() {
		return Said{}, ErrCannotSpeak
	}
	said := Said{At: time.Now(), Room: speaker.session.room.name, By: speaker.id, Text: text, HeardBy: []string{}, Missed: []string{}}
	for _, p := range speaker.session.list() {
		switch {
		case p == speaker:
		case p.hears(speaker):
			said.HeardBy = append(said.HeardBy, p.id)
			if p.web() {
				p.say(event{"event": "sim-said", "sessionId": speaker.id, "text": text})
			}
		default:
			said.Missed = append(said.Missed, p.id)
		}
	}
	s.said.add(func(seq int) Said { said.Seq = seq; return said })
	s.touch()
	return said, nil
}

// Heard is all that was said in rooms of this name, oldest first.
func (s *Sim) Heard(room string) []Said {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Said{}
	for _, said := range s.said.newest() {
		if said.Room == room {
			list = append(list, said)
		}
	}
	return list
}
