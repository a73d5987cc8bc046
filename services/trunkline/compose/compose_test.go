// SPDX-License-Identifier: Apache-2.0

// Package compose tests what `docker compose up` starts, and that the Compose file, the README and the code agree.
package compose

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
	transferv1 "github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1/transferv1connect"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/engine"
	"github.com/trunkline/trunkline/services/trunkline/storm"
)

func TestComposeStartsATrunklineThatTakesCallsAndLosesNoneWhenItStops(t *testing.T) {
	p := newProject(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.compose("logs", "--no-color"))
		}
		p.compose("down", "--volumes", "--timeout", "5")
	})
	p.must("up", "--detach", "--build", "--quiet-pull", "--wait") // until all are healthy

	p.newKey()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stats sim.Stats
	p.poll(ctx, "the domain webhook", func() bool {
		return p.get(ctx, "/sim/stats", &stats) == nil && stats.Webhook == "ACTIVE"
	})
	// The curl line of the README.
	p.completed(ctx, p.place(`{"from":"+14155550123","to":"+14155550100","talk":"1s"}`))
	p.callsSomebody(ctx)
	p.handsOver(ctx)

	phone := p.place(`{"from":"+14155550123","to":"+14155550100"}`)
	p.poll(ctx, "the call", func() bool { return p.now(ctx, &phone) && phone.State == sim.Connected })
	stopped := make(chan error, 1)
	go func() {
		_, err := p.run("stop", "bot-scheduler")
		stopped <- err
	}()
	p.poll(ctx, "bot-scheduler to take no new calls", func() bool {
		return strings.Contains(p.compose("logs", "--no-color", "bot-scheduler"), "takes no new calls")
	})
	late := p.place(`{"from":"+14155550123","to":"+14155550100","talk":"1s"}`)
	p.poll(ctx, "who calls meanwhile to be taken", func() bool {
		return p.now(ctx, &late) && slices.ContainsFunc(late.Webhooks, func(d sim.Delivery) bool { return d.Status == http.StatusOK })
	})
	select {
	case err := <-stopped:
		t.Fatalf("bot-scheduler did not wait for its call: %v", err)
	default:
	}
	if !p.now(ctx, &phone) || phone.State != sim.Connected {
		t.Fatalf("the call is %s, because of %s", phone.State, phone.Why)
	}
	res, err := http.Post(p.url("SIM_PORT")+"/sim/calls/"+phone.ID+"/hangup", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	p.completed(ctx, phone)
	p.must("start", "bot-scheduler")
	p.completed(ctx, late)
}

// Which services there are is the profile's affair, and the profile "" is the one that nobody has to name.
func TestComposeStartsWhatTheProfileSays(t *testing.T) {
	p := newProject(t)
	for phrase, c := range map[string]struct {
		args []string
		want string
	}{
		"with the simulator": {nil, "bot-scheduler call-control daily-sim ingress nats room-provisioner setup transfer-service"},
		"against Daily": {[]string{"--profile", "real"}, "real-bot-scheduler real-call-control real-ingress real-nats real-room-provisioner real-setup " +
			"real-transfer-service"},
		"as a cluster": {[]string{"--profile", "cluster"}, "bot-scheduler bot-scheduler-2 call-control call-control-2 cluster-setup daily-sim " +
			"ingress ingress-2 nats-1 nats-2 nats-3 room-provisioner room-provisioner-2 transfer-service transfer-service-2"},
	} {
		out, err := p.run(append(c.args, "config", "--services")...)
		got := strings.Fields(out)
		slices.Sort(got)
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v\n got %s\nwant %s", phrase, err, strings.Join(got, " "), c.want)
		}
	}
}

func TestComposeNamesTheSecretThatIsMissing(t *testing.T) {
	p := newProject(t)
	must := []string{config.EnvDailyAPIKey, config.EnvDailyPinlessHMAC, config.EnvDailyWebhookHMAC, config.EnvTrunklineSecret, "BOTS_IMAGE", "NATS_KEYS"}
	for _, missing := range must {
		for _, name := range must {
			p.env[name] = "c2VjcmV0"
		}
		p.env["NATS_KEYS"] = "./deploy/compose/nats-keys"
		p.env[missing] = ""
		if out, err := p.run("--profile", "real", "config"); err == nil || !strings.Contains(out, missing) || !strings.Contains(out, "set it in .env") {
			t.Errorf("without %s: %v\n%s", missing, err, out)
		}
		if out, err := p.run("config"); err != nil {
			t.Errorf("with the simulator, without %s: %v\n%s", missing, err, out)
		}
	}
}

// project is a compose project of the test's own, on ports of its own. Its variables do not come from .env.
type project struct {
	t    *testing.T
	name string
	env  map[string]string
	key  string // of the API
}

func newProject(t *testing.T) *project {
	t.Helper()
	engine.Need(t)
	p := &project{t: t, name: fmt.Sprintf("trunkline-test-%d", os.Getpid()), env: map[string]string{"COMPOSE_PROFILES": ""}}
	for _, name := range []string{"INGRESS_PORT", "CONTROL_PORT", "TRANSFER_PORT", "SIM_PORT"} {
		p.env[name] = strconv.Itoa(storm.FreePort())
	}
	return p
}

func (p *project) compose(args ...string) (out string) {
	out, err := p.run(args...)
	if err != nil {
		p.t.Logf("compose %v: %v", args, err)
	}
	return out
}

