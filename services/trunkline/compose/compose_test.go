// SPDX-License-Identifier: Apache-2.0

// Package compose tests what `docker compose up` starts.
package compose

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/bus"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

// required is set where the test must not be left out, as in CI.
const required = "TRUNKLINE_COMPOSE"

// project is a compose project of the test's own, on ports of its own.
type project struct {
	t     *testing.T
	name  string
	ports map[string]string
}

func TestComposeStartsATrunklineThatTakesACall(t *testing.T) {
	if err := engine(t.Context()); err != nil {
		if os.Getenv(required) != "" {
			t.Fatal(err)
		}
		t.Skip("left out: ", err)
	}
	p := &project{t: t, name: fmt.Sprintf("trunkline-test-%d", os.Getpid()), ports: map[string]string{}}
	for _, name := range []string{"INGRESS_PORT", "CONTROL_PORT", "SIM_PORT"} {
		p.ports[name] = freePort(t)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.compose("logs", "--no-color"))
		}
		p.compose("down", "--volumes", "--timeout", "5")
	})
	p.must("up", "--detach", "--build", "--quiet-pull")

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stats sim.Stats
	p.poll(ctx, "the domain webhook", func() bool {
		return p.get(ctx, "/sim/stats", &stats) == nil && stats.Webhook == "ACTIVE"
	})
	// The curl line of the README.
	res, err := http.Post(p.url("SIM_PORT")+"/sim/calls", "application/x-www-form-urlencoded",
		strings.NewReader(`{"from":"+14155550123","to":"+14155550100","talk":"1s"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var phone sim.Call
	if err := json.NewDecoder(res.Body).Decode(&phone); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("place a call: %s, %v", res.Status, err)
	}
	p.poll(ctx, "the end of the call", func() bool {
		return p.get(ctx, "/sim/calls/"+phone.ID, &phone) == nil && phone.State == sim.Ended
	})
	if phone.Legs != 1 || phone.Why != "hung-up" {
		t.Errorf("the caller had %d legs and ended because of %s", phone.Legs, phone.Why)
	}
	client := controlv1connect.NewCallServiceClient(http.DefaultClient, p.url("CONTROL_PORT"))
	p.poll(ctx, "the call's end on the record", func() bool {
		got, err := client.GetCall(ctx, &controlv1.GetCallRequest{Id: bus.CallID(phone.CallDomain, phone.ID)})
		return err == nil && got.GetCall().GetOutcome() == callv1.Outcome_OUTCOME_COMPLETED
	})
}

// engine reports why there is no Docker engine with compose here, or nil.
func engine(ctx context.Context) error {
	for _, args := range [][]string{{"info"}, {"compose", "version"}} {
		if out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
		}
	}
	return nil
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
	root, err := filepath.Abs("../../..")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("docker", append([]string{"compose", "--project-name", p.name, "--project-directory", root, "--file", filepath.Join(root, "docker-compose.yml")}, args...)...)
	cmd.Env = os.Environ()
	for name, port := range p.ports {
		cmd.Env = append(cmd.Env, name+"="+port)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (p *project) url(port string) string { return "http://127.0.0.1:" + p.ports[port] }

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

// freePort finds a port that nobody listens on, below those that the system gives to outgoing connections.
func freePort(t *testing.T) string {
	t.Helper()
	for {
		port := strconv.Itoa(15000 + rand.Intn(15000))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err == nil {
			l.Close()
			return port
		}
	}
}
