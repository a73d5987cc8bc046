// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"net/http"
)

// A participant who is an owner may dial out by itself, as daily-python's start_dialout does. A start that fails is told
// in the answer alone: no dialout-error follows. Daily's request budgets are REST's and do not count here.

func (s *Sim) joinedDial(w http.ResponseWriter, r *http.Request) (any, *apiError) {
	var ask struct {
		SessionID string         `json:"session_id"`
		Settings  map[string]any `json:"settings"`
	}
	if err := decode(w, r, &ask); err != nil {
		return nil, err
	}
	wanted, err := readDialAsk(ask.Settings, "taken")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rm, err := s.ownersRoom(r.PathValue("room"), ask.SessionID)
	if err != nil {
		return nil, err
	}
	d, err := s.dialOut(rm, wanted, byBot)
	if err != nil {
		return nil, err
	}
	return map[string]any{"sessionId": d.ID}, nil
}

func (s *Sim) joinedStop(w http.ResponseWriter, r *http.Request) (any, *apiError) {
	var ask struct {
		SessionID     string `json:"session_id"`
		ParticipantID string `json:"participant_id"`
	}
	if err := decode(w, r, &ask); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rm, err := s.ownersRoom(r.PathValue("room"), ask.SessionID)
	if err != nil {
		return nil, err
	}
	if err := s.stopDial(rm, ask.ParticipantID); err != nil {
		return nil, err
	}
	return map[string]any{}, nil
}

// ownersRoom is the room in which the session id is an owner's, or of one who may administer participants; mu is held.
func (s *Sim) ownersRoom(name, sessionID string) (*room, *apiError) {
	rm := s.rooms[name]
	if rm == nil || rm.session == nil || rm.session.members[sessionID] == nil {
		return nil, notFound("session_id: %q is not in the room", sessionID)
	}
	if p := rm.session.members[sessionID]; !p.owner && !p.permissions.administers() {
		return nil, forbidden("only an owner or an admin may do this")
	}
	return rm, nil
}
