// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"maps"
	"sort"
)

// Stats is the state of the domain at a glance.
type Stats struct {
	Bots BotStats `json:"bots"`
	// Requests counts REST requests by "METHOD /path/{template}" and status; 0 is a dropped connection.
	Requests   map[string]map[int]int `json:"requests"`
	Rooms      int                    `json:"rooms"`
	RoomsInUse int                    `json:"rooms_in_use"`
	Legs       int                    `json:"legs"`
	// Calls counts the calls by state.
	Calls map[string]int `json:"calls"`
	// Dials counts the dials by state, Dialled how often each number was called since the start: it forgets none.
	Dials   map[string]int `json:"dials"`
	Dialled map[string]int `json:"dialled"`
	// Transfers counts the transfers by state.
	Transfers map[string]int `json:"transfers"`
	// Webhook is the state of the domain webhook, empty without one.
	Webhook string `json:"webhook"`
}

// BotStats tells about web participants, which on a phone bot's domain are the bots. MaxStayed is how many were there at
// once for half a second: that one has left may be seen after the next one's coming.
type BotStats struct {
	Live      int   `json:"live"`
	MaxLive   int   `json:"max_live"`
	MaxStayed int   `json:"max_stayed"`
	List      []Bot `json:"list"`
}

// Bot is one web participant.
type Bot struct {
	Room      string `json:"room"`
	SessionID string `json:"session_id"`
	UserID    string `json:"user_id"`
	UserName  string `json:"user_name"`
	Owner     bool   `json:"owner"`
}

// RoomState is a room as it is now, without the lag of presence.
type RoomState struct {
	Name      string   `json:"name"`
	InUse     bool     `json:"in_use"`
	Meeting   string   `json:"meeting,omitempty"`
	Endpoints []string `json:"endpoints"`
	SIPReady  bool     `json:"sip_ready"`
	Bots      []Bot    `json:"bots"`
	Legs      []string `json:"legs"`
	Calls     []string `json:"calls"`
}

// Stats counts.
func (s *Sim) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{
		Bots: BotStats{MaxLive: s.maxBots, MaxStayed: s.maxStayed, List: []Bot{}}, Requests: map[string]map[int]int{},
		Rooms: len(s.rooms), Calls: map[string]int{}, Dials: map[string]int{}, Dialled: maps.Clone(s.dialled), Transfers: map[string]int{},
	}
	for name, byStatus := range s.counts {
		st.Requests[name] = map[int]int{}
		for status, n := range byStatus {
			st.Requests[name][status] = n
		}
	}
	for se := range s.sessions {
		r := se.state()
		if r.InUse {
			st.RoomsInUse++
		}
		st.Legs += len(r.Legs)
		st.Bots.List = append(st.Bots.List, r.Bots...)
	}
	sort.Slice(st.Bots.List, func(i, j int) bool { return st.Bots.List[i].SessionID < st.Bots.List[j].SessionID })
	st.Bots.Live = len(st.Bots.List)
	for _, c := range s.order {
		st.Calls[c.State]++
	}
	for _, d := range s.dialOrder {
		st.Dials[d.State]++
	}
	for _, t := range s.transfers {
		st.Transfers[t.State]++
	}
	if s.hub != nil {
		st.Webhook = s.hub.State
	}
	return st
}

// Rooms lists the rooms, newest first, expired but not yet collected ones included.
func (s *Sim) Rooms() []RoomState {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rooms []*room
	for _, rm := range s.rooms {
		rooms = append(rooms, rm)
	}
	sort.Slice(rooms, func(i, j int) bool { return rooms[i].order > rooms[j].order })
	list := []RoomState{}
	for _, rm := range rooms {
		r := RoomState{Name: rm.name, Bots: []Bot{}, Legs: []string{}, Calls: []string{}}
		if rm.session != nil {
			r = rm.session.state()
		}
		r.Endpoints = append([]string{}, rm.endpoints...)
		list = append(list, r)
	}
	return list
}

func (se *session) state() RoomState {
	r := RoomState{
		Name: se.room.name, InUse: len(se.members) > 0, Meeting: se.id, SIPReady: se.sipUp,
		Bots: []Bot{}, Legs: []string{}, Calls: []string{},
	}
	for _, p := range se.list() {
		if p.web() {
			r.Bots = append(r.Bots, Bot{Room: se.room.name, SessionID: p.id, UserID: p.userID, UserName: p.userName, Owner: p.owner})
			continue
		}
		r.Legs = append(r.Legs, p.id)
		if p.leg != nil {
			r.Calls = append(r.Calls, p.leg.call.ID)
		}
	}
	return r
}

// Requests is the log of REST requests, oldest first.
func (s *Sim) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests.newest()
}

// Deliveries is the log of webhooks sent, oldest first.
func (s *Sim) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent.newest()
}
