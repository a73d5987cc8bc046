// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"net/http"
)

func (s *Sim) controlHears(_ http.ResponseWriter, r *http.Request) (any, *apiError) {
	name := r.PathValue("name")
	s.mu.Lock()
	missing := s.rooms[name] == nil
	s.mu.Unlock()
	if missing {
		return nil, notFound("room %s not found", name) // an empty list would hide a wrong name
	}
	list := s.Hears(name)
	return map[string]any{"total": len(list), "data": list}, nil
}

func (s *Sim) controlHeard(_ http.ResponseWriter, r *http.Request) (any, *apiError) {
	list := s.Heard(r.PathValue("name"))
	return map[string]any{"total": len(list), "data": list}, nil
}

func (s *Sim) controlSay(w http.ResponseWriter, r *http.Request) (any, *apiError) {
	var ask struct {
		By   string `json:"by"`
		Text string `json:"text"`
	}
	if err := decode(w, r, &ask); err != nil {
		return nil, err
	}
	return spoken(ask.By, func() (Said, error) { return s.Say(r.PathValue("name"), ask.By, ask.Text) })
}

// joinedSay lets a participant speak over the join protocol, in place of media.
func (s *Sim) joinedSay(w http.ResponseWriter, r *http.Request) (any, *apiError) {
	var ask struct {
		SessionID string `json:"session_id"`
		Text      string `json:"text"`
	}
	if err := decode(w, r, &ask); err != nil {
		return nil, err
	}
	if _, err := spoken(ask.SessionID, func() (Said, error) { return s.Say(r.PathValue("room"), ask.SessionID, ask.Text) }); err != nil {
		return nil, err
	}
	return map[string]any{}, nil
}

func spoken(by string, say func() (Said, error)) (any, *apiError) {
	said, err := say()
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, notFound("%q is not in the room", by)
	case err != nil:
		return nil, invalid("by: the phone has not been answered")
	}
	return said, nil
}
