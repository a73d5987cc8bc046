// SPDX-License-Identifier: Apache-2.0

package sim

// Event is one thing that a participant sees: a line of the join protocol.
type Event = event

// Guest is a participant in this process, without a connection of its own.
type Guest struct {
	sim *Sim
	p   *participant
}

// Join joins a room as POST {room_url}/join does, for those who are too many to have a connection each. Whoever joins
// must leave before the simulator ends.
func (s *Sim) Join(room, token, userName string) (*Guest, error) {
	p, _, err := s.admit(room, token, userName)
	if err != nil {
		return nil, err
	}
	return &Guest{s, p}, nil
}

// Events are what the guest sees. They are closed when it has left or was put out.
func (g *Guest) Events() <-chan Event { return g.p.events }

// Leave leaves the room; who has left has left.
func (g *Guest) Leave() {
	g.sim.mu.Lock()
	defer g.sim.mu.Unlock()
	g.sim.leave(g.p, "left")
}
