// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/guard"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

const (
	apiKey      = "an-account-key-of-the-simulator"
	pinlessHMAC = "cGlubGVzcyBobWFjIG9mIHRoZSB0ZXN0"
	webhookHMAC = "d2ViaG9vayBobWFjIG9mIHRoZSB0ZXN0"
)

// world is Trunkline as processes, and the simulator, which is the world outside and is never killed.
type world struct {
	t     *testing.T
	slots int
	// patience is how long calls may take to be over on the record and cleared up.
	patience time.Duration
	dir      string
	parts    []*process // NATS first
	sim      *sim.Sim
	js       jetstream.JetStream
	bus      *bus.Bus
	urls     map[string]string
}

// options are what a test changes about its world.
type options struct {
	slots   int
	flags   string // of the simulated bots
	sim     func(*sim.Config)
	agent   string // more of the agent in trunkline.yaml, such as "lease: 3s"
	daily   string // more of daily, such as ", janitor_interval: 5m"
	broken  guard.Guard
	noStart bool
}

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	w := &world{t: t, slots: o.slots, patience: time.Minute, dir: t.TempDir(), urls: map[string]string{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the logs are in %s", w.logs())
		}
	})
	ports := map[string]int{}
	for _, name := range []string{"nats", "sim", "ingress", "gateway", "control", "admin-ingress", "admin-room-provisioner", "admin-bot-scheduler", "admin-call-control"} {
		ports[name] = freePort(t)
		w.urls[name] = fmt.Sprintf("http://127.0.0.1:%d", ports[name])
	}
	w.startSim(o, ports["sim"])

	bin := binaries(t)
	binary := bin + "/trunkline"
	if o.broken != "" {
		binary = bin + "/breakable"
	}
	conf := filepath.Join(w.dir, "nats.conf")
	w.write(conf, fmt.Sprintf("listen: 127.0.0.1:%d\njetstream { store_dir: %q, sync_interval: always }\n", ports["nats"], filepath.Join(w.dir, "nats")))
	w.parts = append(w.parts, newProcess(t, w.dir, "nats", nil, bin+"/nats-server", "-c", conf))
	env := []string{
		"DAILY_API_KEY=" + apiKey, "DAILY_PINLESS_HMAC=" + pinlessHMAC, "DAILY_WEBHOOK_HMAC=" + webhookHMAC,
		"TRUNKLINE_SECRET=the-secret-of-the-kill-test", fmt.Sprintf("NATS_URL=nats://127.0.0.1:%d", ports["nats"]),
		"TRUNKLINE_BREAK=" + string(o.broken),
	}
	for _, s := range stack.Services() {
		path := filepath.Join(w.dir, s.Name+".yaml")
		w.write(path, fmt.Sprintf(`
public_url: %s
listen: {ingress: "127.0.0.1:%d", gateway: "127.0.0.1:%d", control: "127.0.0.1:%d", admin: "127.0.0.1:%d"}
daily: {api_url: %s/v1, budget: {unlimited: true}%s}
agents:
  agent: {command: ["{{.Self}}", sim, bot%s], slots: %d, %s}
routes: [{default: true, agent: agent, answer_budget: 150s}]
`, w.urls["ingress"], ports["ingress"], ports["gateway"], ports["control"], ports["admin-"+s.Name], w.urls["sim"], o.daily, o.flags, o.slots, o.agent))
		w.parts = append(w.parts, newProcess(t, w.dir, s.Name, env, binary, "serve", s.Name, "-c", path))
	}
	if o.noStart {
		return w
	}
	for _, p := range w.parts {
		p.start()
	}
	w.connect(ports["nats"])
	w.awaitReady()
	return w
}

func (w *world) startSim(o options, port int) {
	cfg := sim.Defaults()
	cfg.APIKey, cfg.PublicURL, cfg.Budgets.Lifted = apiKey, w.urls["sim"]+"/daily", true
	cfg.Numbers = []sim.Number{{Number: "*", WebhookURL: w.urls["ingress"] + "/daily-dialin-webhook", HMAC: pinlessHMAC}}
	if o.sim != nil {
		o.sim(&cfg)
	}
	w.sim = sim.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		w.t.Fatal(err)
	}
	server := &http.Server{Handler: w.sim.Handler()}
	ran := make(chan error, 1)
	go func() { ran <- w.sim.Run(ctx) }()
	go func() { _ = server.Serve(l) }() // ends with Close
	w.t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			w.t.Error(err)
		}
		server.Close()
	})
}

