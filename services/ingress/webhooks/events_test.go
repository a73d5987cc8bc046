// SPDX-License-Identifier: Apache-2.0

package webhooks_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// domainEvent is the body of Daily's domain webhook about a room of a call, with more fields of the payload.
func domainEvent(kind, callID string, attempt uint32, session, more string) string {
	return roomEvent(kind, call.RoomName(callID, attempt), session, more)
}

func roomEvent(kind, room, session, more string) string {
	return fmt.Sprintf(`{"version":"1.0.0","type":%q,"id":"1-%[1]s-%[3]s","payload":{"domain_id":"x","room":%[2]q,"session_id":%[3]q%[4]s},"event_ts":1790589600.5}`,
		kind, room, session, more)
}

// called is a world with a call in it.
func called(t testing.TB) (w *world, callID string) {
	t.Helper()
	w, callID = newWorld(t), bus.CallID("domain", "call")
	if _, err := w.bus.Publish(t.Context(), callID, &callv1.CallReceived{From: "+14155550123"}); err != nil {
		t.Fatal(err)
	}
	return w, callID
}

func TestEachEventBecomesItsFact(t *testing.T) {
	w, callID := called(t)
	room, at := call.RoomName(callID, 2), timestamppb.New(time.UnixMilli(1790589605123))
	const stamp = `,"timestamp":1790589605123`
	operator := call.OperatorID(callID, 1, 2)
	called := `,"user_id":"` + operator + `"`
	for kind, c := range map[string]struct {
		more string
		key  string
		want proto.Message
	}{
		"dialin.ready":          {`,"sip_endpoint":"room.0@example.sip-us.daily.co"`, "DialinReady.2", &callv1.DialinReady{Attempt: 2, Room: room, SipEndpoint: "room.0@example.sip-us.daily.co"}},
		"dialin.connected":      {stamp + `,"sip_from":"sip:+14155550123@carrier.example"`, "LegConnected.s-dialin-connected", &callv1.LegConnected{SessionId: "s-dialin-connected", Room: room, Attempt: 2, At: at}},
		"dialin.stopped":        {stamp, "LegEnded.s-dialin-stopped", &callv1.LegEnded{SessionId: "s-dialin-stopped", Room: room, Attempt: 2, At: at}},
		"dialin.error":          {stamp + `,"error_msg":"worker not available"`, "LegFailed.s-dialin-error", &callv1.LegFailed{SessionId: "s-dialin-error", Room: room, Attempt: 2, Reason: "worker not available"}},
		"dialout.connected":     {stamp + called, "LegConnected.s-dialout-connected", &callv1.LegConnected{SessionId: "s-dialout-connected", Room: room, Attempt: 2, At: at, UserId: operator, Dialled: true}},
		"dialout.answered":      {stamp + called, "LegAnswered.s-dialout-answered", &callv1.LegAnswered{SessionId: "s-dialout-answered", Room: room, Attempt: 2, At: at, UserId: operator, Dialled: true}},
		"dialout.stopped":       {stamp + called, "LegEnded.s-dialout-stopped", &callv1.LegEnded{SessionId: "s-dialout-stopped", Room: room, Attempt: 2, At: at, UserId: operator, Dialled: true}},
		"dialout.error":         {stamp + called + `,"error_msg":"busy"`, "LegFailed.s-dialout-error", &callv1.LegFailed{SessionId: "s-dialout-error", Room: room, Attempt: 2, Reason: "busy", UserId: operator, Dialled: true}},
		"participant.joined":    {`,"user_id":"u","owner":true,"joined_at":1790589602`, "ParticipantJoined.s-participant-joined", &callv1.ParticipantJoined{SessionId: "s-participant-joined", Room: room, Attempt: 2, UserId: "u", Owner: true}},
		"participant.left":      {`,"user_id":"u","duration":30.5`, "ParticipantLeft.s-participant-left", &callv1.ParticipantLeft{SessionId: "s-participant-left", Room: room, Attempt: 2, UserId: "u"}},
		"calltransfer.complete": {"", "LegTransfer.s-calltransfer-complete.completed", &callv1.LegTransfer{SessionId: "s-calltransfer-complete", State: "completed", Room: room}},
		"calltransfer.answered": {`,"to_endpoint":"+14155550177"`, "LegTransfer.s-calltransfer-answered.answered", &callv1.LegTransfer{SessionId: "s-calltransfer-answered", State: "answered", Room: room}},
	} {
		t.Run(kind, func(t *testing.T) {
			got := w.sendSigned(eventsPath, domainEvent(kind, callID, 2, "s-"+token(kind), c.more))
			if got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
			e, err := w.bus.Find(t.Context(), callID, c.key)
			if err != nil || e == nil {
				t.Fatalf("no %s: %v", c.key, err)
			}
			if !proto.Equal(e.Data, c.want) || e.Author != "ingress" {
				t.Errorf("stored %v by %s,\nwant %v", e.Data, e.Author, c.want)
			}
		})
	}
}

