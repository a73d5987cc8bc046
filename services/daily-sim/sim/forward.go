// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// pinlessCallUpdate moves a held caller to a SIP endpoint of a room.
func (s *Sim) pinlessCallUpdate(r *request) (any, *apiError) {
	var fields [3]string
	for i, key := range []string{"callId", "callDomain", "sipUri"} {
		v, err := fieldString(r.Body, key)
		if err != nil {
			return nil, err
		}
		if v == "" {
			return nil, invalid("missing required field '%s'", key)
		}
		fields[i] = v
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls[fields[0]]
	if c == nil || c.CallDomain != fields[1] {
		return nil, notFound("call forwarding failed")
	}
	rm, endpoint := s.doorFor(fields[2])
	if !s.forwardable(c) || rm == nil || !s.reachable(rm) || rm.busy[endpoint] != nil {
		c.Refused++
		s.touch()
		return nil, notFound("call forwarding failed")
	}
	s.forward(c, rm, endpoint)
	return map[string]any{"ok": true}, nil
}

// forwardable applies the open question: what a second forward of the same caller does.
func (s *Sim) forwardable(c *call) bool {
	return c.State == Holding || c.State != Ended && s.cfg.SecondForward == "second-leg"
}

// reachable tells whether the room's SIP worker answers: somebody is there, or the caller may start the room.
func (s *Sim) reachable(rm *room) bool {
	if rm.expired(time.Now()) {
		return false
	}
	return rm.hosting() && rm.session.sipUp || rm.allowsStart()
}

// doorFor finds the room behind a SIP URI, whatever its parameters.
func (s *Sim) doorFor(uri string) (*room, string) {
	endpoint := strings.TrimPrefix(uri, "sip:")
	if i := strings.IndexAny(endpoint, ";?"); i >= 0 {
		endpoint = endpoint[:i]
	}
	return s.doors[endpoint].room, endpoint
}

// forward sends a held caller into the room.
func (s *Sim) forward(c *call, rm *room, endpoint string) {
	now := time.Now()
	s.send(c, rm, endpoint, nil)
	c.Forwards++
	if c.State == Holding {
		c.State, c.ForwardedAt = Forwarded, &now
	}
	s.tasks.stop(c.patience)
	s.touch()
}

// send reserves the endpoint, for a forward or a transfer; the caller is a participant a little later.
func (s *Sim) send(c *call, rm *room, endpoint string, by *transfer) {
	l := &leg{id: uuid.NewString(), sipCallID: uuid.NewString(), call: c, room: rm, endpoint: endpoint, transfer: by}
	rm.busy[endpoint] = l
	c.legs[l] = true
	s.tasks.after(s.cfg.ConnectDelay.Std(), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.connect(l)
	})
}

// connect makes the leg a participant, if the caller and the room are still there.
func (s *Sim) connect(l *leg) {
	c := l.call
	switch {
	case !c.legs[l]: // hung up on the way
		return
	case c.spec.HangupOnForward:
		s.endCall(c, "hung-up")
		return
	case s.doors[l.endpoint].room != l.room || !s.reachable(l.room):
		s.legGone(l, "not-connected")
		return
	}
	now := time.Now()
	name, _ := l.room.object("sip")["display_name"].(string)
	l.participant = &participant{
		id: l.id, userName: name, kind: kindDialin, leg: l, ejectAt: ejectTime(l.room, token{}, now),
		permissions: s.legPermissions(l.room, nil),
	}
	c.Legs++
	c.Sessions = append(c.Sessions, l.id)
	if !slices.Contains(c.Rooms, l.room.name) {
		c.Rooms = append(c.Rooms, l.room.name)
	}
	c.State = Connected
	if c.ConnectedAt == nil {
		c.ConnectedAt = &now
		if talk := c.spec.Talk.Std(); talk > 0 {
			c.talk = s.tasks.after(talk, func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.endCall(c, "hung-up")
			})
		}
	}
	se := s.enter(l.room, l.participant)
	if l.participant.left {
		return // the legs of the room were alone, without grace
	}
	s.tell(se, nil, event{
		"event": "dialin-connected", "sessionId": l.id, "sipFrom": l.call.spec.From, "sipHeaders": l.headers(),
		"sipEndpoint": "sip:" + l.endpoint, "provider": l.room.provider(), "sipCallId": l.sipCallID, "displayName": name,
	})
	s.emitDialinConnected(l.participant)
	if l.transfer != nil {
		s.answerTransfer(l.transfer)
	}
	s.touch()
}

func (l *leg) headers() map[string]string {
	if l.call.spec.SIPHeaders == nil {
		return map[string]string{}
	}
	return l.call.spec.SIPHeaders
}
