// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/guard"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
	"github.com/trunkline/trunkline/services/trunkline/storm"
)

// world is Trunkline as processes, and the simulator, which is the world outside and is never killed.
type world struct {
	*storm.World
	dir   string
	parts []*process // NATS first
	urls  map[string]string
}

// options are what a test changes about its world.
type options struct {
	slots   int
	flags   string // of the simulated bots
	sim     func(*sim.Config)
	agent   string // more of the agent in trunkline.yaml, such as "lease: 3s"
	budget  string // of daily, such as "dials_per_5s: 10"; none is kept where it is empty
	daily   string // more of daily, such as ", janitor_interval: 5m"
	policy  string // more of policy, such as ", per_second: 5"
	dialout string // of dialout, such as "ring_timeout: 2s"
	more    string // of trunkline.yaml, such as "drain: 10s"
	broken  guard.Guard
	mortal  bool // parts may be told where to die
	noStart bool
}

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	w := &world{
		World: &storm.World{T: t, Slots: o.slots, Patience: time.Minute},
		dir:   t.TempDir(), urls: map[string]string{},
	}
	w.Processes = func() int { return processes(w.dir) }
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the logs are in %s", w.logs())
		}
	})
	ports := map[string]int{}
	doors := []string{"nats", "sim", "ingress", "gateway", "control", "transfer"}
	for _, s := range stack.Services() {
		doors = append(doors, "admin-"+s.Name)
	}
	for _, name := range doors {
		ports[name] = storm.FreePort()
		w.urls[name] = fmt.Sprintf("http://127.0.0.1:%d", ports[name])
	}
	w.StartDaily(fmt.Sprintf("127.0.0.1:%d", ports["sim"]), w.urls["sim"], w.urls["ingress"], o.sim)

	bin := binaries(t)
	binary := bin + "/trunkline"
	if o.broken != "" || o.mortal {
		binary = bin + "/breakable"
	}
	conf := filepath.Join(w.dir, "nats.conf")
	public, keys, err := stack.NewNKeys()
	if err != nil {
		t.Fatal(err)
	}
	w.write(conf, fmt.Sprintf("listen: 127.0.0.1:%d\njetstream { store_dir: %q, sync_interval: always }\n", ports["nats"], filepath.Join(w.dir, "nats"))+
		stack.DeveloperConf(public))
	w.parts = append(w.parts, newProcess(t, w.dir, "nats", nil, bin+"/nats-server", "-c", conf))
	env := []string{
		"DAILY_API_KEY=" + storm.APIKey, "DAILY_PINLESS_HMAC=" + storm.PinlessHMAC, "DAILY_WEBHOOK_HMAC=" + storm.WebhookHMAC,
		"TRUNKLINE_SECRET=the-secret-of-the-kill-test", fmt.Sprintf("NATS_URL=nats://127.0.0.1:%d", ports["nats"]),
		"TRUNKLINE_BREAK=" + string(o.broken),
	}
	for _, s := range stack.Services() {
		path := filepath.Join(w.dir, s.Name+".yaml")
		w.write(path, fmt.Sprintf(`
public_url: %s
listen: {ingress: "127.0.0.1:%d", gateway: "127.0.0.1:%d", control: "127.0.0.1:%d", transfer: "127.0.0.1:%d", admin: "127.0.0.1:%d"}
daily: {api_url: %s/v1, budget: {%s}%s}
agents:
  agent: {command: ["{{.Self}}", sim, bot%s], slots: %d, env: {%s: %q}, %s}
routes: [{default: true, agent: agent, answer_budget: 150s}]
policy: {countries: [US], per_number: {calls: 0}%s}
dialout: {%s}
%s
`, w.urls["ingress"], ports["ingress"], ports["gateway"], ports["control"], ports["transfer"], ports["admin-"+s.Name], w.urls["sim"], cmp.Or(o.budget, "unlimited: true"), o.daily, o.flags, o.slots, ofWorld, w.dir, o.agent, o.policy, o.dialout, o.more))
		w.parts = append(w.parts, newProcess(t, w.dir, s.Name, append(slices.Clone(env), "NATS_NKEY="+keys[s.Name].Reveal()), binary, "serve", s.Name, "-c", path))
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

func (w *world) connect(port int) {
	w.T.Helper()
	w.Connect(fmt.Sprintf("nats://127.0.0.1:%d", port), 1)
}

func (w *world) awaitReady() {
	w.T.Helper()
	w.Poll(time.Minute, "the services", func() string {
		for _, p := range w.parts {
			if !p.alive() {
				w.T.Fatalf("%s has ended:\n%s", p.name, w.logged(p.name))
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
		if state := w.Sim.Stats().Webhook; state != "ACTIVE" {
			return "the domain webhook: " + state
		}
		return ""
	})
}

// part gives a part by its name.
func (w *world) part(name string) *process {
	for _, p := range w.parts {
		if p.name == name {
			return p
		}
	}
	w.T.Fatalf("there is no %s", name)
	return nil
}

func (w *world) write(path, text string) {
	w.T.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.T.Fatal(err)
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
