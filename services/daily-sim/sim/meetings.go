// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"net/http"
	"strconv"
	"time"
)

// meeting is the exact record of a session, kept after its end.
type meeting struct {
	id          string
	room        string
	startedAt   time.Time
	endedAt     time.Time // zero while ongoing
	most        int
	present     int
	attendances []*attendance
}

// attendance is one participant's stay, for meetings exactly and for presence with its lag.
type attendance struct {
	participantID, userID, userName, room, meetingID string
	joinedAt, leftAt                                 time.Time // leftAt zero while inside
	seenFrom, seenUntil                              time.Time // presence's view; seenUntil zero while inside
}

func (s *Sim) openMeeting(se *session, now time.Time) {
	se.meeting = &meeting{id: se.id, room: se.room.name, startedAt: now}
	if len(s.meetings) >= 2*s.cfg.History {
		s.meetings = append([]*meeting{}, s.meetings[len(s.meetings)-s.cfg.History:]...)
	}
	s.meetings = append(s.meetings, se.meeting)
}

func (s *Sim) attend(se *session, p *participant, now time.Time) {
	p.attendance = &attendance{
		participantID: p.id, userID: p.userID, userName: p.userName, room: se.room.name, meetingID: se.id,
		joinedAt: now, seenFrom: now.Add(s.presenceLag()),
	}
	m := se.meeting
	m.endedAt = time.Time{}
	m.present++
	m.most = max(m.most, m.present)
	m.attendances = append(m.attendances, p.attendance)
	s.present = append(s.present, p.attendance)
}

func (s *Sim) depart(p *participant, now time.Time) {
	p.attendance.leftAt = now
	p.attendance.seenUntil = now.Add(s.presenceLag())
	p.session.meeting.present--
}

func (m *meeting) end(now time.Time) time.Time {
	if m.endedAt.IsZero() {
		return now
	}
	return m.endedAt
}

func (m *meeting) view(now time.Time) map[string]any {
	return map[string]any{
		"id": m.id, "room": m.room, "start_time": m.startedAt.Unix(), "duration": int(m.end(now).Sub(m.startedAt).Seconds()),
		"ongoing": m.endedAt.IsZero(), "max_participants": m.most, "participants": m.people(now),
	}
}

func (m *meeting) people(now time.Time) []any {
	list := []any{}
	for _, a := range m.attendances {
		end := a.leftAt
		if end.IsZero() {
			end = now
		}
		list = append(list, map[string]any{
			"user_id": orNull(a.userID), "participant_id": a.participantID, "user_name": orNull(a.userName),
			"join_time": a.joinedAt.Unix(), "duration": int(end.Sub(a.joinedAt).Seconds()),
		})
	}
	return list
}

func (s *Sim) listMeetings(r *request) (any, *apiError) {
	q := r.URL.Query()
	from, err := timeParam(r, "timeframe_start")
	if err != nil {
		return nil, err
	}
	to, err := timeParam(r, "timeframe_end")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var found []*meeting
	for i := len(s.meetings) - 1; i >= 0; i-- {
		m := s.meetings[i]
		switch {
		case q.Get("room") != "" && m.room != q.Get("room"):
		case !from.IsZero() && m.end(now).Before(from):
		case !to.IsZero() && m.startedAt.After(to):
		case q.Get("ongoing") == "true" && !m.endedAt.IsZero():
		case q.Get("ongoing") == "false" && m.endedAt.IsZero():
		default:
			found = append(found, m)
		}
	}
	return paged(r, found, func(m *meeting) string { return m.id }, func(m *meeting) any {
		v := m.view(now)
		if q.Get("no_participants") == "true" {
			delete(v, "participants")
		}
		return v
	})
}

func (s *Sim) getMeeting(r *request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.meeting(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return m.view(time.Now()), nil
}

func (s *Sim) getMeetingParticipants(r *request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.meeting(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return map[string]any{"data": m.people(time.Now())}, nil
}

func (s *Sim) meeting(id string) (*meeting, *apiError) {
	for _, m := range s.meetings {
		if m.id == id {
			return m, nil
		}
	}
	return nil, &apiError{Status: http.StatusNotFound, Code: "not-found", Info: "meeting " + id + " not found"}
}

func timeParam(r *request, name string) (time.Time, *apiError) {
	v := r.URL.Query().Get(name)
	if v == "" {
		return time.Time{}, nil
	}
	sec, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return time.Time{}, invalid("'%s' must be a unix time in seconds", name)
	}
	return unix(sec), nil
}

func orNull(v string) any {
	if v == "" {
		return nil
	}
	return v
}
