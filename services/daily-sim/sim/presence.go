// SPDX-License-Identifier: Apache-2.0

package sim

import "time"

// Presence lags: who joined is seen some time later, who left is seen for some time longer (a ghost).

func (s *Sim) presenceLag() time.Duration {
	low, high := s.cfg.PresenceLagMin, s.cfg.PresenceLagMax
	return (low + Duration(s.rand.Int63n(int64(high-low)+1))).Std()
}

// seen lists what presence shows now and forgets what it never will again; mu is held.
func (s *Sim) seen(now time.Time) []*attendance {
	var kept, shown []*attendance
	for _, a := range s.present {
		if !a.seenUntil.IsZero() && !now.Before(a.seenUntil) {
			continue
		}
		kept = append(kept, a)
		if !now.Before(a.seenFrom) {
			shown = append(shown, a)
		}
	}
	s.present = kept
	return shown
}

func (a *attendance) view(now time.Time) map[string]any {
	return map[string]any{
		"room": a.room, "id": a.participantID, "userId": orNull(a.userID), "userName": a.userName,
		"mtgSessionId": a.meetingID, "joinTime": iso(a.joinedAt),
		"duration": int(now.Sub(a.joinedAt).Seconds()),
	}
}

func (s *Sim) presence(*request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	rooms := map[string][]any{}
	for _, a := range s.seen(now) {
		rooms[a.room] = append(rooms[a.room], a.view(now))
	}
	return rooms, nil
}

func (s *Sim) roomPresence(r *request) (any, *apiError) {
	limit, err := intParam(r, "limit", 100)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rm, err := s.live(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	q := r.URL.Query()
	data, total := []any{}, 0
	for _, a := range s.seen(now) {
		if a.room != rm.name || q.Has("userId") && a.userID != q.Get("userId") || q.Has("userName") && a.userName != q.Get("userName") {
			continue
		}
		total++
		if len(data) < limit {
			data = append(data, a.view(now))
		}
	}
	return map[string]any{"total_count": total, "data": data}, nil
}