func token(kind string) string {
	b := []byte(kind)
	for i := range b {
		if b[i] == '.' {
			b[i] = '-'
		}
	}
	return string(b)
}

func TestWhatConcernsNoCallOfOursIsAnsweredAndForgotten(t *testing.T) {
	w, callID := called(t)
	for phrase, body := range map[string]string{
		"a room of somebody else's":           roomEvent("dialin.connected", "pipecat-telephony-0a1b2c3d", "s", ""),
		"a room with a name almost like ours": roomEvent("dialin.connected", "tl-"+callID+"-0", "s", ""),
		"a room with an attempt too high":     roomEvent("dialin.connected", "tl-"+callID+"-99999999999", "s", ""),
		"our kind of room, an unknown call":   domainEvent("dialin.connected", bus.CallID("domain", "unknown"), 1, "s", ""),
		"no room":                             `{"type":"dialin.connected","id":"e","payload":{"session_id":"s"}}`,
		"no payload":                          `{"type":"dialin.connected","id":"e"}`,
		"a warning":                           domainEvent("dialin.warning", callID, 1, "s", `,"error_msg":"slow"`),
		"the meeting itself":                  domainEvent("meeting.started", callID, 1, "", `,"start_ts":1790589600`),
		"a type that nobody knows":            domainEvent("coffee.ready", callID, 1, "s", ""),
	} {
		if got := w.sendSigned(eventsPath, body); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", phrase, got.status, got.body)
		}
	}
	if n := w.stored(); n != 1 {
		t.Errorf("the stream holds %d messages, want the call alone", n)
	}
}

func TestAnEventTwiceIsOneFact(t *testing.T) {
	w, callID := called(t)
	first := domainEvent("participant.joined", callID, 1, "s", `,"user_id":"u"`)
	another := func(id string) string { return strings.Replace(first, `"id":"1-participant.joined-s"`, `"id":`+id, 1) }
	if another(`"x"`) == first {
		t.Fatal("the id is not where it was")
	}
	for _, body := range []string{first, first, another(`"another"`), another(`"a\u000athird"`), another(`""`), another(`null`)} {
		if got := w.sendSigned(eventsPath, body); got.status != http.StatusOK {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if n := w.stored(); n != 2 {
		t.Errorf("the stream holds %d messages, want the call and one fact", n)
	}
}

func TestTheTimeOfALegIsReadInEveryForm(t *testing.T) {
	w, callID := called(t)
	for phrase, c := range map[string]struct {
		stamp string
		want  int64 // ms
	}{
		"whole seconds":      {`,"timestamp":1790589605`, 1790589605000},
		"seconds as a text":  {`,"timestamp":"1790589605"`, 1790589605000},
		"milliseconds":       {`,"timestamp":1790589605123`, 1790589605123},
		"ms as a text":       {`,"timestamp":"1790589605123"`, 1790589605123},
		"a text that is not": {`,"timestamp":"yesterday"`, 1790589600500},
		"none, but the sent": {``, 1790589600500},
	} {
		session := bus.CallID(phrase)
		if got := w.sendSigned(eventsPath, domainEvent("dialin.connected", callID, 1, session, c.stamp)); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", phrase, got.status, got.body)
		}
		e, err := w.bus.Find(t.Context(), callID, "LegConnected."+session)
		if err != nil || e == nil {
			t.Errorf("%s: %v, %v", phrase, e, err)
			continue
		}
		if at := e.Data.(*callv1.LegConnected).GetAt().AsTime().UnixMilli(); at != c.want {
			t.Errorf("%s: at %d, want %d", phrase, at, c.want)
		}
	}
}

func TestALegWithoutATimeHappensNow(t *testing.T) {
	w, callID := called(t)
	before := time.Now()
	body := fmt.Sprintf(`{"type":"dialin.stopped","id":"e","payload":{"room":%q,"session_id":"s"}}`, call.RoomName(callID, 1))
	if got := w.sendSigned(eventsPath, body); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	e, err := w.bus.Find(t.Context(), callID, "LegEnded.s")
	if err != nil || e == nil {
		t.Fatal(e, err)
	}
	if at := e.Data.(*callv1.LegEnded).GetAt().AsTime(); at.Before(before) || at.After(time.Now()) {
		t.Errorf("at %s", at)
	}
}

func TestUnsignedEventsAreTakenWhereTheEnvironmentSaysSo(t *testing.T) {
	w := newWorld(t, func(env *app.Env) { env.UnsignedWebhooks, env.Secrets = true, config.Secrets{} })
	callID := bus.CallID("d1", "c1")
	for path, body := range map[string]string{dialinPath: aCall} {
		if got := w.send(path, body, nil); got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	if got := w.send(eventsPath, domainEvent("dialin.ready", callID, 1, "", ""), nil); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
	if n := len(w.story(callID)); n != 2 {
		t.Errorf("the call has %d events", n)
	}
}
