// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// ask runs a command and gives what it prints.
func ask(t *testing.T, cmd *cobra.Command, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetOut(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestKeysAreMadeSeenUsedAndRevoked(t *testing.T) {
	for _, name := range []string{"NATS_URL", "TRUNKLINE_KEY", "TRUNKLINE_CONFIG"} {
		t.Setenv(name, "")
	}
	t.Chdir(t.TempDir()) // where there is no configuration
	cfg, err := stack.DevConfig()
	if err != nil {
		t.Fatal(err)
	}
	stack.FreePorts(cfg)
	s, err := stack.Start(t.Context(), stack.Options{Dir: devDir, Config: cfg, Log: app.NewLog(t.Output(), cfg.Log)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}()
	keys := func(args ...string) (string, error) {
		return ask(t, keysCommand(), append(args, "--nats", s.URLs["nats"])...)
	}
	list := func(args ...string) error {
		_, err := ask(t, callsCommand(), append([]string{"ls", "--control", s.URLs["control"]}, args...)...)
		return err
	}

	out, err := keys("add", "me", "--scope", auth.CallsRead, "--scope", auth.CallsWrite)
	token := strings.TrimSpace(out)
	if err != nil || !strings.HasPrefix(token, "tlk_me_") {
		t.Fatalf("%q, %v", out, err)
	}
	if _, err := keys("add", "other", "--scope", "calls:all"); err == nil || !strings.Contains(err.Error(), "calls:all") {
		t.Errorf("an unknown scope: %v", err)
	}
	out, err = keys("ls", "-o", "json")
	var all []auth.Key
	if json.Unmarshal([]byte(out), &all) != nil || err != nil || len(all) != 2 || all[0].Name != "dev" || all[1].Name != "me" || strings.Contains(out, "hash") {
		t.Errorf("%s, %v", out, err)
	}
	if out, err = keys("ls"); err != nil || !strings.Contains(out, "calls:read calls:write\n") {
		t.Errorf("%s, %v", out, err)
	}

	if err := list(); err == nil || !strings.Contains(err.Error(), "TRUNKLINE_KEY") {
		t.Errorf("without a key: %v", err)
	}
	if err := list("--key", token); err != nil {
		t.Errorf("with a key: %v", err)
	}
	if err := os.WriteFile(keyFile(devDir), []byte(s.Key.Reveal()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := list(); err != nil {
		t.Errorf("with the key that dev has left: %v", err)
	}
	t.Setenv("TRUNKLINE_KEY", token)
	if out, err := keys("revoke", "me"); err != nil || out != "revoked me\n" {
		t.Errorf("%q, %v", out, err)
	}
	if err := list(); err == nil || !strings.Contains(err.Error(), "no such API key") {
		t.Errorf("with a key that has been revoked: %v", err)
	}
	if err := list("--key", s.Key.Reveal()); err != nil {
		t.Errorf("with another one: %v", err)
	}
	if _, err := keys("revoke", "me"); err == nil || !strings.Contains(err.Error(), "me") {
		t.Errorf("revoke it again: %v", err)
	}
}
