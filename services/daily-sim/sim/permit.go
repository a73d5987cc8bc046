// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"maps"
	"net/http"
	"slices"
)

// everybody is the key for all who are not named.
const everybody = "*"

// updatePermissions answers POST /rooms/:name/update-permissions.
func (s *Sim) updatePermissions(r *request) (any, *apiError) {
	data, err := fieldObject(r.Body, "data")
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, invalid("missing required field 'data'")
	}
	changes := map[string]change{}
	for id := range data {
		given, err := fieldObject(data, id)
		if err == nil {
			err = checkPermissions(data, id)
		}
		if err != nil {
			return nil, err
		}
		changes[id] = change{permissions: given}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rm, err := s.live(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	if !rm.hosting() {
		return nil, notFound("room %s is not hosting a call", rm.name)
	}
	if err := s.permit(rm.session, changes); err != nil {
		return nil, err
	}
	return map[string]any{}, nil
}

// change is what is to become different about a participant.
type change struct {
	permissions map[string]any
	microphone  *bool // daily-python's inputsEnabled.microphone
}

// permit changes participants by session id, or nobody: whatever is wrong is found first. mu is held.
func (s *Sim) permit(se *session, changes map[string]change) *apiError {
	for _, id := range slices.Sorted(maps.Keys(changes)) {
		p := se.members[id]
		switch {
		case id == everybody:
		case p == nil && s.cfg.Permissions.UnknownID == "refused":
			return notFound("participant %s not found", id)
		case p != nil && !p.web() && s.cfg.Permissions.Legs == "refused":
			return invalid("the permissions of a phone cannot be changed")
		}
	}
	for _, p := range se.list() {
		c, named := changes[p.id]
		if !named {
			c, named = changes[everybody]
		}
		if named && (p.web() || s.cfg.Permissions.Legs == "honoured") {
			s.change(p, c)
		}
	}
	return nil
}

func (s *Sim) change(p *participant, c change) {
	before := p.permissions.hasPresence
	p.permissions, _ = p.permissions.updated(c.permissions) // it was checked
	if c.microphone != nil {
		p.muted = !*c.microphone
	}
	switch present := p.permissions.hasPresence; {
	case before && !present:
		s.tell(p.session, p, event{"event": "participant-left", "participant": p.view(), "reason": "hidden"})
	case present && !before:
		s.tell(p.session, p, event{"event": "participant-joined", "participant": p.view()})
	case present:
		s.tell(p.session, p, event{"event": "participant-updated", "participant": p.view()})
	}
	if p.web() {
		p.say(event{"event": "participant-updated", "participant": p.view()})
	}
	s.touch()
}

// joinedUpdate lets an owner, or who may administer participants, change others from inside, as daily-python's
// update_remote_participants does.
func (s *Sim) joinedUpdate(w http.ResponseWriter, r *http.Request) (any, *apiError) {
	var ask struct {
		SessionID    string `json:"session_id"`
		Participants map[string]struct {
			Permissions   map[string]any  `json:"permissions"`
			InputsEnabled map[string]bool `json:"inputsEnabled"`
		} `json:"remote_participants"`
	}
	if err := decode(w, r, &ask); err != nil {
		return nil, err
	}
	changes := map[string]change{}
	for id, update := range ask.Participants {
		if err := checkPermissions(map[string]any{"permissions": update.Permissions}, "permissions"); err != nil {
			return nil, err
		}
		c := change{permissions: update.Permissions}
		if on, set := update.InputsEnabled["microphone"]; set {
			c.microphone = &on
		}
		changes[id] = c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rm, err := s.ownersRoom(r.PathValue("room"), ask.SessionID)
	if err != nil {
		return nil, err
	}
	if err := s.permit(rm.session, changes); err != nil {
		return nil, err
	}
	return map[string]any{}, nil
}
