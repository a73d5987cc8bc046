// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"strconv"
)

// door is what a SIP endpoint leads to.
type door struct {
	room  *room
	index int
}

// openDoors gives the room its SIP endpoints; mu is held.
func (s *Sim) openDoors(rm *room) {
	sip := rm.object("sip")
	if sip == nil {
		return
	}
	count := 1
	if n, ok := sip["num_endpoints"].(float64); ok {
		count = int(n)
	}
	user := strconv.FormatInt(1_000_000_000+s.rand.Int63n(8_999_999_999), 10)
	for i := range count {
		endpoint := fmt.Sprintf("%s%d@%s.sip.daily.co", user, i, s.cfg.Domain)
		if provider, _ := sip["provider"].(string); provider == "daily" {
			endpoint = fmt.Sprintf("%s.%d@%s.sip-us.daily.co", rm.name, i, s.cfg.Domain)
		}
		rm.endpoints = append(rm.endpoints, endpoint)
		s.doors[endpoint] = door{room: rm, index: i}
	}
}

func (s *Sim) closeDoors(rm *room) {
	for _, e := range rm.endpoints {
		if s.doors[e].room == rm {
			delete(s.doors, e)
		}
	}
	rm.endpoints = nil
}
