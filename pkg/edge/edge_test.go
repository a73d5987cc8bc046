// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	"github.com/trunkline/trunkline/pkg/edge"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
)

// service counts what reaches it, and panics when it is asked for a call.
type service struct {
	controlv1connect.UnimplementedCallServiceHandler
	reached int
}

func (s *service) GetCall(context.Context, *controlv1.GetCallRequest) (*controlv1.GetCallResponse, error) {
	panic("the reason")
}

func (s *service) StartCall(context.Context, *controlv1.StartCallRequest) (*controlv1.StartCallResponse, error) {
	s.reached++
	return &controlv1.StartCallResponse{}, nil
}

func (s *service) WatchCalls(context.Context, *controlv1.WatchCallsRequest, *connect.ServerStream[controlv1.WatchCallsResponse]) error {
	panic("the reason")
}

// world is a service with all that is around it, and a key for everything.
type world struct {
	t       *testing.T
	service service
	logs    bytes.Buffer
	url     string
	token   string
	client  controlv1connect.CallServiceClient
}

func newWorld(t *testing.T) *world {
	t.Helper()
	js := bustest.Start(t).Setup(bus.Needs{Service: "call-control", Reads: []jetstream.KeyValueConfig{auth.Bucket}})
	keys, err := auth.Open(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t}
	if w.token, err = keys.Add(t.Context(), "me", auth.Admin); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	gate := &auth.Gate{Keys: keys, PerSecond: 1000}
	mux.Handle(controlv1connect.NewCallServiceHandler(&w.service, edge.Options(gate, slog.New(slog.NewTextHandler(&w.logs, nil)))))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	w.url = server.URL
	w.client = controlv1connect.NewCallServiceClient(http.DefaultClient, w.url, connect.WithInterceptors(auth.Bearer(w.token)))
	return w
}

type answer struct {
	Code, Message string
	Details       []struct{ Type string }
}

// start asks for a call as curl does.
func (w *world) start(body string) (int, answer) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+controlv1connect.CallServiceStartCallProcedure, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+w.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	var a answer
	if err := json.NewDecoder(res.Body).Decode(&a); err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, a
}

func TestAWrongFieldIsNamed(t *testing.T) {
	w := newWorld(t)
	good := map[string]any{"idempotency_key": "k", "to": "+14155550123", "agent": "support"}
	with := func(field string, value any) string {
		body := map[string]any{}
		for name, v := range good {
			body[name] = v
		}
		body[field] = value
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if status, a := w.start(with("max_duration", "60s")); status != http.StatusOK || w.service.reached != 1 {
		t.Fatalf("a good request: %d %s", status, a.Message)
	}
	retry := func(cause string, delay any, limit int) any {
		return map[string]any{"causes": []any{map[string]any{"cause": cause, "delay": delay, "limit": limit}}}
	}
	for phrase, c := range map[string]struct{ body, text string }{
		"no key":             {with("idempotency_key", ""), "idempotency_key: "},
		"a key too long":     {with("idempotency_key", strings.Repeat("k", 129)), "idempotency_key: "},
		"no number":          {with("to", ""), "to: "},
		"a national number":  {with("to", "415 555 0123"), "to: "},
		"no agent":           {with("agent", ""), "agent: "},
		"an agent too long":  {with("agent", strings.Repeat("a", 65)), "agent: "},
		"a caller's number":  {with("caller_id", "+14155550100"), "caller_id: "},
		"a call of no time":  {with("max_duration", "0s"), "max_duration: "},
		"a call of two days": {with("max_duration", "172800s"), "max_duration: "},
		"a ring of an hour":  {with("ring_timeout", "3600s"), "ring_timeout: "},
		"an unknown cause":   {with("retry", retry("busy", "60s", 1)), "retry.causes[0].cause: "},
		"a retry at once":    {with("retry", retry("no_answer", nil, 1)), "retry.causes[0].delay: "},
		"a retry in a month": {with("retry", retry("no_answer", "2592000s", 1)), "retry.causes[0].delay: "},
		"a retry for ever":   {with("retry", retry("no_answer", "60s", 11)), "retry.causes[0].limit: "},
		"all at once":        {`{}`, "; "},
	} {
		status, a := w.start(c.body)
		if status != http.StatusBadRequest || a.Code != "invalid_argument" || !strings.Contains(a.Message, c.text) {
			t.Errorf("%s: %d %s %q, want %q", phrase, status, a.Code, a.Message, c.text)
		}
		if c.text != "; " && (!strings.HasPrefix(a.Message, c.text) || len(a.Details) != 1 || a.Details[0].Type != "buf.validate.Violations") {
			t.Errorf("%s: %q, details %v", phrase, a.Message, a.Details)
		}
	}
	if status, a := w.start(with("agent", strings.Repeat("a", 300<<10))); status != http.StatusTooManyRequests || a.Code != "resource_exhausted" {
		t.Errorf("a request of 300 KiB: %d %s %q", status, a.Code, a.Message)
	}
	if w.service.reached != 1 {
		t.Errorf("%d of them have reached the service", w.service.reached-1)
	}
	stream, err := w.client.WatchCalls(t.Context(), &controlv1.WatchCallsRequest{Id: "x"})
	if err == nil {
		stream.Receive()
		err = stream.Err()
	}
	if connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), "id: ") {
		t.Errorf("a stream: %v", err)
	}
}

func TestAPanicIsTheLogsAffair(t *testing.T) {
	w := newWorld(t)
	id := strings.Repeat("a", 26)
	_, unary := w.client.GetCall(t.Context(), &controlv1.GetCallRequest{Id: id})
	stream, err := w.client.WatchCalls(t.Context(), &controlv1.WatchCallsRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	stream.Receive()
	for phrase, err := range map[string]error{"unary": unary, "a stream": stream.Err()} {
		if connect.CodeOf(err) != connect.CodeInternal || strings.Contains(err.Error(), "the reason") {
			t.Errorf("%s: %v", phrase, err)
		}
	}
	if n := strings.Count(w.logs.String(), "the reason"); n != 2 || strings.Contains(w.logs.String(), w.token) {
		t.Errorf("%d panics are logged:\n%s", n, &w.logs)
	}
}
