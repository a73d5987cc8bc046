// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// join serves POST {room_url}/join: the door, and then the stream of what a Daily client would see.
// Closing the connection is leaving.
func (s *Sim) join(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Token    string `json:"token"`
		UserName string `json:"user_name"`
	}
	if err := decode(w, r, &ask); err != nil {
		failure(err).send(w)
		return
	}
	p, first, err := s.admit(r.PathValue("room"), ask.Token, ask.UserName)
	if err != nil {
		failure(err).send(w)
		return
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leave(p, "left")
	}()
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{}) // a stream outlives any deadline of its server
	_ = out.SetWriteDeadline(time.Time{})
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	s.stream(r.Context(), p, first, func(e event) error {
		if err := json.NewEncoder(w).Encode(e); err != nil {
			return err
		}
		return out.Flush()
	})
}

// stream writes p's events until p leaves, is put out, or the simulator ends.
func (s *Sim) stream(ctx context.Context, p *participant, first event, write func(event) error) {
	if write(first) != nil {
		return
	}
	alive := time.NewTicker(s.cfg.KeepAlive.Std())
	defer alive.Stop()
	for {
		select {
		case e, ok := <-p.events:
			if !ok || write(e) != nil {
				return
			}
		case <-alive.C:
			if write(event{"event": "ping"}) != nil {
				return
			}
		case <-ctx.Done():
			return
		case <-s.ended:
			return
		}
	}
}

// admit is the door: it refuses as Daily does, or makes a participant and tells what it sees first.
func (s *Sim) admit(name, rawToken, userName string) (*participant, event, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rm, err := s.live(name)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	var t token
	if rawToken != "" {
		if t, err = parseToken(s.cfg.APIKey, rawToken); err == nil {
			err = t.check(rm.name, s.cfg.DomainID, false, now)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if err := s.refuse(rm, t, rawToken != "", now); err != nil {
		return nil, nil, err
	}
	p := &participant{
		id: uuid.NewString(), userID: t.text("ud"), userName: userName, owner: t.flag("o"), kind: kindWeb,
		ejectAt: ejectTime(rm, t, now), events: make(chan event, 1024), permissions: permissionsAtJoin(rm, t.flag("o"), t.object("p")),
	}
	if name := t.text("u"); name != "" {
		p.userName = name
	}
	if p.userID != "" && rm.flag("enforce_unique_user_ids") && rm.session != nil {
		for _, other := range rm.session.list() {
			if other.userID == p.userID {
				s.leave(other, "ejected")
			}
		}
	}
	others := map[string]any{}
	if rm.session != nil {
		for _, other := range rm.session.members {
			if other.permissions.hasPresence {
				others[other.id] = other.view()
			}
		}
	}
	se := s.enter(rm, p)
	others["local"] = p.view()
	if se.sipUp && s.cfg.DialinReadyForLateJoiner {
		for _, endpoint := range rm.endpoints {
			p.say(dialinReady(rm, endpoint))
		}
	}
	return p, event{
		"event": "joined", "session_id": p.id, "participants": others,
		"meeting_session": map[string]any{"id": se.id},
	}, nil
}

// refuse checks what does not depend on the token's own claims.
func (s *Sim) refuse(rm *room, t token, has bool, now time.Time) *apiError {
	inside := 0
	if rm.session != nil {
		inside = len(rm.session.members)
	}
	most := int(rm.number("max_participants"))
	if most == 0 {
		most = 200
	}
	switch {
	case rm.privacy == "private" && !has:
		return forbidden("the room is private: a token for it is needed")
	case rm.number("nbf") != 0 && now.Before(unix(rm.number("nbf"))):
		return forbidden("the room is not open yet (nbf)")
	case rm.session != nil && t.text("ud") != "" && rm.session.banned[t.text("ud")]:
		return forbidden("the user is banned from the room")
	case inside >= most:
		return forbidden("the meeting is full")
	}
	return nil
}

// ejectTime is fixed at join. A token with any eject property takes the room's place.
func ejectTime(rm *room, t token, now time.Time) time.Time {
	var at time.Time
	sooner := func(candidate time.Time) {
		if at.IsZero() || candidate.Before(at) {
			at = candidate
		}
	}
	if t.carriesEject() {
		if t.flag("ejt") && t.number("exp") != 0 {
			sooner(unix(t.number("exp")))
		}
		if n := t.number("eje"); n != 0 {
			sooner(now.Add(seconds(n)))
		}
		return at
	}
	if rm.flag("eject_at_room_exp") && rm.number("exp") != 0 {
		sooner(unix(rm.number("exp")))
	}
	if n := rm.number("eject_after_elapsed"); n != 0 {
		sooner(now.Add(seconds(n)))
	}
	return at
}