func (p *project) must(args ...string) {
	p.t.Helper()
	if out, err := p.run(args...); err != nil {
		p.t.Fatalf("compose %v: %v\n%s", args, err, out)
	}
}

func (p *project) run(args ...string) (string, error) {
	var env []string
	for name, value := range p.env {
		env = append(env, name+"="+value)
	}
	return engine.Compose(p.name, env, append([]string{"--env-file", os.DevNull}, args...)...)
}

// newKey makes an API key, as the README says.
func (p *project) newKey() {
	p.t.Helper()
	out, err := p.run("run", "--rm", "setup", "keys", "add", "test", "--scope", auth.CallsRead, "--scope", auth.CallsWrite, "--scope", auth.TransfersWrite)
	if p.key = regexp.MustCompile(`tlk_test_\w+`).FindString(out); err != nil || p.key == "" {
		p.t.Fatalf("make an API key: %v\n%s", err, out)
	}
}

func (p *project) url(port string) string { return "http://127.0.0.1:" + p.env[port] }

func (p *project) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url("SIM_PORT")+path, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(into)
}

// place has a phone call.
func (p *project) place(spec string) (phone sim.Call) {
	p.t.Helper()
	res, err := http.Post(p.url("SIM_PORT")+"/sim/calls", "application/x-www-form-urlencoded", strings.NewReader(spec))
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&phone); err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("place a call: %s, %v", res.Status, err)
	}
	return phone
}

// callsSomebody has a person called, who answers and hangs up.
func (p *project) callsSomebody(ctx context.Context) {
	p.t.Helper()
	res, err := p.control().StartCall(ctx, &controlv1.StartCallRequest{IdempotencyKey: "test", To: "+14155550123", Agent: "caller"})
	if err != nil {
		p.t.Fatal(err)
	}
	var dials struct{ Data []sim.Dial }
	p.poll(ctx, "an answer", func() bool {
		return p.get(ctx, "/sim/dials?state="+sim.Answered, &dials) == nil && len(dials.Data) == 1
	})
	hangup, err := http.Post(p.url("SIM_PORT")+"/sim/dials/"+dials.Data[0].ID+"/hangup", "", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	hangup.Body.Close()
	p.poll(ctx, "the record of the call", func() bool {
		now, err := p.control().GetCall(ctx, &controlv1.GetCallRequest{Id: res.GetCall().GetId()})
		return err == nil && now.GetCall().GetOutcome() == callv1.Outcome_OUTCOME_COMPLETED
	})
}

// handsOver has a caller transferred to the target of the configuration, whose phone hangs up by itself.
func (p *project) handsOver(ctx context.Context) {
	p.t.Helper()
	phone := p.place(`{"from":"+14155550123","to":"+14155550100"}`)
	id := bus.CallID(phone.CallDomain, phone.ID)
	p.poll(ctx, "the call to be transferred", func() bool {
		_, err := p.transfers().RequestTransfer(ctx, &transferv1.RequestTransferRequest{Call: id, Target: "supervisor", Mode: config.ModeWarm, Summary: "a test", IdempotencyKey: "test"})
		return err == nil
	})
	p.poll(ctx, "the transfer to be completed", func() bool {
		got, err := p.transfers().GetTransfer(ctx, &transferv1.GetTransferRequest{Call: id})
		if state := got.GetTransfer().GetState(); state == transferv1.State_STATE_FAILED || state == transferv1.State_STATE_CANCELLED {
			p.t.Fatalf("the transfer: %s", got)
		}
		return err == nil && got.GetTransfer().GetState() == transferv1.State_STATE_COMPLETED
	})
	p.poll(ctx, "the end of the call", func() bool { return p.now(ctx, &phone) && phone.State == sim.Ended })
}

func (p *project) transfers() transferv1connect.TransferServiceClient {
	return transferv1connect.NewTransferServiceClient(http.DefaultClient, p.url("TRANSFER_PORT"), connect.WithInterceptors(auth.Bearer(p.key)))
}

func (p *project) control() controlv1connect.CallServiceClient {
	return controlv1connect.NewCallServiceClient(http.DefaultClient, p.url("CONTROL_PORT"), connect.WithInterceptors(auth.Bearer(p.key)))
}

// now looks at the call as it is by now.
func (p *project) now(ctx context.Context, phone *sim.Call) bool {
	return p.get(ctx, "/sim/calls/"+phone.ID, phone) == nil
}

// completed waits until the caller has hung up and the record says so.
func (p *project) completed(ctx context.Context, phone sim.Call) {
	p.t.Helper()
	p.poll(ctx, "the end of the call", func() bool { return p.now(ctx, &phone) && phone.State == sim.Ended })
	if phone.Legs != 1 || phone.Why != "hung-up" {
		p.t.Errorf("the caller had %d legs and ended because of %s", phone.Legs, phone.Why)
	}
	client := p.control()
	p.poll(ctx, "the call's end on the record", func() bool {
		got, err := client.GetCall(ctx, &controlv1.GetCallRequest{Id: bus.CallID(phone.CallDomain, phone.ID)})
		return err == nil && got.GetCall().GetOutcome() == callv1.Outcome_OUTCOME_COMPLETED
	})
}

func (p *project) poll(ctx context.Context, what string, is func() bool) {
	p.t.Helper()
	for !is() {
		select {
		case <-ctx.Done():
			p.t.Fatalf("waited in vain for %s", what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
