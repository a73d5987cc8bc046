// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"slices"
	"time"
)

// The states of a dial, apart from Ended.
const (
	Dialling = "dialling"
	Ringing  = "ringing"
	Answered = "answered"
)

// Who asked for a dial.
const (
	byREST = "rest"
	byBot  = "bot"
)

// Dial is one time that somebody was called. A start that was refused is none.
type Dial struct {
	// ID is Daily's sessionId.
	ID   string `json:"id"`
	Room string `json:"room"`
	// To is the number, or the SIP URI without its parameters.
	To       string `json:"to"`
	From     string `json:"from"`
	CallerID string `json:"caller_id,omitempty"`
	// By is rest (dialOut/start), bot (a participant, over the join protocol), transfer or refer (the other side of one,
	// in no room); Asked is what was asked for.
	By    string         `json:"by"`
	Asked map[string]any `json:"asked"`
	// Does is what the callee was set to do; Machine tells that a machine has answered.
	Does    string `json:"does"`
	Machine bool   `json:"machine,omitempty"`
	State   string `json:"state"`
	// Why it ended: without an answer busy, no-answer (nobody came before Daily gave up), rejected, invalid-number, error;
	// else hung-up (the callee), stopped (dialOut/stop), ejected, expired, room-deleted, room-idle, room-ended (it emptied),
	// transferred (out of the room); of a transfer's other side also caller-hung-up (who was transferred).
	Why        string     `json:"why,omitempty"`
	StartedAt  time.Time  `json:"started_at"`
	RingingAt  *time.Time `json:"ringing_at"`
	AnsweredAt *time.Time `json:"answered_at"`
	EndedAt    *time.Time `json:"ended_at"`
	Tones      []string   `json:"tones,omitempty"`
}

type dial struct {
	Dial
	ask                 dialAsk
	behaviour           Behaviour
	room                *room
	sipCallID, provider string
	participant         *participant // nil before it is one
	steps               []*task
	transfer            *transfer // whose other side it is, in no room
	away                *transfer // by which the phone was sent out of its room
}

// ErrDialEnded is returned for a dial that has ended already.
var ErrDialEnded = errors.New("sim: the dial has ended")

// Dial tells about one dial.
func (s *Sim) Dial(id string) (Dial, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.dials[id]
	if d == nil {
		return Dial{}, false
	}
	return d.view(), true
}

// Dials tells about all dials, oldest first; Stats counts even those that are too old for it.
func (s *Sim) Dials() []Dial {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Dial{}
	for _, d := range s.dialOrder {
		list = append(list, d.view())
	}
	return list
}

// AnswerDial lets the callee answer now, whatever was set.
func (s *Sim) AnswerDial(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.dials[id]
	if d == nil {
		return ErrNotFound
	}
	s.startRinging(d)
	s.pickUp(d)
	if d.State == Ended {
		return ErrDialEnded
	}
	return nil
}

// HangupDial lets the callee hang up, or decline while it rings, and also when they have been transferred; a dial that
// has ended stays as it is.
func (s *Sim) HangupDial(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.dials[id]
	if d == nil {
		return ErrNotFound
	}
	why := "hung-up"
	if d.AnsweredAt == nil {
		why = failures[DoesReject]
	}
	if d.away != nil {
		s.hangUpAway(d.away)
	}
	s.endDial(d, why)
	return nil
}

func (d *dial) view() Dial {
	v := d.Dial
	v.Tones = slices.Clone(d.Tones)
	return v
}
