// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// eventTypes are all that a domain webhook can ask for.
var eventTypes = []string{
	"dialin.ready", "dialin.connected", "dialin.stopped", "dialin.warning", "dialin.error",
	"dialout.connected", "dialout.answered", "dialout.stopped", "dialout.warning", "dialout.error",
	"calltransfer.triggered", "calltransfer.initiated", "calltransfer.answered", "calltransfer.completed",
	"meeting.started", "meeting.ended", "participant.joined", "participant.left",
	"waiting-participant.joined", "waiting-participant.left",
	"recording.started", "recording.ready-to-download", "recording.error",
	"transcript.started", "transcript.ready-to-download", "transcript.error",
	"streaming.started", "streaming.updated", "streaming.ended", "streaming.error",
	"batch-processor.job-finished", "batch-processor.error",
}

// stamp is the time in milliseconds, never the same twice, for ids.
func (s *Sim) stamp() int64 {
	s.lastMs = max(s.lastMs+1, time.Now().UnixMilli())
	return s.lastMs
}

// telephony is the payload that all dialin and dialout events share.
func (s *Sim) telephony(rm *room) map[string]any {
	now := time.Now().UnixMilli()
	payload := map[string]any{"domain_id": s.cfg.DomainID, "room": rm.name, "timestamp": now}
	if s.cfg.PayloadTimestamps == "string" {
		payload["timestamp"] = strconv.FormatInt(now, 10)
	}
	return payload
}

func (s *Sim) emitDialinReady(rm *room, endpoint string) {
	payload := s.telephony(rm)
	payload["sip_endpoint"] = endpoint
	s.emit("dialin.ready", fmt.Sprintf("3602-dial-in-ready-%d", s.stamp()), payload)
}

func (s *Sim) emitDialinConnected(p *participant) { s.emitDialin("connected", "con", p) }

func (s *Sim) emitDialinStopped(p *participant) { s.emitDialin("stopped", "stop", p) }

func (s *Sim) emitDialin(what, short string, p *participant) {
	payload := s.telephony(p.session.room)
	payload["session_id"] = p.id
	payload["sip_from"] = p.leg.call.spec.From
	payload["sip_headers"] = p.leg.headers()
	payload["display_name"] = p.userName
	s.addSIPKeys(payload, p.session.room.provider(), p.leg.sipCallID)
	s.emit("dialin."+what, fmt.Sprintf("2868-dial-in-%s-%s-%d", short, p.id, s.stamp()), payload)
}

func (s *Sim) emitMeetingStarted(se *session) {
	s.emit("meeting.started", fmt.Sprintf("1-w-mtg-started-%s-%d", se.id, s.stamp()), map[string]any{
		"start_ts": float(se.meeting.startedAt), "meeting_id": se.id, "room": se.room.name,
	})
}

func (s *Sim) emitMeetingEnded(se *session) {
	s.emit("meeting.ended", fmt.Sprintf("1-w-mtg-ended-%s-%d", se.id, s.stamp()), map[string]any{
		"start_ts": float(se.meeting.startedAt), "end_ts": float(se.meeting.endedAt), "meeting_id": se.id, "room": se.room.name,
	})
}

func (s *Sim) emitParticipantJoined(p *participant) {
	s.emit("participant.joined", fmt.Sprintf("1-w-ptcpt-joined-%s-%d", p.id, s.stamp()), p.payload())
}

func (s *Sim) emitParticipantLeft(p *participant, now time.Time) {
	payload := p.payload()
	payload["duration"] = now.Sub(p.joinedAt).Seconds()
	s.emit("participant.left", fmt.Sprintf("1-w-ptcpt-left-%s-%d", p.id, s.stamp()), payload)
}

func (p *participant) payload() map[string]any {
	payload := map[string]any{
		"joined_at": float(p.joinedAt), "session_id": p.id, "room": p.session.room.name, "user_id": p.webID(),
		"user_name": p.userName, "owner": p.owner, "networkQualityState": "unknown", "will_eject_at": nil,
		"permissions": p.permissions.view(),
	}
	if !p.ejectAt.IsZero() {
		payload["will_eject_at"] = float(p.ejectAt)
	}
	return payload
}

func float(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func known(types []string) *apiError {
	for _, t := range types {
		if !slices.Contains(eventTypes, t) {
			return invalid("unknown event type '%s'", t)
		}
	}
	return nil
}
