// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/app"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/services/bot-scheduler/keeper"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/daily-sim/simbot"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// beTrunkline names the variable that makes the test's own program the one binary.
const beTrunkline = "TEST_BE_TRUNKLINE"

// The test's own program is also the keeper and the simulated bot, as the one binary is.
func TestMain(m *testing.M) {
	keeper.RunIfAsked()
	if os.Getenv(beTrunkline) != "" {
		Main()
		return
	}
	if len(os.Args) > 2 && os.Args[1] == "sim" && os.Args[2] == "bot" {
		os.Exit(simbot.Main(context.Background(), os.Stdin, os.Args[3:]))
	}
	os.Exit(m.Run())
}

// startDev runs what trunkline dev runs.
func startDev(t *testing.T) *stack.Stack {
	t.Helper()
	cfg, err := stack.DevConfig()
	if err != nil {
		t.Fatal(err)
	}
	stack.FreePorts(cfg)
	s, err := stack.Start(t.Context(), stack.Options{Dir: t.TempDir(), Config: cfg, Sim: stack.DevPhones, Log: app.NewLog(t.Output(), cfg.Log)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestFlagsMakeARequest(t *testing.T) {
	now := time.Date(2026, 12, 1, 14, 0, 0, 0, time.UTC)
	for phrase, c := range map[string]struct {
		args []string
		want string // the request, or the beginning of an error
	}{
		"no more than is needed": {nil, `{}`},
		"all there is": {[]string{
			"--caller-id", "0f0e0d0c-0000-4000-8000-000000000001", "--not-before", "2026-12-01T09:30:00-05:00", "--not-after", "2h",
			"--max-duration", "5m", "--ring-timeout", "30s", "--retry", "no_answer:15m:2", "--retry", "error:1m30s:1",
			"--metadata", "order=1234", "--metadata", "note=a=b, c", "--idempotency-key", "order-1234",
		}, `{"callerId": "0f0e0d0c-0000-4000-8000-000000000001", "notBefore": "2026-12-01T14:30:00Z", "notAfter": "2026-12-01T16:00:00Z",
			"maxDuration": "300s", "ringTimeout": "30s", "idempotencyKey": "order-1234",
			"retry": {"causes": [{"cause": "no_answer", "delay": "900s", "limit": 2}, {"cause": "error", "delay": "90s", "limit": 1}]},
			"metadata": {"order": "1234", "note": "a=b, c"}}`},
		"metadata as JSON":             {[]string{"--metadata-json", `{"order": {"id": 1234}}`}, `{"metadata": {"order": {"id": 1234}}}`},
		"no retries":                   {[]string{"--retry", "none"}, `{"retry": {}}`},
		"a retry without a limit":      {[]string{"--retry", "no_answer:15m"}, "--retry: "},
		"a retry without a unit":       {[]string{"--retry", "no_answer:15:2"}, "--retry: "},
		"a retry less than never":      {[]string{"--retry", "no_answer:15m:-1"}, "--retry: "},
		"metadata without a value":     {[]string{"--metadata", "order"}, "--metadata: "},
		"metadata that is no object":   {[]string{"--metadata-json", `[1]`}, "--metadata-json: "},
		"a time of no zone":            {[]string{"--not-before", "2026-12-01T09:30:00"}, "invalid argument"},
		"metadata in both of the ways": {[]string{"--metadata", "a=b", "--metadata-json", `{}`}, "if any flags in the group"},
	} {
		cmd := callCommand()
		var flags startFlags
		cmd.ResetFlags()
		flags.flags(cmd)
		err := cmd.ParseFlags(append(c.args, "--agent", "support"))
		if err == nil {
			err = cmd.ValidateFlagGroups()
		}
		var got *controlv1.StartCallRequest
		if err == nil {
			got, err = flags.request("+14155550123", now)
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%s: %v, want %s", phrase, err, c.want)
			}
			continue
		}
		want := &controlv1.StartCallRequest{}
		if err := protojson.Unmarshal([]byte(c.want), want); err != nil {
			t.Fatalf("%s: got %v, want %s", phrase, got, c.want)
		}
		if want.To, want.Agent = "+14155550123", "support"; !proto.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", phrase, got, want)
		}
	}
}

func TestPeopleAreCalled(t *testing.T) {
	s := startDev(t)
	run := func(args ...string) (string, error) {
		return ask(t, rootCommand(), append(args, "--control", s.URLs["control"], "--key", s.Key.Reveal())...)
	}
	if err := s.Sim.SetCallee(sim.Callee{Number: "+14155550131", Dials: []sim.Behaviour{{Talk: sim.Duration(200 * time.Millisecond)}}}); err != nil {
		t.Fatal(err)
	}

	out, err := run("call", "+14155550131", "--agent", "caller", "--wait")
	if err != nil || !strings.Contains(out, "DialAnswered.1 ") || strings.Count(out, "CallEnded ") != 1 {
		t.Errorf("somebody who answers: %v\n%s", err, out)
	}
	var told struct {
		Call     struct{ ID, State, Reason, Detail string }
		Replayed bool
	}
	out, err = run("call", "+14155550197", "--agent", "caller", "--retry", "none", "--wait", "-o", "json")
	if json.Unmarshal([]byte(out), &told) != nil || told.Call.Reason != "not_answered" || err == nil || err.Error() != "the call was not completed: unreached, not_answered" {
		t.Errorf("somebody who declines: %v\n%s", err, out)
	}
	out, err = run("call", "+442079460000", "--agent", "caller")
	if err == nil || !strings.Contains(err.Error(), "country: belongs to GB") || out != "" {
		t.Errorf("somebody who may not be called: %v\n%s", err, out)
	}
	out, err = run("policy", "explain", "+442079460000", "--agent", "caller", "--at", "24h")
	if err != nil || !strings.Contains(out, "belongs to GB") || !strings.HasSuffix(out, "\nrefuse country\n") {
		t.Errorf("an explanation: %v\n%s", err, out)
	}

	later := time.Now().Add(time.Hour).Format(time.RFC3339)
	for _, again := range []bool{false, true} {
		out, err = run("call", "+14155550133", "--agent", "caller", "--idempotency-key", "k", "--not-before", later, "-o", "json")
		if json.Unmarshal([]byte(out), &told) != nil || err != nil || told.Call.State != "STATE_SCHEDULED" || told.Replayed != again {
			t.Errorf("a call for later, asked for again: %v: %v\n%s", again, err, out)
		}
	}
	out, err = run("calls", "end", told.Call.ID, "--detail", "not wanted")
	if err != nil || !strings.Contains(out, "cancelled, end_requested: not wanted\n") {
		t.Errorf("its end: %v\n%s", err, out)
	}
}
