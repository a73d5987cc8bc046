// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

// settings flattens a config into names and default values; lists and optional blocks are one setting.
func settings(t *testing.T, v reflect.Value, prefix string, into map[string]string) {
	t.Helper()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if yaml := f.Tag.Get("yaml"); yaml != name {
			t.Errorf("%s is %q in YAML and %q in JSON", f.Name, yaml, name)
		}
		if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[sim.Faults]() {
			settings(t, v.Field(i), prefix+name+".", into)
			continue
		}
		raw, err := json.Marshal(v.Field(i).Interface())
		if err != nil {
			t.Fatal(err)
		}
		into[prefix+name] = string(raw)
	}
}

func TestDocsHaveEverySettingWithItsDefault(t *testing.T) {
	want := map[string]string{}
	settings(t, reflect.ValueOf(sim.Defaults()), "", want)
	raw, err := os.ReadFile("../../../docs/daily-sim.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(raw), "\n## Settings\n")
	table, _, _ = strings.Cut(table, "\n## ")
	got := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `([^`]*)` \\|").FindAllStringSubmatch(table, -1) {
		got[row[1]] = row[2]
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("docs/daily-sim.md says `%s` for %s, it is `%s`", got[name], name, want[name])
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("docs/daily-sim.md has %s, which is no setting", name)
		}
	}
}

func TestDefaultsAreValidAndReadFromJSON(t *testing.T) {
	cfg := sim.Defaults()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	text := `{"max_hold":"90s","connect_delay":"","budgets":{"most":{"limit":7}},"numbers":[{"number":"*","webhook_url":"http://x/y"}]}`
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.MaxHold.Std() != 90*time.Second || cfg.ConnectDelay != 0 || cfg.Budgets.Most.Limit != 7 ||
		cfg.Budgets.Most.Window != sim.Defaults().Budgets.Most.Window || cfg.Numbers[0].Number != "*" {
		t.Fatalf("config %+v", cfg)
	}
	for _, bad := range []string{`{"max_hold":"soon"}`, `{"max_hold":"-1s"}`} {
		if err := json.Unmarshal([]byte(bad), &cfg); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func TestConfigProblemsAreReportedTogether(t *testing.T) {
	cfg := sim.Config{
		PublicURL: "nowhere", Numbers: []sim.Number{{HMAC: "%"}, {}}, Webhook: &sim.WebhookPreset{RetryType: "never"},
		Faults: sim.Faults{REST: []sim.Fault{{Kind: "explode"}}}, MeetingEndedLag: sim.Duration(time.Minute),
		PresenceLagMin: 2, PresenceLagMax: 1, SecondForward: "maybe", DialinWebhookRetries: -1,
		Dialout: sim.Dialout{Callees: []sim.Callee{{Number: "+1"}}},
	}
	err := cfg.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, field := range []string{
		"api_key", "domain", "domain_id", "call_domain", "public_url", "numbers[0].number", "numbers[0].webhook_url",
		"numbers[0].hmac", "numbers[1].number", "webhook.url", "webhook.retry_type", "faults: rest[0].kind",
		"budgets.most.limit", "budgets.dial.window", "dialin_webhook_timeout", "dialin_webhook_retries", "webhook_timeout",
		"webhook_test_timeout", "webhook_trip", "webhook_attempts", "max_hold", "max_sip_sessions", "keep_alive", "history",
		"pinless_timestamp", "webhook_timestamp", "test_ping_key", "anonymous_from", "payload_timestamps", "second_forward",
		"legs_drop", "meeting_ended_lag", "presence_lag_max", "telephony_keys", "dialout.caller_id", "dialout.already_started",
		"dialout.client_fields", "dialout.invalid_number", "dialout.joins", "dialout.unanswered", "dialout: callees[0].dials",
		"legs_first", "transfers.budget", "transfers.again", "transfers.order", "transfers.unanswered", "transfers.refer",
		"transfers.ends_with", "permissions.legs", "permissions.unknown_id",
	} {
		if !strings.Contains(err.Error(), field+":") {
			t.Errorf("nothing about %s in\n%v", field, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("New took it")
		}
	}()
	sim.New(cfg)
}
