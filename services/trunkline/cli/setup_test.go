// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
)

func TestSetupListsItsChangesAndRefusesLosses(t *testing.T) {
	t.Setenv("NATS_URL", "")
	server := bustest.Start(t)
	js := server.Connect()
	setup := func(maxAge string, args ...string) (string, error) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "trunkline.yaml")
		config := "nats: {max_age: " + maxAge + "}\nagents: {support: {command: [bot]}}\nroutes: [{default: true, agent: support}]\n"
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		cmd := setupCommand()
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		cmd.SetOut(&out)
		cmd.SetArgs(append(args, "-c", file, "--nats", server.ClientURL()))
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	keeps := func() time.Duration {
		t.Helper()
		stream, err := js.Stream(t.Context(), bus.Stream)
		if err != nil {
			return 0
		}
		return stream.CachedInfo().Config.MaxAge
	}

	for _, step := range []struct {
		name, maxAge string
		args         []string
		says, fails  string
		keeps        time.Duration
	}{
		{name: "a dry run creates nothing", maxAge: "24h", args: []string{"--dry-run"}, says: "create stream CALLS\n"},
		{name: "a dry run lists as JSON", maxAge: "24h", args: []string{"--dry-run", "-o", "json"}, says: `    "change": "create stream CALLS"`},
		{name: "a wrong word for the output changes nothing", maxAge: "24h", args: []string{"-o", "leaves"}, fails: `-o: "leaves" is neither`},
		{name: "the first run creates", maxAge: "24h", says: "create stream CALLS\n", keeps: 24 * time.Hour},
		{name: "the second run has nothing to do", maxAge: "24h", says: "nothing to change\n", keeps: 24 * time.Hour},
		{name: "a dry run shows a change", maxAge: "168h", args: []string{"--dry-run"}, says: "stream CALLS: max_age 24h0m0s -> 168h0m0s\n", keeps: 24 * time.Hour},
		{name: "nothing to change as JSON", maxAge: "24h", args: []string{"-o", "json"}, says: "[]\n", keeps: 24 * time.Hour},
		{name: "a change is made", maxAge: "168h", says: "stream CALLS: max_age 24h0m0s -> 168h0m0s\n", keeps: 168 * time.Hour},
		{
			name: "a dry run refuses as JSON", maxAge: "24h", args: []string{"--dry-run", "-o", "json"}, says: `"harm": "what is stored beyond it`,
			fails: "stream CALLS: max_age 168h0m0s -> 24h0m0s", keeps: 168 * time.Hour,
		},
		{name: "a dry run refuses what would be refused", maxAge: "24h", args: []string{"--dry-run"}, fails: "stream CALLS: max_age 168h0m0s -> 24h0m0s", keeps: 168 * time.Hour},
		{name: "a loss is refused", maxAge: "24h", fails: "stream CALLS: max_age 168h0m0s -> 24h0m0s", keeps: 168 * time.Hour},
		{name: "a dry run with force changes nothing", maxAge: "24h", args: []string{"--dry-run", "--force"}, says: "stream CALLS: max_age 168h0m0s -> 24h0m0s\n", keeps: 168 * time.Hour},
		{name: "a loss is accepted", maxAge: "24h", args: []string{"--force"}, says: "stream CALLS: max_age 168h0m0s -> 24h0m0s\n", keeps: 24 * time.Hour},
	} {
		out, err := setup(step.maxAge, step.args...)
		if (err != nil) != (step.fails != "") || err != nil && !strings.Contains(err.Error(), step.fails) {
			t.Fatalf("%s: %v, want %q", step.name, err, step.fails)
		}
		if !strings.Contains(out, step.says) {
			t.Errorf("%s: it says\n%swant %s", step.name, out, step.says)
		}
		if slices.Contains(step.args, "json") && !json.Valid([]byte(out)) {
			t.Errorf("%s: this is not one JSON document:\n%s", step.name, out)
		}
		if got := keeps(); got != step.keeps {
			t.Errorf("%s: CALLS keeps %s, want %s", step.name, got, step.keeps)
		}
	}
}
