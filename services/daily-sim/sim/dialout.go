// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"regexp"
	"strings"
)

// startDialOut answers POST /rooms/:name/dialOut/start.
func (s *Sim) startDialOut(r *request) (any, *apiError) {
	ask, err := readDialAsk(r.Body, s.cfg.Dialout.ClientFields)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rm, err := s.live(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	d, err := s.dialOut(rm, ask, byREST)
	if err != nil {
		return nil, err
	}
	return map[string]any{"ok": true, "sessionId": d.ID}, nil
}

// dialOut calls somebody into the room, or refuses as Daily does; mu is held.
func (s *Sim) dialOut(rm *room, ask dialAsk, by string) (*dial, *apiError) {
	if err := s.dialable(rm, ask); err != nil {
		return nil, err
	}
	from, err := s.callFrom(rm, ask)
	if err != nil {
		return nil, err
	}
	b := s.behaviour(ask.address())
	switch {
	case b.Does == DoesStartError:
		return nil, b.refusal()
	case b.Does == DoesInvalid && s.cfg.Dialout.InvalidNumber == "refused":
		return nil, b.refusal()
	}
	return s.place(rm, ask, from, by, b), nil
}

// dialable checks what must be so before anybody is called.
func (s *Sim) dialable(rm *room, ask dialAsk) *apiError {
	if !rm.hosting() && !rm.dialStarts() {
		return notFound("room %s is not hosting a call", rm.name)
	}
	if err := s.callable(rm, ask); err != nil {
		return err
	}
	if len(rm.endpoints)+len(rm.dials) >= s.cfg.MaxSIPSessions {
		return invalid("the room has no SIP or PSTN session left")
	}
	set := s.cfg.Dialout
	for d := range rm.dials {
		if set.AlreadyStarted == "any" || set.AlreadyStarted == "same-target" && d.ask.address() == ask.address() {
			return invalid("dialOut already started")
		}
	}
	return nil
}

// callable tells whether calls from the room may go there at all.
func (s *Sim) callable(rm *room, ask dialAsk) *apiError {
	set := s.cfg.Dialout
	switch {
	case !rm.flag("enable_dialout"):
		return invalid("dial-out not enabled for room. add enable_dialout property to room")
	case !ask.sip() && !set.Approved:
		return invalid("dial-out to PhoneNumber is not enabled for domain. Contact support to enable it for your domain")
	case !ask.sip() && !set.International && !strings.HasPrefix(ask.target, "+1"):
		return invalid("International dialout not supported. Contact sales to enable it for your domain")
	}
	return nil
}

// callFrom is the purchased number that the call comes from. A domain whose numbers are all tied to one webhook ("*")
// calls from a number that it has not bought by name.
func (s *Sim) callFrom(rm *room, ask dialAsk) (phoneNumber, *apiError) {
	if ask.sip() {
		return phoneNumber{number: "sip:" + rm.name + "@" + s.cfg.Domain + ".sip.daily.co"}, nil
	}
	for _, n := range s.bought {
		if n.id == ask.callerID {
			return *n, nil
		}
	}
	switch {
	case ask.callerID != "":
		return phoneNumber{}, invalid("'callerId' is not the id of a purchased phone number")
	case len(s.bought) > 0 && s.cfg.Dialout.CallerID == "random":
		return *s.bought[s.rand.Intn(len(s.bought))], nil
	case len(s.bought) > 0:
		return *s.bought[0], nil
	}
	for _, c := range s.configs {
		if c.wildcard {
			return phoneNumber{number: "+12095550100"}, nil
		}
	}
	return phoneNumber{}, invalid("the domain has no purchased phone number to call from")
}

// dialStarts tells whether a dial-out may start the call in an empty room.
func (rm *room) dialStarts() bool {
	v, _ := rm.object("dialout_config")["allow_room_start"].(bool)
	return v
}

// stopDialOut answers POST /rooms/:name/dialOut/stop: it hangs up, whether the phone rings or somebody talks.
func (s *Sim) stopDialOut(r *request) (any, *apiError) {
	id, err := neededString(r.Body, "sessionId")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rm, err := s.live(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	if err := s.stopDial(rm, id); err != nil {
		return nil, err
	}
	return map[string]any{"ok": true}, nil
}

func (s *Sim) stopDial(rm *room, id string) *apiError {
	d := s.dials[id]
	switch {
	case !rm.hosting() && len(rm.dials) == 0:
		return notFound("room %s is not hosting a call", rm.name)
	case d == nil || !rm.dials[d]:
		return notFound("no dialout to stop")
	}
	s.endDial(d, "stopped")
	return nil
}

var tones = regexp.MustCompile(`^[0-9A-Da-d*#w]{1,20}$`)

// sendDTMF answers POST /rooms/:name/dialOut/sendDTMF; the transcript of the dial keeps the tones.
func (s *Sim) sendDTMF(r *request) (any, *apiError) {
	id, err := neededString(r.Body, "sessionId")
	if err != nil {
		return nil, err
	}
	dialled, err := neededString(r.Body, "tones")
	if err != nil {
		return nil, err
	}
	if !tones.MatchString(dialled) {
		return nil, invalid("'tones' must be at most 20 of 0-9, A-D, *, # and w")
	}
	if v, set := r.Body["digitDurationMs"]; set && v != nil {
		if n, ok := v.(float64); !ok || n < 50 || n > 2000 {
			return nil, invalid("'digitDurationMs' must be between 50 and 2000")
		}
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
	p := rm.session.members[id]
	if p == nil || p.web() {
		return nil, notFound("no session %s running", id)
	}
	if p.dial != nil {
		p.dial.Tones = append(p.dial.Tones, dialled)
		s.touch()
	}
	return map[string]any{"ok": true}, nil
}

func neededString(body map[string]any, key string) (string, *apiError) {
	v, err := fieldString(body, key)
	if err == nil && v == "" {
		err = invalid("missing required field '%s'", key)
	}
	return v, err
}
