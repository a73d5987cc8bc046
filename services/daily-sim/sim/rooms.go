// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/google/uuid"
)

// room is a Daily room. Expired rooms are invisible, and their name is taken, until they are collected.
type room struct {
	id, name   string
	apiCreated bool
	privacy    string
	url        string
	createdAt  time.Time
	order      uint64
	props      map[string]any
	endpoints  []string
	busy       map[string]*leg // SIP endpoint -> the one caller it serves
	dials      map[*dial]bool  // those that have not ended
	session    *session
	collector  *task
}

var roomName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

func (rm *room) expired(now time.Time) bool {
	exp := rm.number("exp")
	return exp != 0 && !now.Before(unix(exp))
}

// live finds a room as the API sees it; mu is held.
func (s *Sim) live(name string) (*room, *apiError) {
	rm := s.rooms[name]
	if rm == nil || rm.expired(time.Now()) {
		return nil, notFound("room %s not found", name)
	}
	return rm, nil
}

func (s *Sim) createRoom(r *request) (any, *apiError) {
	name, err := fieldString(r.Body, "name")
	if err != nil {
		return nil, err
	}
	privacy, err := fieldString(r.Body, "privacy")
	if err != nil {
		return nil, err
	}
	if privacy == "" {
		privacy = "public"
	}
	if privacy != "public" && privacy != "private" {
		return nil, invalid("'privacy' must be 'public' or 'private'")
	}
	props, err := fieldObject(r.Body, "properties")
	if err != nil {
		return nil, err
	}
	if _, given := r.Body["name"]; given && name != "" && !roomName.MatchString(name) {
		if len(name) > 128 {
			return nil, invalid("room name is longer than 128 characters")
		}
		return nil, invalid("%s contains invalid characters (room names can contain A-Z, a-z, 0-9, '-', and '_')", name)
	}
	if err := checkProps(props, s.cfg.MaxSIPSessions); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == "" {
		name = strings.ReplaceAll(uuid.NewString(), "-", "")[:20]
	}
	if s.rooms[name] != nil {
		return nil, invalid("a room named %s already exists", name)
	}
	s.lastID++
	rm := &room{
		id: uuid.NewString(), name: name, apiCreated: true, privacy: privacy, url: s.publicURL(r.Request) + "/" + name,
		createdAt: time.Now(), order: s.lastID, props: merge(nil, props), busy: map[string]*leg{}, dials: map[*dial]bool{},
	}
	s.rooms[name] = rm
	s.openDoors(rm)
	s.watchExpiry(rm)
	s.touch()
	return rm.view(s), nil
}

func (s *Sim) getRoom(r *request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rm, err := s.live(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return rm.view(s), nil
}

// updateRoom changes the room for those who join later; who is inside keeps the ejection time fixed at join.
func (s *Sim) updateRoom(r *request) (any, *apiError) {
	props, err := fieldObject(r.Body, "properties")
	if err != nil {
		return nil, err
	}
	privacy, err := fieldString(r.Body, "privacy")
	if err != nil {
		return nil, err
	}
	if privacy != "" && privacy != "public" && privacy != "private" {
		return nil, invalid("'privacy' must be 'public' or 'private'")
	}
	if err := checkProps(props, s.cfg.MaxSIPSessions); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rm, err := s.live(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	if privacy != "" {
		rm.privacy = privacy
	}
	rm.props = merge(rm.props, props)
	if _, changed := props["sip"]; changed {
		s.closeDoors(rm)
		s.openDoors(rm)
	}
	s.watchExpiry(rm)
	s.touch()
	return rm.view(s), nil
}

func (s *Sim) deleteRoom(r *request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := r.PathValue("name")
	rm, err := s.live(name)
	if err != nil {
		if gone := s.rooms[name]; gone != nil {
			s.removeRoom(gone)
			err.Extra = map[string]any{"deleted": true}
		}
		return nil, err
	}
	s.removeRoom(rm)
	return map[string]any{"deleted": true, "name": name}, nil
}

func (s *Sim) deleteRooms(r *request) (any, *apiError) {
	names, err := fieldStrings(r.Body, "room_names", 1000)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	deleted := 0
	for _, name := range names {
		if rm, err := s.live(name); err == nil {
			s.removeRoom(rm)
			deleted++
		}
	}
	return map[string]any{"deleted_count": deleted}, nil
}

// listRooms lists the newest first.
func (s *Sim) listRooms(r *request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rooms []*room
	now := time.Now()
	for _, rm := range s.rooms {
		if !rm.expired(now) {
			rooms = append(rooms, rm)
		}
	}
	sort.Slice(rooms, func(i, j int) bool { return rooms[i].order > rooms[j].order })
	return paged(r, rooms, func(rm *room) string { return rm.id }, func(rm *room) any { return rm.view(s) })
}

func (rm *room) view(s *Sim) map[string]any {
	return map[string]any{
		"id": rm.id, "name": rm.name, "api_created": rm.apiCreated, "privacy": rm.privacy, "url": rm.url,
		"created_at": iso(rm.createdAt), "config": rm.config(s),
	}
}

// removeRoom kicks all and frees the name; mu is held.
func (s *Sim) removeRoom(rm *room) {
	if s.rooms[rm.name] == rm {
		delete(s.rooms, rm.name)
	}
	s.tasks.stop(rm.collector)
	s.endUnjoined(rm, "room-deleted")
	s.endSession(rm.session, "room-deleted")
	s.closeDoors(rm)
	s.touch()
}

// watchExpiry lets the collector find an expired room; mu is held.
func (s *Sim) watchExpiry(rm *room) {
	s.tasks.stop(rm.collector)
	rm.collector = nil
	exp := rm.number("exp")
	if exp == 0 {
		return
	}
	rm.collector = s.tasks.after(time.Until(unix(exp))+s.cfg.CollectExpiredAfter.Std(), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.rooms[rm.name] == rm && rm.expired(time.Now()) {
			delete(s.rooms, rm.name)
			s.closeDoors(rm)
			s.touch()
		}
	})
}
