// SPDX-License-Identifier: Apache-2.0

package calls_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"

	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/bus"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
)

// post asks as curl does.
func (w *world) post(procedure, body string) (status int, answer map[string]any) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+procedure, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+w.key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		w.t.Fatalf("%d %s", res.StatusCode, data)
	}
	return res.StatusCode, answer
}

func TestOneCallIsToldWithItsStory(t *testing.T) {
	w := newWorld(t)
	id := bus.CallID("domain", "call")
	w.publish(id, comesIn(time.Minute, time.Hour), &callv1.RoomReady{Attempt: 1, Room: "r"}, &callv1.EndRequested{Reason: "closed today"})
	expectEvent[*callv1.CallEnded](w, id, "CallEnded")
	res, err := w.client.GetCall(t.Context(), &controlv1.GetCallRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	c := res.GetCall()
	if c.GetId() != id || c.GetState() != controlv1.State_STATE_ENDED || c.GetOutcome() != callv1.Outcome_OUTCOME_ABANDONED || c.GetReason() != "closed today" || c.GetFrom() != "+14155550123" {
		t.Errorf("the call: %v", c)
	}
	var names, authors []string
	for i, e := range res.GetEvents() {
		names, authors = append(names, e.GetName()), append(authors, e.GetAuthor())
		if i > 0 && e.GetSequence() <= res.GetEvents()[i-1].GetSequence() {
			t.Errorf("%s comes out of order", e.GetName())
		}
		if e.GetAt().AsTime().IsZero() || time.Since(e.GetAt().AsTime()) > time.Minute {
			t.Errorf("%s is said to be of %s", e.GetName(), e.GetAt().AsTime())
		}
	}
	if !slices.Equal(names, []string{"CallReceived", "RoomReady.1", "EndRequested.0", "CallEnded"}) || !slices.Equal(authors, []string{"ingress", "room-provisioner", "bot-scheduler", "call-control"}) {
		t.Errorf("events %v by %v", names, authors)
	}
	if cause := res.GetEvents()[3].GetCause(); cause != id+".EndRequested.0" {
		t.Errorf("the end is said to be caused by %q", cause)
	}
	var room callv1.RoomReady
	if err := res.GetEvents()[1].GetData().UnmarshalTo(&room); err != nil || room.GetRoom() != "r" {
		t.Errorf("the room: %v, %v", &room, err)
	}
}

func TestPlainJSONIsSpoken(t *testing.T) {
	w := newWorld(t)
	id := bus.CallID("domain", "call")
	w.publish(id, comesIn(time.Minute, time.Hour))
	status, answer := w.post(controlv1connect.CallServiceGetCallProcedure, fmt.Sprintf(`{"id":%q}`, id))
	events, _ := answer["events"].([]any)
	if status != http.StatusOK || len(events) != 1 {
		t.Fatalf("%d %v", status, answer)
	}
	data, _ := events[0].(map[string]any)["data"].(map[string]any)
	if data["@type"] != "type.googleapis.com/trunkline.call.v1.CallReceived" || data["from"] != "+14155550123" || data["answerBudget"] != "60s" {
		t.Errorf("the event: %v", data)
	}
	if c, _ := answer["call"].(map[string]any); c["state"] != "STATE_WAITING" || c["agent"] != "sales" {
		t.Errorf("the call: %v", c)
	}
	if status, answer := w.post(controlv1connect.CallServiceGetCallProcedure, `{"id":"x"}`); status != http.StatusBadRequest || answer["code"] != "invalid_argument" {
		t.Errorf("%d %v", status, answer)
	}
	if status, answer := w.post(controlv1connect.CallServiceGetCallProcedure, `{"it":"x"}`); status != http.StatusBadRequest || answer["code"] != "invalid_argument" {
		t.Errorf("an unknown field: %d %v", status, answer)
	}
	if status, _ := w.post(controlv1connect.CallServiceListCallsProcedure, `{"page_token":"`+strings.Repeat("z", 300<<10)+`"}`); status == http.StatusOK {
		t.Error("a request of 300 KiB is taken")
	}
}

func TestCallsAreListedInPagesThatLastOverARestart(t *testing.T) {
	w := newWorld(t)
	var want []string
	for i := range 5 {
		id := bus.CallID("domain", fmt.Sprint(i))
		w.publish(id, comesIn(time.Minute, time.Hour))
		want = append([]string{id}, want...)
	}
	first := awaitListed(w, want[0])
	res, err := w.client.ListCalls(t.Context(), &controlv1.ListCallsRequest{PageSize: 2})
	if err != nil || !slices.Equal(ids(res.GetCalls()), want[:2]) || res.GetNextPageToken() == "" || first.GetNextPageToken() != "" {
		t.Fatalf("%v, %v", res, err)
	}
	w.stop()
	w.start()
	got := ids(res.GetCalls())
	for pages := 1; res.GetNextPageToken() != "" && pages < 10; pages++ {
		if res, err = w.client.ListCalls(t.Context(), &controlv1.ListCallsRequest{PageSize: 2, PageToken: res.GetNextPageToken()}); err != nil {
			t.Fatal(err)
		}
		got = append(got, ids(res.GetCalls())...)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	w.publish(want[1], &callv1.EndRequested{Reason: "x"})
	expectEvent[*callv1.CallEnded](w, want[1], "CallEnded")
	over := func() []string {
		res, err := w.client.ListCalls(t.Context(), &controlv1.ListCallsRequest{State: controlv1.State_STATE_ENDED})
		if err != nil {
			t.Fatal(err)
		}
		return ids(res.GetCalls())
	}
	eventually(t, "the ended call is listed", func() bool { return slices.Equal(over(), want[1:2]) })
}

func TestWhatCannotBeAskedIsNamed(t *testing.T) {
	w := newWorld(t)
	for phrase, c := range map[string]struct {
		ask  func() error
		code connect.Code
		text string
	}{
		"no id":              {w.get(""), connect.CodeInvalidArgument, "id: "},
		"an id too short":    {w.get("abc"), connect.CodeInvalidArgument, "id: "},
		"an id that selects": {w.get("*"), connect.CodeInvalidArgument, "id: "},
		"an id of wildcards": {w.get(strings.Repeat(">", 26)), connect.CodeInvalidArgument, "id: "},
		"an id in capitals":  {w.get(strings.ToUpper(bus.CallID("x"))), connect.CodeInvalidArgument, "id: "},
		"an unknown call":    {w.get(bus.CallID("x")), connect.CodeNotFound, bus.CallID("x")},
		"a page too large":   {w.list(&controlv1.ListCallsRequest{PageSize: 501}), connect.CodeInvalidArgument, "page_size: "},
		"a negative page":    {w.list(&controlv1.ListCallsRequest{PageSize: -1}), connect.CodeInvalidArgument, "page_size: "},
		"a made-up token":    {w.list(&controlv1.ListCallsRequest{PageToken: "!"}), connect.CodeInvalidArgument, "page_token: "},
		"a token of nothing": {w.list(&controlv1.ListCallsRequest{PageToken: "0"}), connect.CodeInvalidArgument, "page_token: "},
		"an unknown state":   {w.list(&controlv1.ListCallsRequest{State: 9}), connect.CodeInvalidArgument, "state: "},
		"the largest page":   {w.list(&controlv1.ListCallsRequest{PageSize: 500}), 0, ""},
		"no call at all":     {w.list(&controlv1.ListCallsRequest{}), 0, ""},
	} {
		err := c.ask()
		if c.code == 0 {
			if err != nil {
				t.Errorf("%s: %v", phrase, err)
			}
			continue
		}
		if connect.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %s and %q", phrase, err, c.code, c.text)
		}
	}
}

func TestEveryProtocolIsSpokenWithoutTLSAndNoneWithoutAKey(t *testing.T) {
	w := newWorld(t)
	reader := w.newKey("reader", auth.CallsRead)
	for protocol, options := range map[string][]connect.ClientOption{
		"Connect": nil, "JSON": {connect.WithProtoJSON()}, "GET": {connect.WithHTTPGet()}, "gRPC": {connect.WithGRPC()}, "gRPC-Web": {connect.WithGRPCWeb()},
	} {
		for key, want := range map[string]connect.Code{w.key: connect.CodeNotFound, reader: connect.CodeNotFound, "tlk_reader_x": connect.CodeUnauthenticated} {
			_, err := w.clientOf(key, options...).GetCall(t.Context(), &controlv1.GetCallRequest{Id: bus.CallID("x")})
			if connect.CodeOf(err) != want {
				t.Errorf("%s: %v, want %s", protocol, err, want)
			}
		}
		_, err := w.clientOf(reader, options...).EndCall(t.Context(), &controlv1.EndCallRequest{Id: bus.CallID("x")})
		if connect.CodeOf(err) != connect.CodePermissionDenied || !strings.Contains(err.Error(), auth.CallsWrite) {
			t.Errorf("%s: a key to read ends a call: %v", protocol, err)
		}
	}
}

func TestTheContractIsToldWithoutAKey(t *testing.T) {
	w := newWorld(t)
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	stream := grpcreflect.NewClient(&http.Client{Transport: &http.Transport{Protocols: &protocols}}, w.url).NewStream(t.Context())
	defer stream.Close()
	names, err := stream.ListServices()
	if err != nil || len(names) != 1 || names[0] != controlv1connect.CallServiceName {
		t.Errorf("%v, %v", names, err)
	}
}

func (w *world) get(id string) func() error {
	return func() error {
		_, err := w.client.GetCall(w.t.Context(), &controlv1.GetCallRequest{Id: id})
		return err
	}
}

func (w *world) list(req *controlv1.ListCallsRequest) func() error {
	return func() error {
		_, err := w.client.ListCalls(w.t.Context(), req)
		return err
	}
}

// awaitListed waits until a call is the latest of the list, and gives the list.
func awaitListed(w *world, id string) (res *controlv1.ListCallsResponse) {
	w.t.Helper()
	eventually(w.t, "call "+id+" is listed", func() bool {
		var err error
		if res, err = w.client.ListCalls(w.t.Context(), &controlv1.ListCallsRequest{}); err != nil {
			w.t.Fatal(err)
		}
		return len(res.GetCalls()) > 0 && res.GetCalls()[0].GetId() == id
	})
	return res
}

// eventually asks until something holds, for ten seconds at most.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	step := time.NewTicker(5 * time.Millisecond)
	defer step.Stop()
	for deadline := time.Now().Add(10 * time.Second); !holds(); <-step.C {
		if time.Now().After(deadline) {
			t.Fatalf("not true in time: %s", what)
		}
	}
}
