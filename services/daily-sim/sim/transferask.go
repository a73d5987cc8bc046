// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"net/http"
	"strings"
)

// transferAsk is what a transfer asks for: a phone of a room, and whom to connect it with.
type transferAsk struct {
	dialAsk
	sessionID string
	refer     bool
}

// readTransferAsk refuses what Daily's reference rules out.
func readTransferAsk(body map[string]any, refer bool) (transferAsk, *apiError) {
	id, err := neededString(body, "sessionId")
	if err != nil {
		return transferAsk{}, err
	}
	to, err := neededString(body, "toEndPoint")
	if err != nil {
		return transferAsk{}, err
	}
	settings := map[string]any{}
	switch {
	case strings.HasPrefix(to, "sip:"):
		settings["sipUri"] = to
	case e164.MatchString(to):
		settings["phoneNumber"] = to
	default:
		return transferAsk{}, invalid("'toEndPoint' must start with 'sip:' or be in E.164 format")
	}
	if !refer {
		for _, key := range []string{"callerId", "extension", "waitBeforeExtensionDialSec"} {
			if v := body[key]; v != nil {
				settings[key] = v
			}
		}
	}
	dial, err := readDialAsk(settings, "ignored")
	if err != nil {
		return transferAsk{}, err
	}
	if dial.sip() && dial.callerID != "" {
		return transferAsk{}, invalid("'callerId' is for a phone number only")
	}
	dial.fields = body
	return transferAsk{dialAsk: dial, sessionID: id, refer: refer}, nil
}

// sipCallTransfer answers POST /rooms/:name/sipCallTransfer: Daily stays between the two.
func (s *Sim) sipCallTransfer(r *request) (any, *apiError) { return s.restTransfer(r, false) }

// sipRefer answers POST /rooms/:name/sipRefer: the phone's own provider connects the two, and Daily is out of it.
func (s *Sim) sipRefer(r *request) (any, *apiError) { return s.restTransfer(r, true) }

func (s *Sim) restTransfer(r *request, refer bool) (any, *apiError) {
	ask, err := readTransferAsk(r.Body, refer)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rm, err := s.live(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	if err := s.transferOut(rm, ask, byREST); err != nil {
		return nil, err
	}
	return map[string]any{"ok": true}, nil
}

// joinedTransfer and joinedRefer let an owner in the room do the same, as daily-python's sip_call_transfer and sip_refer
// do. They have no budget.
func (s *Sim) joinedTransfer(w http.ResponseWriter, r *http.Request) (any, *apiError) {
	return s.joinedMove(w, r, false)
}

func (s *Sim) joinedRefer(w http.ResponseWriter, r *http.Request) (any, *apiError) {
	return s.joinedMove(w, r, true)
}

func (s *Sim) joinedMove(w http.ResponseWriter, r *http.Request, refer bool) (any, *apiError) {
	var body struct {
		SessionID string         `json:"session_id"`
		Settings  map[string]any `json:"settings"`
	}
	if err := decode(w, r, &body); err != nil {
		return nil, err
	}
	ask, err := readTransferAsk(body.Settings, refer)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rm, err := s.ownersRoom(r.PathValue("room"), body.SessionID)
	if err != nil {
		return nil, err
	}
	if err := s.transferOut(rm, ask, byBot); err != nil {
		return nil, err
	}
	return map[string]any{}, nil
}

// transferOut accepts a transfer, or refuses as Daily does; mu is held.
func (s *Sim) transferOut(rm *room, ask transferAsk, by string) *apiError {
	if !rm.hosting() {
		return notFound("room %s is not hosting a call", rm.name)
	}
	p := rm.session.members[ask.sessionID]
	if p == nil || p.web() {
		return notFound("invalid sessionId")
	}
	to, _ := s.doorFor(ask.target)
	switch {
	case !p.onTheLine():
		return invalid("the phone has not been answered")
	case p.transfer != nil && s.cfg.Transfers.Again == "ignored":
		return nil
	case p.transfer != nil:
		return invalid("the phone is being transferred already")
	case to != nil && ask.refer:
		return invalid("'toEndPoint' must be outside Daily")
	case to != nil:
		s.trigger(p, ask, by, Behaviour{}, phoneNumber{})
		return nil
	}
	from := phoneNumber{}
	if !ask.refer {
		var err *apiError
		if from, err = s.transferable(rm, ask); err != nil {
			return err
		}
	}
	b := s.behaviour(ask.address())
	if b.Does == DoesStartError {
		return b.refusal()
	}
	s.trigger(p, ask, by, b, from)
	return nil
}

// transferable checks what a call out of the domain needs, and tells which number it comes from.
func (s *Sim) transferable(rm *room, ask transferAsk) (phoneNumber, *apiError) {
	if s.cfg.Transfers.NeedsDialout {
		if err := s.callable(rm, ask.dialAsk); err != nil {
			return phoneNumber{}, err
		}
	}
	return s.callFrom(rm, ask.dialAsk)
}
