// SPDX-License-Identifier: Apache-2.0

package sim

// Phone legs do not stay without somebody who looks after them: when the last owner (or, by setting, the
// last web participant) has left, each leg has the grace of max_idle_timeout_sec, which is 0 by default. Legs that have
// started the room by themselves stay, or, by setting, have that grace from the start.

// lookForLonelyLegs starts the grace when leaver's going left the legs alone; mu is held.
func (s *Sim) lookForLonelyLegs(se *session, leaver *participant) {
	if se.alone > 0 || !s.legsAlone(se, leaver) {
		return
	}
	se.leaveAlone()
	for _, p := range se.list() {
		if !p.web() {
			s.dropWhenIdle(se, p)
		}
	}
}

// leaveAlone begins the time in which legs are alone.
func (se *session) leaveAlone() {
	se.changes++
	se.alone = se.changes
}

// legsAlone applies the rule to who is inside. Without an owner the legs are alone if an owner has just
// left, or nobody but legs is there.
func (s *Sim) legsAlone(se *session, leaver *participant) bool {
	web, owners := 0, 0
	for _, p := range se.members {
		if p.web() {
			web++
			if p.owner {
				owners++
			}
		}
	}
	if s.cfg.LegsDrop == "last-web" || web == 0 {
		return web == 0
	}
	if leaver == nil { // somebody came: only an owner ends the loneliness
		return owners == 0
	}
	return owners == 0 && leaver.owner
}

// dropWhenIdle ends one leg after its grace, unless the legs are no longer alone; mu is held.
func (s *Sim) dropWhenIdle(se *session, p *participant) {
	since := se.alone
	drop := func() {
		if !p.left && se.alone == since {
			s.leave(p, "room-idle")
		}
	}
	grace := se.room.grace(p.kind)
	if grace == 0 {
		drop()
		return
	}
	s.tasks.after(grace, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		drop()
	})
}
