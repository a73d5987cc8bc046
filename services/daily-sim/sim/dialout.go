// SPDX-License-Identifier: Apache-2.0

package sim

import "strings"

// startDialOut refuses as Daily documents. Phones that can be called are not simulated yet, and it says so.
func (s *Sim) startDialOut(r *request) (any, *apiError) {
	number, err := fieldString(r.Body, "phoneNumber")
	if err != nil {
		return nil, err
	}
	uri, err := fieldString(r.Body, "sipUri")
	if err != nil {
		return nil, err
	}
	switch {
	case (number == "") == (uri == ""):
		return nil, invalid("exactly one of 'phoneNumber' and 'sipUri' is required")
	case number != "" && !strings.HasPrefix(number, "+"):
		return nil, invalid("'phoneNumber' must be in E.164 format")
	case uri != "" && !strings.HasPrefix(uri, "sip:"):
		return nil, invalid("'sipUri' must start with 'sip:'")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rm, err := s.live(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	start, _ := rm.object("dialout_config")["allow_room_start"].(bool)
	switch {
	case !rm.hosting() && !start:
		return nil, notFound("room %s is not hosting a call", rm.name)
	case !rm.flag("enable_dialout"):
		return nil, invalid("dial-out not enabled for room. add enable_dialout property to room")
	case len(rm.endpoints) >= s.cfg.MaxSIPSessions:
		return nil, invalid("the room has no SIP or PSTN session left")
	}
	return nil, invalid("dial-out is not simulated")
}
