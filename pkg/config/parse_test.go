// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/config"
)

// minimal is the least that a file must say.
const minimal = `
agents:
  support: {command: [python, bot.py]}
routes:
  - {default: true, agent: support}
`

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("trunkline.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestMinimalFileHasEveryDefault(t *testing.T) {
	want := config.Default()
	agent := config.DefaultAgent()
	agent.Name, agent.Command = "support", []string{"python", "bot.py"}
	route := config.DefaultRoute()
	route.Default, route.Agent = true, "support"
	want.Agents = map[string]config.Agent{"support": agent}
	want.Routes = []config.Route{route}
	if got := parse(t, minimal); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestExampleParses(t *testing.T) {
	c := parse(t, config.Example())
	a := c.Agents["support"]
	if a.Name != "support" || a.Env["LOG_LEVEL"] != "info" || !reflect.DeepEqual(a.PassEnv, []string{"OPENAI_API_KEY"}) {
		t.Errorf("agent: %+v", a)
	}
	if len(c.Routes) != 2 || c.Routes[0].Number != "+14155550100" || !c.Routes[1].Default {
		t.Errorf("routes: %+v", c.Routes)
	}
	desk := config.DefaultTarget()
	desk.Name, desk.Description, desk.Numbers = "desk", "The service desk", []string{"sip:desk@pbx.example.com"}
	if !reflect.DeepEqual(c.Targets, map[string]config.Target{"desk": desk}) || !reflect.DeepEqual(a.Targets, []string{"desk"}) || c.Routes[0].Overflow != "desk" {
		t.Errorf("targets: %+v, of the agent %v, of the route %q", c.Targets, a.Targets, c.Routes[0].Overflow)
	}
	c.Agents, c.Routes, c.Targets = nil, nil, nil
	if !reflect.DeepEqual(c, config.Default()) {
		t.Errorf("apart from agents, routes and targets, the example should have the defaults: %+v", c)
	}
}

func TestValuesAreTaken(t *testing.T) {
	c := parse(t, `
region: GB
public_url: https://calls.example.com/
nats: {url: "nats://a:4222, tls://b:4222", replicas: 3, max_age: 720h}
listen: {gateway: "0.0.0.0:9000"}
ingress: {dialin_paths: [/hook], max_body: 2048}
daily: {api_url: "http://127.0.0.1:7000/v1/", janitor_interval: 1s, presence_settle: 3s, budget: {unlimited: true}}
gateway: {url: "https://bots.example.com/"}
log: {format: json, level: warn}
dialout: {ring_timeout: 30s, retries: [{cause: voicemail, delay: 1h, limit: 1}], errors: [{pattern: "user busy|486", cause: not_answered}]}
policy:
  countries: [GB, US]
  blocked_prefixes: ["+4470"]
  hours: {from: 22:00, to: "06:30", days: [fri]}
  per_number: {calls: 0}
  per_second: 2.5
agents:
  support: &base
    command: ["{{.Self}}", keep, "--call={{.CallID}}/{{.Attempt}}", "{{.Agent}}"]
    env: {PORT: 8080, RATIO: 0.50, DEBUG: true, DAY: 2026-08-01, EMPTY: ""}
    linger: 0s
    slots: 3
    owner: true
    dial: bot
    caller_id: 0f7d5e4c-1111-4222-8333-444455556666
    dialouts_per_second: 0.5
  sales:
    <<: *base
    slots: 4
routes:
  - {number: 020 7946 0000, agent: sales, max_duration: 1h30m}
  - {number: "sip:Support@example.com", agent: support}
  - {default: true, agent: support}
`)
	if c.PublicURL != "https://calls.example.com" || c.Daily.APIURL != "http://127.0.0.1:7000/v1" || c.GatewayURL() != "https://bots.example.com" {
		t.Errorf("URLs keep their last slash: %q, %q, %q", c.PublicURL, c.Daily.APIURL, c.GatewayURL())
	}
	if c.NATS.MaxAge != 720*time.Hour || !c.Daily.Budget.Unlimited || c.Daily.Budget.DialsPer5s != 5 || c.Log.Level != slog.LevelWarn {
		t.Errorf("%+v", c)
	}
	want := map[string]string{"PORT": "8080", "RATIO": "0.50", "DEBUG": "true", "DAY": "2026-08-01", "EMPTY": ""}
	if a := c.Agents["support"]; !reflect.DeepEqual(a.Env, want) || a.Linger != 0 || a.Slots != 3 {
		t.Errorf("support: %+v", a)
	}
	if a := c.Agents["sales"]; !reflect.DeepEqual(a.Env, want) || a.Slots != 4 || a.Name != "sales" {
		t.Errorf("sales, merged: %+v", a)
	}
	if a := c.Agents["sales"]; a.Dial != "bot" || a.CallerID != "0f7d5e4c-1111-4222-8333-444455556666" || a.DialoutsPerSecond != 0.5 {
		t.Errorf("sales, merged: %+v", a)
	}
	dialout := config.Default().Dialout
	dialout.RingTimeout = 30 * time.Second
	dialout.Retries = []config.Retry{{Cause: "voicemail", Delay: time.Hour, Limit: 1}}
	dialout.Errors = []config.DialError{{Pattern: "user busy|486", Cause: "not_answered"}}
	if !reflect.DeepEqual(c.Dialout, dialout) {
		t.Errorf("dialout: %+v", c.Dialout)
	}
	policy := config.Policy{
		Countries: []string{"GB", "US"}, BlockedPrefixes: []string{"+4470"},
		Hours:     config.Hours{From: "22:00", To: "06:30", Days: []string{"fri"}},
		PerNumber: config.PerNumber{Window: 24 * time.Hour}, MaxConcurrent: 50, PerSecond: 2.5,
	}
	if !reflect.DeepEqual(c.Policy, policy) {
		t.Errorf("policy: %+v", c.Policy)
	}
	if r := c.Routes[0]; r.Number != "+442079460000" || r.MaxDuration != 90*time.Minute {
		t.Errorf("route: %+v", r)
	}
}

func TestTargetsAreTaken(t *testing.T) {
	c := parse(t, `
region: GB
listen: {transfer: "0.0.0.0:9003"}
control: {url: "http://control:8082/"}
transfer: {brief_timeout: 2m, url: "https://transfer.example.com/"}
policy: {countries: [GB]}
agents:
  support: {command: [bot], targets: [desk, night]}
routes:
  - {number: 020 7946 0000, agent: support, overflow: night}
  - {default: true, agent: support}
targets:
  desk:
    description: for bills
    numbers: [020 7946 0001, "+44 20 7946 0002", " SIP:Desk@example.com;transport=tls"]
    strategy: all_at_once
    ring_timeout: 40s
    hours: {from: "09:00", to: "17:30", days: [mon, tue], timezone: Europe/London}
    caller_id: 0f7d5e4c-1111-4222-8333-444455556666
    modes: [cold, refer]
    no_answer: {then: target, target: night}
    bot_leaves: true
  night: {numbers: ["sip:night@example.com"], no_answer: {then: end, message: Nobody is here.}}
  elsewhere: {numbers: ["+14155550100"]}
`)
	desk := config.Target{
		Name: "desk", Description: "for bills", Numbers: []string{"+442079460001", "+442079460002", "SIP:Desk@example.com;transport=tls"},
		Strategy: config.AllAtOnce, RingTimeout: 40 * time.Second,
		Hours:    config.TargetHours{Hours: config.Hours{From: "09:00", To: "17:30", Days: []string{"mon", "tue"}}, Timezone: "Europe/London"},
		CallerID: "0f7d5e4c-1111-4222-8333-444455556666", Modes: []string{config.ModeCold, config.ModeRefer},
		NoAnswer: config.NoAnswer{Then: config.ThenTarget, Target: "night"}, BotLeaves: true,
	}
	if got := c.Targets["desk"]; !reflect.DeepEqual(got, desk) {
		t.Errorf("got  %+v\nwant %+v", got, desk)
	}
	night := config.DefaultTarget()
	night.Name, night.Numbers, night.NoAnswer = "night", []string{"sip:night@example.com"}, config.NoAnswer{Then: config.ThenEnd, Message: "Nobody is here."}
	if got := c.Targets["night"]; !reflect.DeepEqual(got, night) {
		t.Errorf("got  %+v\nwant %+v", got, night)
	}
	transfer := config.Default().Transfer
	transfer.BriefTimeout, transfer.URL = 2*time.Minute, "https://transfer.example.com"
	if c.Transfer != transfer || c.TransferURL() != transfer.URL || c.ControlURL() != "http://control:8082" {
		t.Errorf("%+v, %s, %s", c.Transfer, c.TransferURL(), c.ControlURL())
	}
	if c.Transfer.URL = ""; c.TransferURL() != "http://127.0.0.1:9003" {
		t.Errorf("derived: %s", c.TransferURL())
	}
	if !reflect.DeepEqual(c.Agents["support"].Targets, []string{"desk", "night"}) || c.Routes[0].Overflow != "night" || c.Routes[1].Overflow != "" {
		t.Errorf("%+v, %+v", c.Agents, c.Routes)
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trunkline.yaml")
	if _, err := config.Load(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte("regions: US\n"+minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(path)
	if want := path + ":1: regions: is not a known key, did you mean region?"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	var problem config.Problem
	if !errors.As(err, &problem) || problem.Line != 1 || problem.Path != "regions" {
		t.Errorf("as a Problem: %+v", problem)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("#\n", 1<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(path); err == nil || !strings.Contains(err.Error(), "must be at most") {
		t.Errorf("too large: %v", err)
	}
	if err := os.WriteFile(path, []byte(minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := config.Load(path); err != nil || c.Agents["support"].Slots != 10 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestGatewayURL(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:8081": "http://127.0.0.1:8081",
		":8081":          "http://127.0.0.1:8081",
		"0.0.0.0:8081":   "http://127.0.0.1:8081",
		"[::]:8081":      "http://127.0.0.1:8081",
		"[::1]:8081":     "http://[::1]:8081",
		"bots:8081":      "http://bots:8081",
		"nonsense":       "",
	} {
		c := config.Default()
		c.Listen.Gateway = listen
		if got := c.GatewayURL(); got != want {
			t.Errorf("listen.gateway %q: %q, want %q", listen, got, want)
		}
	}
}

func TestArgv(t *testing.T) {
	a := config.Agent{Name: "support", Command: []string{"{{.Self}}", "--call={{.CallID}}/{{ .Attempt }}", "{{.Agent}}", "a b; $HOME"}}
	got, err := a.Argv(config.CommandData{CallID: "abc", Attempt: 2, Agent: "support", Self: "/bin/trunkline"})
	want := []string{"/bin/trunkline", "--call=abc/2", "support", "a b; $HOME"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	if len(a.Command) != 4 || a.Command[0] != "{{.Self}}" {
		t.Errorf("the command itself changed: %q", a.Command)
	}
	a.Command = []string{"{{.Secret}}"}
	if _, err := a.Argv(config.CommandData{}); err == nil {
		t.Error("an unknown item should be refused")
	}
}

func TestRoute(t *testing.T) {
	c := parse(t, `
agents: {a: {command: [a]}, b: {command: [b]}, c: {command: [c]}, d: {command: [d]}}
routes:
  - {number: "+1 415 555 0100", agent: a}
  - {default: true, agent: b}
  - {number: "sip:Support@Example.com", agent: c}
`)
	for to, want := range map[string]string{
		"+14155550100":                           "a",
		"(415) 555-0100":                         "a",
		"tel:+14155550100":                       "a",
		"+14155550101":                           "b",
		"":                                       "b",
		"anonymous":                              "b",
		"support":                                "b",
		"sip:support@example.com":                "c",
		"sips:support@example.com;transport=tls": "c",
		"sip:support@example.com?X-Campaign=May": "c",
		"sip:other@example.com":                  "b",
		"sip:+14155550100@example.com;user=phone": "b",
	} {
		if got := c.Route(to, "+442079460000").Agent; got != want {
			t.Errorf("Route(%q) to %q, want %q", to, got, want)
		}
	}
	if r := config.Default().Route("+14155550100", ""); r.Agent != "" {
		t.Errorf("without routes: %+v", r)
	}
}
