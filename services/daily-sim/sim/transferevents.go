// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"strconv"
	"time"
)

// transferIDs is how webhook ids abbreviate what happens to a transfer.
var transferIDs = map[string]string{"triggered": "trig", "initiated": "init", "answered": "answered", "completed": "completed"}

// announceTransfer tells the domain webhook; a client in the room is told nothing but that the phone has left. Of a REFER
// Daily knows no more than that it was sent. The time is in seconds, as in the samples of Daily's REST reference
// (webhooks/events/calltransfer-*).
func (s *Sim) announceTransfer(t *transfer, what string) {
	payload := s.telephony(t.session.room)
	now := time.Now().Unix()
	payload["timestamp"] = now
	if s.cfg.PayloadTimestamps == "string" {
		payload["timestamp"] = strconv.FormatInt(now, 10)
	}
	payload["session_id"], payload["mtg_session_id"] = t.SessionID, t.session.id
	payload["to_endpoint"], payload["from_endpoint"] = t.ask.target, t.from
	switch what {
	case "triggered", "initiated":
		payload["is_sip_refer"] = t.Refer
	default:
		if t.Refer {
			return
		}
	}
	s.emit("calltransfer."+what, fmt.Sprintf("3602-call-transfer-%s-%s%d", transferIDs[what], t.SessionID, now), payload)
}

// endpoint is a phone's own address.
func (p *participant) endpoint() string {
	if p.leg != nil {
		return p.leg.call.spec.From
	}
	return p.dial.To
}
