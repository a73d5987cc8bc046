// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// never is a service that must not come to serve.
func never(t *testing.T, name string, secrets ...string) app.Service {
	return app.Service{Name: name, Secrets: secrets, Serve: func(context.Context, *app.Env) error {
		t.Errorf("%s was started", name)
		return nil
	}}
}

func TestUnsignedWebhooksAreForDevelopmentAlone(t *testing.T) {
	o := app.Options{Config: config.Default(), Log: slog.New(slog.DiscardHandler), UnsignedWebhooks: true}
	if err := app.Run(t.Context(), o, never(t, "ingress")); err == nil || !strings.Contains(err.Error(), "DAILY_PINLESS_HMAC") {
		t.Errorf("outside of development: %v", err)
	}
}

func TestEverySecretThatIsMissingIsNamedAtOnce(t *testing.T) {
	o := app.Options{Config: config.Default(), Log: slog.New(slog.DiscardHandler)}
	err := app.Run(t.Context(), o, never(t, "a", config.EnvDailyAPIKey), never(t, "b", config.EnvTrunklineSecret, config.EnvDailyAPIKey))
	for _, text := range []string{"a: DAILY_API_KEY is not set", "b: TRUNKLINE_SECRET is not set"} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want %q", err, text)
		}
	}
}

func TestServicesStopTogether(t *testing.T) {
	url := bustest.Start(t)
	url.Setup()
	healthy, started := idle("healthy")
	fail := make(chan struct{})
	failing := app.Service{Name: "failing", Serve: func(context.Context, *app.Env) error {
		<-fail
		return errors.New("the disk is full")
	}}
	p := run(t, url.ClientURL(), nil, healthy, failing)
	<-started
	close(fail)
	<-p.done
	if p.err == nil || p.err.Error() != "failing: the disk is full" {
		t.Errorf("got %v", p.err)
	}
	if status, _ := p.get(p.admin + "/healthz"); status != 0 {
		t.Errorf("the admin server answers %d", status)
	}
}

func TestAProcessSaysHowItIsUntilItsLastServiceHasStopped(t *testing.T) {
	url := bustest.Start(t)
	url.Setup()
	started, finish := make(chan struct{}), make(chan struct{})
	draining := app.Service{Name: "draining", Serve: func(ctx context.Context, env *app.Env) error {
		env.Ready.Yes()
		close(started)
		<-ctx.Done()
		env.Ready.No("draining")
		<-finish
		return nil
	}}
	p := run(t, url.ClientURL(), nil, draining)
	<-started
	admin := strings.TrimPrefix(p.admin, "http://")
	if err := app.Health(t.Context(), configFile(t), admin); err != nil {
		t.Errorf("while it serves: %v", err)
	}
	p.end()
	eventually(t, "it says that it drains", func() bool {
		err := app.Health(t.Context(), configFile(t), admin)
		return err != nil && strings.Contains(err.Error(), "draining")
	})
	close(finish)
	if err := p.stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	if err := app.Health(t.Context(), configFile(t), admin); err == nil {
		t.Error("well, and gone")
	}
}

func TestTheEnvironmentGoesBeforeTheFile(t *testing.T) {
	path := configFile(t)
	t.Setenv("NATS_URL", "nats://elsewhere:4222")
	t.Setenv("NATS_REPLICAS", "3")
	if o, err := app.Load(path); err != nil || o.Config.NATS.URL != "nats://elsewhere:4222" || o.Config.NATS.Replicas != 3 {
		t.Errorf("%+v, %v", o.Config, err)
	}
	t.Setenv("NATS_REPLICAS", "2")
	if _, err := app.Load(path); err == nil || !strings.Contains(err.Error(), "NATS_REPLICAS") {
		t.Errorf("two replicas: %v", err)
	}
}

func configFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trunkline.yaml")
	if err := os.WriteFile(path, []byte("agents: {a: {command: [bot]}}\nroutes: [{default: true, agent: a}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAServiceWaitsForTheBrokerAndForSetup(t *testing.T) {
	dir := t.TempDir()
	server := bustest.StartAt(t, dir, -1)
	needs := bus.Needs{Service: "room-provisioner", Events: []proto.Message{&callv1.CallReceived{}}}
	s, started := idle(needs.Service)
	s.Needs = needs
	p := run(t, server.ClientURL(), nil, s)
	eventually(t, "health is told", func() bool { status, _ := p.get(p.admin + "/healthz"); return status == 200 })
	select {
	case <-started:
		t.Fatal("started without what it needs")
	default:
	}
	server.Setup(needs)
	if env := <-started; env.Bus.Service != needs.Service || env.Dev || env.UnsignedWebhooks {
		t.Errorf("the environment: %+v", env)
	}
	if err := p.stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
}

func TestAServiceThatIsStoppedBeforeItStartedIsNoError(t *testing.T) {
	p := run(t, "nats://127.0.0.1:1", nil, never(t, "ingress"))
	eventually(t, "health is told", func() bool { status, _ := p.get(p.admin + "/healthz"); return status == 200 })
	if status, body := p.get(p.admin + "/readyz"); status != 503 || !strings.Contains(body, `"ingress":"starting"`) {
		t.Errorf("readiness without a broker: %d %s", status, body)
	}
	_ = p.stop()
}
