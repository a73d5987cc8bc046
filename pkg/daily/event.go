// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"errors"
	"strconv"
	"time"
)

// Event is what a domain webhook tells (Daily REST reference, webhooks/events). Which fields are set depends on the type;
// text that Daily leaves out is "". An event may come twice, even under another ID, and out of order.
type Event struct {
	ID   string
	Type string // such as "dialin.connected", "participant.left"
	// At is when it happened, as near as the event tells, else when Daily sent it; zero if it tells neither.
	At time.Time

	Room      string
	SessionID string // of the participant: a phone leg is one too
	UserID    string // from the meeting token
	UserName  string
	Owner     bool

	// dialin.*
	SIPFrom, SIPEndpoint, DisplayName string
	SIPHeaders                        map[string]string

	// dialout.*
	Destination, Origin, CallerID string

	// calltransfer.*
	ToEndpoint, FromEndpoint string
	SIPRefer                 bool

	// dialin.* and dialout.* since May 2026; which spelling of the key webhooks use is not documented, both are read.
	Provider, SIPCallID string

	ErrorMsg  string // *.error and *.warning: free text, the only cause that Daily gives
	Cause     string // dialout.*: why there was no answer, such as "busy"; Daily is not known to say, its simulator does on demand
	MeetingID string // of the session in the room

	JoinedAt time.Time     // participant.*
	Duration time.Duration // participant.left

	// Test means that Daily is trying the URL and nothing happened; no other field is set.
	Test bool
}

// ParseEvent reads the body of a domain webhook. It fails with ErrNotJSON or if there is no type. An unknown type is no
// error, and neither is a field that cannot be read: it stays empty.
func ParseEvent(body []byte) (Event, error) {
	f, err := parseFields(body)
	if err != nil {
		return Event{}, err
	}
	if f.text("type") == "" {
		if f.has("test") || f.has("Test") {
			return Event{Test: true}, nil
		}
		return Event{}, errors.New("daily: event has no type")
	}
	p := f.object("payload")
	e := Event{
		ID:           f.text("id"),
		Type:         f.text("type"),
		Room:         p.text("room", "room_name"),
		SessionID:    p.text("session_id"),
		UserID:       p.text("user_id"),
		UserName:     p.text("user_name"),
		Owner:        p.flag("owner"),
		SIPFrom:      p.text("sip_from"),
		SIPEndpoint:  p.text("sip_endpoint"),
		DisplayName:  p.text("display_name"),
		SIPHeaders:   p.texts("sip_headers"),
		Destination:  p.text("destination"),
		Origin:       p.text("origin"),
		CallerID:     p.text("caller_id"),
		ToEndpoint:   p.text("to_endpoint"),
		FromEndpoint: p.text("from_endpoint"),
		SIPRefer:     p.flag("is_sip_refer"),
		Provider:     p.text("provider"),
		SIPCallID:    p.text("sip_call_id", "sipCallId"),
		ErrorMsg:     p.text("error_msg"),
		Cause:        p.text("cause"),
		MeetingID:    p.text("meeting_id", "mtg_session_id"),
		JoinedAt:     p.time("joined_at"),
		Duration:     seconds(p.text("duration")),
	}
	e.At = e.happened(f, p)
	return e, nil
}

// happened takes the payload's own time, because event_ts is when the webhook was sent: for meeting.ended that is up to
// 20 seconds later.
func (e Event) happened(envelope, payload fields) time.Time {
	at := payload.time("timestamp")
	switch {
	case !at.IsZero():
	case e.Type == "participant.joined":
		at = e.JoinedAt
	case e.Type == "participant.left" && !e.JoinedAt.IsZero() && e.Duration > 0:
		at = e.JoinedAt.Add(e.Duration)
	case e.Type == "meeting.started":
		at = payload.time("start_ts")
	case e.Type == "meeting.ended":
		at = payload.time("end_ts")
	}
	if at.IsZero() {
		at = envelope.time("event_ts")
	}
	return at
}

// seconds reads a length of time; 0 if it cannot, or if it is longer than a year.
func seconds(s string) time.Duration {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !(n > 0 && n < 365*24*3600) {
		return 0
	}
	return time.Duration(n * float64(time.Second))
}
