// SPDX-License-Identifier: Apache-2.0

package daily_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/daily"
)

func TestParseEvent(t *testing.T) {
	ms := func(n int64) time.Time { return time.UnixMilli(n).UTC() }

	for file, want := range map[string]daily.Event{
		"dialin.ready": {
			ID: "3602-dial-in-ready-1790589600", At: ms(1790589600000),
			SIPEndpoint: "tl-abc-1.0@acme.sip-us.daily.co",
		},
		"dialin.connected": {
			ID: "2868-dial-in-con-f2a1b9b0", At: ms(1790589605000),
			SessionID: "f2a1b9b0-1111-4222-8333-444455556666", SIPFrom: "sip:+15550100@carrier.example",
			SIPHeaders:  map[string]string{"X-Tenant": "acme", "X-Priority": "3"},
			DisplayName: "+15550100", Provider: "daily", SIPCallID: "a84b4c76e66710",
		},
		"dialin.error": {
			ID: "2868-dial-in-err-f2a1b9b0", At: ms(1790589605250), SessionID: "f2a1b9b0",
			SIPFrom: "sip:+15550100@carrier.example", DisplayName: "+15550100", ErrorMsg: "worker not available",
		},
		"dialout.answered": {
			ID: "2868-dial-out-ans-77", At: ms(1790589605123), SessionID: "77", UserID: "callee",
			Destination: "+15550101", Origin: "+15550102", CallerID: "c0ffee",
		},
		"dialout.connected": {
			ID: "2868-dial-out-con-77-1790589605123", At: ms(1790589605000), SessionID: "77", UserID: "callee",
			Destination: "sip:+15550101@carrier.example?X-Tenant=acme", Origin: "+15550102", CallerID: "c0ffee",
			Provider: "daily", SIPCallID: "a84b4c76e66710",
		},
		"dialout.stopped": {
			ID: "2868-dial-out-stop-77-1790589635000", At: ms(1790589605000), SessionID: "77",
			Destination: "+15550101", Origin: "+15550102", Cause: "busy",
		},
		"dialout.error": {
			ID: "2868-dial-out-err-77-1790589605123", At: ms(1790589605000), SessionID: "77", UserID: "callee",
			ErrorMsg: "International dialout not supported. Contact sales to enable it for your domain",
		},
		"dialout.warning": {
			ID: "2868-dial-out-warn-77-1790589605123", At: ms(1790589605000), SessionID: "77",
			Destination: "+15550101", CallerID: "c0ffee", ErrorMsg: "codec not available",
		},
		"calltransfer.initiated": {
			ID: "3602-call-transfer-init-77", At: ms(1790589605000), SessionID: "77", MeetingID: "16e9701a",
			ToEndpoint: "+15550103", FromEndpoint: "+15550100", SIPRefer: true,
		},
		"calltransfer.completed": {
			ID: "3602-call-transfer-completed-771790589605", At: ms(1790589605000), SessionID: "77", MeetingID: "16e9701a",
			ToEndpoint: "sip:room-b@acme.sip.daily.co", FromEndpoint: "sip:a@b",
		},
		"participant.joined": {
			ID: "1-w-ptcpt-join-4c8dee53", At: ms(1790589602500), JoinedAt: ms(1790589602500),
			SessionID: "4c8dee53", UserID: "bot-abc-1", UserName: "bot", Owner: true,
		},
		"participant.left": {
			ID: "1-w-ptcpt-left-4c8dee53", At: ms(1790589632500), JoinedAt: ms(1790589602000), Duration: 30500 * time.Millisecond,
			SessionID: "4c8dee53", UserID: "bot-abc-1", UserName: "bot", Owner: true,
		},
		"meeting.ended": {ID: "meeting-ended-1", At: ms(1790589632000), MeetingID: "16e9701a"},
		"unknown":       {ID: "x-1", Type: "coffee.ready", At: ms(1790589650000), SessionID: "12"},
	} {
		t.Run(file, func(t *testing.T) {
			if want.Type == "" {
				want.Type = file
			}
			want.Room = "tl-abc-1"
			got, err := daily.ParseEvent([]byte(golden(t, "events/"+file+".json")))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%+v, %v,\nwant %+v", got, err, want)
			}
		})
	}
}

func TestEventCorners(t *testing.T) {
	for phrase, c := range map[string]struct {
		body string
		want daily.Event
	}{
		"the test of a new webhook":  {`{"test":"test"}`, daily.Event{Test: true}},
		"no payload":                 {`{"type":"meeting.started"}`, daily.Event{Type: "meeting.started"}},
		"a payload of another kind":  {`{"type":"meeting.started","payload":"x"}`, daily.Event{Type: "meeting.started"}},
		"a meeting begins":           {`{"type":"meeting.started","payload":{"start_ts":10},"event_ts":12}`, daily.Event{Type: "meeting.started", At: time.Unix(10, 0).UTC()}},
		"left, for an unknown time":  {`{"type":"participant.left","payload":{"duration":"NaN"},"event_ts":12.25}`, daily.Event{Type: "participant.left", At: time.UnixMilli(12250).UTC()}},
		"a time in the far future":   {`{"type":"x","event_ts":1e300}`, daily.Event{Type: "x"}},
		"the room by its other name": {`{"type":"recording.started","payload":{"room_name":"r"}}`, daily.Event{Type: "recording.started", Room: "r"}},
	} {
		t.Run(phrase, func(t *testing.T) {
			got, err := daily.ParseEvent([]byte(c.body))
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v, %v, want %+v", got, err, c.want)
			}
		})
	}
	if _, err := daily.ParseEvent([]byte(`"hello"`)); !errors.Is(err, daily.ErrNotJSON) {
		t.Errorf("a string: %v", err)
	}
	if _, err := daily.ParseEvent([]byte(`{"type":null}`)); err == nil {
		t.Error("no type, and no error")
	}
}
