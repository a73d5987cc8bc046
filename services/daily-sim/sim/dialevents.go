// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"strings"
)

// dialoutIDs is how webhook ids abbreviate what happens to a dial.
var dialoutIDs = map[string]string{"connected": "con", "answered": "ans", "stopped": "stop", "error": "err", "warning": "warn"}

// announce tells the room and the domain webhook what happens to a dial; mu is held. A phone that rings for a transfer
// has the transfer's events instead.
func (s *Sim) announce(d *dial, what string) {
	if d.transfer != nil {
		return
	}
	told := event{"event": "dialout-" + what, "sessionId": d.ID, "provider": d.provider, "sipCallId": d.sipCallID}
	payload := s.telephony(d.room)
	payload["session_id"] = d.ID
	s.addSIPKeys(payload, d.provider, d.sipCallID)
	if d.ask.userID != "" {
		told["userId"], payload["user_id"] = d.ask.userID, d.ask.userID
	}
	switch what {
	case "error":
		told["details"] = map[string]any{"destination": d.ask.target, "sipHeaders": d.ask.headers}
		s.addText(told, payload, d.errorText(s.cfg.Dialout))
	case "warning":
		payload["destination"], payload["caller_id"] = d.ask.target, orNull(d.CallerID)
		s.addText(told, payload, d.behaviour.Warning)
	default:
		told["origin"], told["destination"] = d.From, d.ask.target
		payload["origin"], payload["destination"], payload["caller_id"] = d.From, d.ask.target, orNull(d.CallerID)
		if d.CallerID != "" {
			told["callerId"] = d.CallerID
		}
	}
	if cause := d.cause(s.cfg.Dialout); cause != "" {
		told["cause"], payload["cause"] = cause, cause
	}
	if se := d.session(); se != nil {
		s.tell(se, nil, told)
	}
	s.emit("dialout."+what, fmt.Sprintf("2868-dial-out-%s-%s-%d", dialoutIDs[what], d.ID, s.stamp()), payload)
}

// addText writes an error's text under all its names: daily-js calls it errorMsg, daily-python message.
func (s *Sim) addText(told event, payload map[string]any, text string) {
	told["errorMsg"], told["message"], payload["error_msg"] = text, text, text
}

// addSIPKeys spells the keys that telephony events have had since May 2026 in the way that is set.
func (s *Sim) addSIPKeys(payload map[string]any, provider, sipCallID string) {
	switch s.cfg.TelephonyKeys {
	case "camel":
		payload["provider"], payload["sipCallId"] = provider, sipCallID
	case "snake":
		payload["provider"], payload["sip_call_id"] = provider, sipCallID
	}
}

func (s *Sim) warn(d *dial) {
	if d.behaviour.Warning != "" {
		s.announce(d, "warning")
	}
}

// announceVoice tells who is in the room what their ears would: whether a person has answered or a machine. Daily does
// not.
func (s *Sim) announceVoice(d *dial) {
	who := "person"
	if d.Machine {
		who = "machine"
	}
	s.tell(d.session(), nil, event{"event": "sim-heard", "sessionId": d.ID, "who": who})
}

// cause is why there was no answer, where it is named at all.
func (d *dial) cause(set Dialout) string {
	if d.State != Ended || !d.failed() || !d.behaviour.NamesCause && !set.NamesCause {
		return ""
	}
	return d.Why
}

// errorText is empty unless the callee has one or the cause is named.
func (d *dial) errorText(set Dialout) string {
	if d.behaviour.Text != "" {
		return d.behaviour.Text
	}
	return strings.ReplaceAll(d.cause(set), "-", " ")
}

// session is the one that the dial belongs to, nil in a room in which nobody is yet.
func (d *dial) session() *session {
	if d.participant != nil {
		return d.participant.session
	}
	return d.room.session
}
