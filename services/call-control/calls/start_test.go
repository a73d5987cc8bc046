// SPDX-License-Identifier: Apache-2.0

package calls_test

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/config"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
)

// dials is a configuration in which one agent may call people in the US.
func dials(cfg *config.Config) {
	agent := config.DefaultAgent()
	agent.Name = "sales"
	cfg.Agents = map[string]config.Agent{"sales": agent}
	cfg.PublicURL = "http://127.0.0.1:1"
	cfg.Policy.Countries = []string{"US"}
}

// begun counts the calls that were asked for.
func (w *world) begun() uint64 {
	w.t.Helper()
	stream, err := w.control.JS.Stream(w.t.Context(), bus.Stream)
	if err != nil {
		w.t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

func TestAFieldThatIsWrongIsNamedAndNothingIsPublished(t *testing.T) {
	w := newWorld(t, dials)
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	for name, c := range map[string]struct{ field, json string }{
		"no idempotency key":             {"idempotency_key", `"idempotencyKey": ""`},
		"a long idempotency key":         {"idempotency_key", `"idempotencyKey": "` + strings.Repeat("x", 129) + `"`},
		"no number":                      {"to", `"to": ""`},
		"a number without a plus":        {"to", `"to": "4155550123"`},
		"a number with letters":          {"to", `"to": "+1415CALLME"`},
		"a SIP URI":                      {"to", `"to": "sip:a@b"`},
		"no agent":                       {"agent", `"agent": ""`},
		"a caller id that is a number":   {"caller_id", `"callerId": "+14155550100"`},
		"a maximum duration of nothing":  {"max_duration", `"maxDuration": "0s"`},
		"a maximum duration of a week":   {"max_duration", `"maxDuration": "604800s"`},
		"a ring time-out of nothing":     {"ring_timeout", `"ringTimeout": "0.1s"`},
		"a ring time-out of an hour":     {"ring_timeout", `"ringTimeout": "3600s"`},
		"a start past what is kept":      {"not_before", `"notBefore": "` + in(7*24*time.Hour) + `"`},
		"an end past what is kept":       {"not_after", `"notAfter": "` + in(8*24*time.Hour) + `"`},
		"an end before the start":        {"not_after", `"notBefore": "` + in(2*time.Hour) + `", "notAfter": "` + in(time.Hour) + `"`},
		"an end in the past":             {"not_after", `"notAfter": "` + in(-time.Hour) + `"`},
		"a start that is no time":        {"notBefore", `"notBefore": "9999-13-01T00:00:00Z"`},
		"a retry for an unknown cause":   {"cause", `"retry": {"causes": [{"cause": "boredom", "delay": "5s", "limit": 1}]}`},
		"a retry for a cause twice":      {"retry.causes[1].cause", `"retry": {"causes": [{"cause": "error", "delay": "5s", "limit": 1}, {"cause": "error", "delay": "6s", "limit": 1}]}`},
		"a retry without a delay":        {"delay", `"retry": {"causes": [{"cause": "error", "limit": 1}]}`},
		"a retry without a limit":        {"limit", `"retry": {"causes": [{"cause": "error", "delay": "5s"}]}`},
		"a retry a thousand times":       {"limit", `"retry": {"causes": [{"cause": "error", "delay": "5s", "limit": 1000}]}`},
		"metadata of more than 16 KiB":   {"metadata", `"metadata": {"x": "` + strings.Repeat("x", 16<<10) + `"}`},
		"metadata that is no object":     {"metadata", `"metadata": [1]`},
		"a field that does not exist":    {"phone", `"phone": "+14155550123"`},
		"a ring time-out without a unit": {"ringTimeout", `"ringTimeout": 5`},
	} {
		t.Run(name, func(t *testing.T) {
			// What is said twice is an error, so the wrong field is alone where it stands for a right one.
			body := []string{c.json}
			for _, field := range []string{`"idempotencyKey": "key"`, `"to": "+14155550123"`, `"agent": "sales"`} {
				if name := strings.SplitN(field, ":", 2)[0]; !strings.HasPrefix(c.json, name+":") {
					body = append(body, field)
				}
			}
			status, answer := w.post(controlv1connect.CallServiceStartCallProcedure, "{"+strings.Join(body, ", ")+"}")
			if message, _ := answer["message"].(string); status != http.StatusBadRequest || answer["code"] != "invalid_argument" || !strings.Contains(message, c.field) {
				t.Errorf("%d %v, want %s to be named", status, answer, c.field)
			}
		})
	}
	if n := w.begun(); n > 0 {
		t.Errorf("%d events were published", n)
	}
}

func TestARequestThatIsRefusedPublishesNothing(t *testing.T) {
	w := newWorld(t, dials)
	start := func(to, agent string) (int, map[string]any) {
		return w.post(controlv1connect.CallServiceStartCallProcedure, fmt.Sprintf(`{"idempotencyKey": "key", "to": %q, "agent": %q}`, to, agent))
	}
	if status, answer := start("+14155550123", "nobody"); status != http.StatusNotFound || answer["code"] != "not_found" {
		t.Errorf("an unknown agent: %d %v", status, answer)
	}
	status, answer := start("+442079460018", "sales")
	if message, _ := answer["message"].(string); answer["code"] != "failed_precondition" || !strings.HasPrefix(message, "policy: country: ") || strings.Contains(message, "7946") {
		t.Errorf("a country that is not allowed: %d %v", status, answer)
	}
	if details, _ := answer["details"].([]any); len(details) != 1 {
		t.Errorf("the verdicts: %v", answer["details"])
	}
	if n := w.begun(); n > 0 {
		t.Errorf("%d events were published", n)
	}
}

func TestTheSameKeyIsTheSameCall(t *testing.T) {
	w := newWorld(t, dials)
	at := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	start := func(key, to string) (int, map[string]any) {
		return w.post(controlv1connect.CallServiceStartCallProcedure, fmt.Sprintf(`{"idempotencyKey": %q, "to": %q, "agent": "sales", "notBefore": %q, "metadata": {"b": 1, "a": 2}}`, key, to, at))
	}
	idOf := func(answer map[string]any) any {
		call, _ := answer["call"].(map[string]any)
		return call["id"]
	}
	status, first := start("one", "+14155550123")
	if status != http.StatusOK || first["replayed"] == true {
		t.Fatalf("%d %v", status, first)
	}
	if call, _ := first["call"].(map[string]any); call["state"] != "STATE_SCHEDULED" || call["direction"] != "DIRECTION_DIAL_OUT" || call["requestedBy"] != "test" {
		t.Errorf("%v", call)
	}
	if status, again := start("one", "+14155550123"); status != http.StatusOK || again["replayed"] != true || idOf(again) != idOf(first) {
		t.Errorf("the same once more: %d %v", status, again)
	}
	if status, other := start("one", "+14155550124"); status != http.StatusConflict || other["code"] != "already_exists" {
		t.Errorf("other content: %d %v", status, other)
	}
	if status, other := start("two", "+14155550123"); status != http.StatusOK || idOf(other) == idOf(first) {
		t.Errorf("another key: %d %v", status, other)
	}
	w.key = w.newKey("somebody-else", "calls:write")
	if status, other := start("one", "+14155550123"); status != http.StatusOK || other["replayed"] == true || idOf(other) == idOf(first) {
		t.Errorf("the same key of somebody else: %d %v", status, other)
	}
}

// What JSON cannot hold comes by gRPC alone, and would make the call one that nobody can list.
func TestMetadataIsWhatJSONCanHold(t *testing.T) {
	w := newWorld(t, dials)
	for name, value := range map[string]*structpb.Value{
		"no number": structpb.NewNumberValue(math.NaN()), "without an end": structpb.NewNumberValue(math.Inf(1)), "nothing at all": {},
	} {
		_, err := w.client.StartCall(t.Context(), &controlv1.StartCallRequest{
			IdempotencyKey: name, To: "+14155550123", Agent: "sales", Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{"x": value}},
		})
		if connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), "metadata: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
