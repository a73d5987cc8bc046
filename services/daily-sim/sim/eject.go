// SPDX-License-Identifier: Apache-2.0

package sim

import "slices"

// eject puts participants out by session id or user id; unknown ones are no error.
func (s *Sim) eject(r *request) (any, *apiError) {
	ids, err := fieldStrings(r.Body, "ids", 100)
	if err != nil {
		return nil, err
	}
	userIDs, err := fieldStrings(r.Body, "user_ids", 100)
	if err != nil {
		return nil, err
	}
	if len(ids)+len(userIDs) == 0 {
		return nil, invalid("'ids' or 'user_ids' is required")
	}
	ban, set := r.Body["ban"]
	banned, isBool := ban.(bool)
	if set && !isBool {
		return nil, invalid("'ban' must be a boolean")
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
	se := rm.session
	ejected := []string{}
	for _, p := range se.list() {
		if p.left || !slices.Contains(ids, p.id) && (p.userID == "" || !slices.Contains(userIDs, p.userID)) {
			continue
		}
		ejected = append(ejected, p.id)
		if banned && p.userID != "" {
			se.banned[p.userID] = true
		}
		s.leave(p, "ejected")
	}
	if banned {
		for _, id := range userIDs {
			se.banned[id] = true
		}
	}
	return map[string]any{"ejectedIds": ejected}, nil
}
