// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
	"github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1/transferv1connect"
)

// service tells who asks. A watcher is told at once, and then nothing.
type service struct {
	controlv1connect.UnimplementedCallServiceHandler
}

func (service) GetCall(ctx context.Context, _ *controlv1.GetCallRequest) (*controlv1.GetCallResponse, error) {
	return &controlv1.GetCallResponse{Call: &controlv1.Call{RequestedBy: auth.Caller(ctx)}}, nil
}

func (service) StartCall(context.Context, *controlv1.StartCallRequest) (*controlv1.StartCallResponse, error) {
	return &controlv1.StartCallResponse{}, nil
}

func (service) WatchCalls(ctx context.Context, _ *controlv1.WatchCallsRequest, stream *connect.ServerStream[controlv1.WatchCallsResponse]) error {
	if err := stream.Send(&controlv1.WatchCallsResponse{Cursor: auth.Caller(ctx)}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// world is a service behind a gate.
type world struct {
	t    *testing.T
	nats *bustest.Server
	js   jetstream.JetStream
	keys *auth.Keys
	url  string
}

func newWorld(t *testing.T, perSecond int) *world {
	t.Helper()
	w := &world{t: t, nats: bustest.Start(t)}
	w.js = w.nats.Setup(bus.Needs{Service: "call-control", Reads: []jetstream.KeyValueConfig{auth.Bucket}})
	var err error
	if w.keys, err = auth.Open(t.Context(), w.js); err != nil {
		t.Fatal(err)
	}
	return w.behind(&auth.Gate{PerSecond: perSecond})
}

// behind puts the service behind a gate that knows the world's keys.
func (w *world) behind(gate *auth.Gate) *world {
	w.t.Helper()
	gate.Keys, gate.Recheck = w.keys, 20*time.Millisecond
	mux := http.NewServeMux()
	mux.Handle(controlv1connect.NewCallServiceHandler(service{}, gate.Option()))
	mux.Handle(transferv1connect.NewTransferServiceHandler(transfers{}, gate.Option()))
	// Of no contract: nothing says which scope it needs.
	mux.Handle("/without/Scope", connect.NewUnaryHandlerSimple("/without/Scope", service{}.GetCall, gate.Option()))
	// No stream of the contract is internal.
	internal := controlv1.File_trunkline_control_v1_call_service_proto.Services().ByName("CallService").Methods().ByName("AdmitLeg")
	mux.Handle("/an/InternalStream", connect.NewServerStreamHandlerSimple("/an/InternalStream", service{}.WatchCalls, connect.WithSchema(internal), gate.Option()))
	server := httptest.NewServer(mux)
	w.t.Cleanup(server.Close)
	there := *w
	there.url = server.URL
	return &there
}

func (w *world) add(name string, scopes ...string) (token string) {
	w.t.Helper()
	token, err := w.keys.Add(w.t.Context(), name, scopes...)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

func (w *world) client(token string) controlv1connect.CallServiceClient {
	return controlv1connect.NewCallServiceClient(http.DefaultClient, w.url, connect.WithInterceptors(auth.Bearer(token)))
}

// refused checks an error's code and its text.
func refused(t *testing.T, phrase string, err error, code connect.Code, text string) {
	t.Helper()
	if connect.CodeOf(err) != code || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v, want %s and %q", phrase, err, code, text)
	}
}

func TestAKeyOpensWhatItsScopesSay(t *testing.T) {
	w := newWorld(t, 1000)
	reader, writer, admin := w.add("reader", auth.CallsRead), w.add("writer", auth.CallsWrite, auth.TransfersWrite), w.add("an_admin-", auth.Admin)
	renewed := w.add("renewed", auth.Admin)
	if err := w.keys.Revoke(t.Context(), "renewed"); err != nil {
		t.Fatal(err)
	}
	other := w.add("renewed", auth.CallsRead)
	gone := w.add("gone", auth.Admin)
	if _, err := w.client(gone).GetCall(t.Context(), &controlv1.GetCallRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := w.keys.Revoke(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	const no, denied = connect.CodeUnauthenticated, connect.CodePermissionDenied
	for phrase, c := range map[string]struct {
		header      string
		read, write connect.Code
		text        string
	}{
		"no key":                          {"", no, no, "an API key is needed"},
		"no key after the scheme":         {"Bearer", no, no, "an API key is needed"},
		"another scheme":                  {"Basic " + reader, no, no, "an API key is needed"},
		"no token of ours":                {"Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", no, no, "no such API key"},
		"a token without a name":          {"Bearer tlk_", no, no, "no such API key"},
		"a name that selects":             {"Bearer tlk_*_x", no, no, "no such API key"},
		"an unknown name":                 {"Bearer tlk_nobody_x", no, no, "no such API key"},
		"another secret":                  {"Bearer " + reader[:len(reader)-1] + "_", no, no, "no such API key"},
		"no secret":                       {"Bearer tlk_reader_", no, no, "no such API key"},
		"another key's secret":            {"Bearer " + strings.Replace(reader, "reader", "writer", 1), no, no, "no such API key"},
		"a key that has been revoked":     {"Bearer " + gone, no, no, "no such API key"},
		"a key whose name was given anew": {"Bearer " + renewed, no, no, "no such API key"},
		"the new key of that name":        {"Bearer " + other, 0, denied, "key renewed lacks the scope calls:write"},
		"a key to read":                   {"Bearer " + reader, 0, denied, "key reader lacks the scope calls:write"},
		"a key to write":                  {"bearer " + writer, denied, 0, "key writer lacks the scope calls:read"},
		"a key for everything":            {"Bearer " + admin, 0, 0, ""},
	} {
		for procedure, want := range map[string]connect.Code{
			controlv1connect.CallServiceGetCallProcedure: c.read, controlv1connect.CallServiceStartCallProcedure: c.write,
		} {
			status, answer := w.post(procedure, c.header)
			if want == 0 {
				if status != http.StatusOK {
					t.Errorf("%s: %s: %d %s", phrase, procedure, status, answer.Message)
				}
			} else if answer.Code != want.String() || !strings.Contains(answer.Message, c.text) {
				t.Errorf("%s: %s: %d %s %q, want %s and %q", phrase, procedure, status, answer.Code, answer.Message, want, c.text)
			}
		}
	}
	res, err := w.client(admin).GetCall(t.Context(), &controlv1.GetCallRequest{})
	if err != nil || res.GetCall().GetRequestedBy() != "an_admin-" {
		t.Errorf("the caller is %q, %v", res.GetCall().GetRequestedBy(), err)
	}
	if status, answer := w.post("/without/Scope", "Bearer "+admin); status != http.StatusForbidden {
		t.Errorf("an RPC without a scope: %d %s", status, answer.Message)
	}
}

type answer struct{ Code, Message string }

// post asks as curl does.
func (w *world) post(procedure, authorization string) (int, answer) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+procedure, strings.NewReader("{}"))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
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

func TestAStreamEndsWhenItsKeyIsRevoked(t *testing.T) {
	w := newWorld(t, 1000)
	token := w.add("watcher", auth.CallsRead)
	stream, err := w.client(token).WatchCalls(t.Context(), &controlv1.WatchCallsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if !stream.Receive() || stream.Msg().GetCursor() != "watcher" {
		t.Fatalf("%v, %v", stream.Msg(), stream.Err())
	}
	if err := w.keys.Revoke(t.Context(), "watcher"); err != nil {
		t.Fatal(err)
	}
	if stream.Receive() {
		t.Fatal(stream.Msg())
	}
	refused(t, "a revoked key", stream.Err(), connect.CodeUnauthenticated, "no such API key")
	late, err := w.client(token).WatchCalls(t.Context(), &controlv1.WatchCallsRequest{})
	if err == nil {
		late.Receive()
		err = late.Err()
	}
	refused(t, "a new stream", err, connect.CodeUnauthenticated, "no such API key")
}

func TestABrokerThatIsAwayLetsNobodyInAndEndsNoStream(t *testing.T) {
	w := newWorld(t, 1000)
	token := w.add("watcher", auth.CallsRead)
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := w.client(token).WatchCalls(ctx, &controlv1.WatchCallsRequest{})
	if err != nil || !stream.Receive() {
		t.Fatal(err)
	}
	w.nats.Shutdown()
	w.nats.WaitForShutdown()
	_, err = w.client(token).GetCall(t.Context(), &controlv1.GetCallRequest{})
	refused(t, "a key that cannot be looked up", err, connect.CodeUnavailable, "look up the API key")
	time.AfterFunc(200*time.Millisecond, cancel) // ten looks
	if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeCanceled {
		t.Errorf("the stream ended with %v", stream.Err())
	}
}

func TestAKeyThatAsksTooOftenIsToldToWait(t *testing.T) {
	w := newWorld(t, 1)
	one, two := w.client(w.add("one", auth.Admin)), w.client(w.add("two", auth.Admin))
	var err error
	for n := 0; err == nil; n++ {
		if _, err = one.GetCall(t.Context(), &controlv1.GetCallRequest{}); err != nil && n < 2 || n > 100 {
			t.Fatalf("after %d requests: %v", n, err)
		}
	}
	refused(t, "one too many", err, connect.CodeResourceExhausted, "key one has made more than 1 requests a second")
	var limit *connect.Error
	if !errors.As(err, &limit) || limit.Meta().Get("Retry-After") != "1" {
		t.Errorf("it is told to come back after %q", limit.Meta().Get("Retry-After"))
	}
	if _, err := two.GetCall(t.Context(), &controlv1.GetCallRequest{}); err != nil {
		t.Errorf("another key: %v", err)
	}
}

func TestKeysAreAddedListedAndRevoked(t *testing.T) {
	w := newWorld(t, 1000)
	if all, err := w.keys.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("no keys: %v, %v", all, err)
	}
	token := w.add("me_too", auth.CallsRead, auth.CallsWrite)
	w.add("a", auth.Admin)
	for phrase, c := range map[string]struct {
		name   string
		scopes []string
		text   string
	}{
		"a name that is taken": {"a", []string{auth.CallsRead}, auth.ErrExists.Error()},
		"an unknown scope":     {"b", []string{auth.CallsRead, "calls:all"}, `"calls:all"`},
		"no scope":             {"b", nil, "give it a scope"},
		"no name":              {"", []string{auth.Admin}, `""`},
		"a name with a dot":    {"a.b", []string{auth.Admin}, `"a.b"`},
		"a name too long":      {strings.Repeat("x", 65), []string{auth.Admin}, "64"},
	} {
		if _, err := w.keys.Add(t.Context(), c.name, c.scopes...); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %q", phrase, err, c.text)
		}
	}
	all, err := w.keys.List(t.Context())
	if err != nil || len(all) != 2 || all[0].Name != "a" || all[1].Name != "me_too" || !reflect.DeepEqual(all[1].Scopes, []string{auth.CallsRead, auth.CallsWrite}) || time.Since(all[1].Created) > time.Minute {
		t.Errorf("%v, %v", all, err)
	}
	if err := w.keys.Revoke(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"a", "b", "*"} {
		if err := w.keys.Revoke(t.Context(), name); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("revoke %s, which is not there: %v", name, err)
		}
	}
	if all, err := w.keys.List(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}

	kv, err := w.js.KeyValue(t.Context(), auth.Bucket.Bucket)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := kv.Get(t.Context(), "me_too")
	if err != nil {
		t.Fatal(err)
	}
	if secret := token[strings.LastIndex(token, "_")+1:]; len(secret) < 43 || strings.Contains(string(entry.Value()), secret) {
		t.Errorf("of %s is stored %s", token, entry.Value())
	}
}