func (w *world) connect(port int) {
	w.t.Helper()
	nc, err := nats.Connect(fmt.Sprintf("nats://127.0.0.1:%d", port), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	if w.js, err = jetstream.New(nc); err != nil {
		w.t.Fatal(err)
	}
	for !nc.IsConnected() {
		time.Sleep(10 * time.Millisecond)
	}
	if err := bus.Setup(w.t.Context(), w.js, bus.Settings{Replicas: 1, MaxAge: 24 * time.Hour}, func(string) {}, stack.Needs()...); err != nil {
		w.t.Fatal(err)
	}
	w.bus = bus.New("test", w.js, slog.New(slog.DiscardHandler), nil)
}

func (w *world) awaitReady() {
	w.t.Helper()
	w.poll(time.Minute, "the services", func() string {
		for _, p := range w.parts {
			if !p.alive() {
				w.t.Fatalf("%s has ended:\n%s", p.name, w.logged(p.name))
			}
		}
		for name, url := range w.urls {
			if !strings.HasPrefix(name, "admin-") {
				continue
			}
			res, err := http.Get(url + "/readyz")
			if err != nil {
				return name + ": " + err.Error()
			}
			res.Body.Close()
			if res.StatusCode != http.StatusOK {
				return name + ": " + res.Status
			}
		}
		if state := w.sim.Stats().Webhook; state != "ACTIVE" {
			return "the domain webhook: " + state
		}
		return ""
	})
}

// poll waits until nothing is missing any more.
func (w *world) poll(patience time.Duration, what string, missing func() string) {
	w.t.Helper()
	if left := w.await(patience, missing); left != "" {
		w.t.Fatalf("waited in vain for %s: %s", what, left)
	}
}

// await waits until nothing is missing any more, and gives what still is.
func (w *world) await(patience time.Duration, missing func() string) string {
	deadline := time.Now().Add(patience)
	for {
		left := missing()
		if left == "" || time.Now().After(deadline) || w.t.Context().Err() != nil {
			return left
		}
		select {
		case <-w.t.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// part gives a part by its name.
func (w *world) part(name string) *process {
	for _, p := range w.parts {
		if p.name == name {
			return p
		}
	}
	w.t.Fatalf("there is no %s", name)
	return nil
}

func (w *world) write(path, text string) {
	w.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// logs keeps what the parts have logged, for a failed test.
func (w *world) logs() string {
	keep := filepath.Join(os.TempDir(), "trunkline-kill-logs")
	if err := os.RemoveAll(keep); err != nil {
		return err.Error()
	}
	if err := os.CopyFS(keep, os.DirFS(w.dir)); err != nil {
		return err.Error()
	}
	return keep
}

var built string

// binaries builds NATS and Trunkline, once for all tests, and gives the folder.
func binaries(t *testing.T) string {
	t.Helper()
	if built != "" {
		return built
	}
	dir, err := os.MkdirTemp("", "trunkline-kill-") //nolint:usetesting // all tests share it
	if err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"nats-server": {"github.com/nats-io/nats-server/v2"},
		"trunkline":   {"github.com/trunkline/trunkline/services/trunkline"},
		"breakable":   {"-tags", "breakable", "github.com/trunkline/trunkline/services/trunkline"},
	} {
		if text, err := exec.Command("go", append([]string{"build", "-o", filepath.Join(dir, name)}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, text)
		}
	}
	built = dir
	return dir
}

// freePort finds a port that nobody listens on, below those that the system gives to outgoing connections: one of these
// could take it before its part does.
func freePort(t *testing.T) int {
	t.Helper()
	for {
		port := 15000 + rand.Intn(15000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		l.Close()
		if _, given := portsGiven.LoadOrStore(port, true); !given {
			return port
		}
	}
}

// portsGiven are those that another part has been given.
var portsGiven sync.Map
