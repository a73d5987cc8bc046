// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/services/bot-scheduler/keeper"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/daily-sim/simbot"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// The test's own program is also the keeper and the simulated bot, as the one binary is.
func TestMain(m *testing.M) {
	keeper.RunIfAsked()
	if len(os.Args) > 2 && os.Args[1] == "sim" && os.Args[2] == "bot" {
		os.Exit(simbot.Main(context.Background(), os.Stdin, os.Args[3:]))
	}
	os.Exit(m.Run())
}

const (
	patience = 60 * time.Second
	called   = "+14155550100"
	caller   = "+14155550123"
)

// world is a running Trunkline with the simulator, and what it has logged.
type world struct {
	*stack.Stack
	t    *testing.T
	bus  *bus.Bus
	logs *buffer
	end  func() // once; the test's end does it too
}

// bot is an agent of simulated bots that behave as the flags say.
func bot(slots int, flags ...string) config.Agent {
	a := config.DefaultAgent()
	a.Command, a.Slots = append([]string{"{{.Self}}", "sim", "bot"}, flags...), slots
	a.Linger, a.KillGrace = 500*time.Millisecond, 500*time.Millisecond
	return a
}

// start runs a Trunkline whose every number leads to one agent.
func start(t *testing.T, agent config.Agent, change ...func(*stack.Options)) *world {
	t.Helper()
	cfg := config.Default()
	agent.Name = "agent"
	route := config.DefaultRoute()
	route.Default, route.Agent = true, "agent"
	cfg.Agents, cfg.Routes = map[string]config.Agent{"agent": agent}, []config.Route{route}
	cfg.Log.Level = slog.LevelDebug
	cfg.Daily.Budget.Unlimited = true
	stack.FreePorts(cfg)
	w := &world{t: t, logs: &buffer{}}
	o := stack.Options{Dir: t.TempDir(), Config: cfg, Log: app.NewLog(w.logs, cfg.Log), Sim: func(s *sim.Config) { s.Budgets.Lifted = true }}
	for _, f := range change {
		f(&o)
	}
	var err error
	if w.Stack, err = stack.Start(t.Context(), o); err != nil {
		t.Fatalf("%v\n%s", err, w.logs)
	}
	w.end = sync.OnceFunc(func() {
		if err := w.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if t.Failed() {
			t.Logf("the services' logs:\n%s", w.logs)
		}
	})
	t.Cleanup(w.end)
	w.bus = bus.New("test", w.JS, slog.New(slog.DiscardHandler), nil)
	return w
}

func withSim(f func(*sim.Config)) func(*stack.Options) {
	return func(o *stack.Options) {
		before := o.Sim
		o.Sim = func(c *sim.Config) {
			before(c)
			f(c)
		}
	}
}

func withRoute(f func(*config.Route)) func(*stack.Options) {
	return func(o *stack.Options) { f(&o.Config.Routes[0]) }
}

// place has a phone call.
func (w *world) place(spec sim.CallSpec) sim.Call {
	w.t.Helper()
	if spec.To == "" {
		spec.To = called
	}
	phone, err := w.Sim.PlaceCall(spec)
	if err != nil {
		w.t.Fatal(err)
	}
	return phone
}

// until waits until the phone call is as wanted.
func (w *world) until(phone sim.Call, what string, is func(sim.Call) bool) sim.Call {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	now, err := w.Sim.WaitForCall(ctx, phone.ID, is)
	if err != nil {
		w.t.Fatalf("call %s: wanted %s, is %+v\n%s", w.id(phone), what, now, w.told(phone))
	}
	return now
}

func (w *world) connected(phone sim.Call) sim.Call {
	w.t.Helper()
	return w.until(phone, "connected", func(c sim.Call) bool { return c.State == sim.Connected || c.State == sim.Ended })
}

func (w *world) ended(phone sim.Call) sim.Call {
	w.t.Helper()
	return w.until(phone, "ended", func(c sim.Call) bool { return c.State == sim.Ended })
}

// wait waits until what happens at the simulator is as wanted.
func (w *world) wait(what string, is func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := w.Sim.WaitFor(ctx, is); err != nil {
		w.t.Fatalf("waited for %s: %v", what, err)
	}
}

func (w *world) id(phone sim.Call) string { return bus.CallID(phone.CallDomain, phone.ID) }

// expect waits for an event of the call.
func (w *world) expect(phone sim.Call, key string) *bus.Event {
	w.t.Helper()
	return bustest.Expect(w.t, w.bus, w.id(phone), key)
}

// cleared waits until the call is over and nothing of it is left, and gives what its story says.
func (w *world) cleared(phone sim.Call) *call.State {
	w.t.Helper()
	w.expect(phone, "CallEnded")
	w.expect(phone, "RoomReleased")
	s := w.state(phone)
	for _, a := range s.Attempts {
		if a.Starting != nil {
			w.expect(phone, "BotExited."+string('0'+rune(a.N)))
		}
	}
	return w.state(phone)
}

func (w *world) state(phone sim.Call) *call.State {
	w.t.Helper()
	story, err := w.bus.Story(w.t.Context(), w.id(phone))
	if err != nil {
		w.t.Fatal(err)
	}
	return call.Read(story)
}

// told is the call's story for a failed test.
func (w *world) told(phone sim.Call) string {
	story, err := w.bus.Story(w.t.Context(), w.id(phone))
	if err != nil {
		return err.Error()
	}
	text := ""
	for _, e := range story.Events {
		text += e.Time.Format("05.000 ") + e.Key() + "\n"
	}
	return text
}

// idle waits until no bot runs and no slot is held.
func (w *world) idle() {
	w.t.Helper()
	deadline := time.After(patience)
	for {
		left := map[string]int{"bots in rooms": w.Sim.Stats().Bots.Live}
		for _, bucket := range []string{"slots", "jobs"} {
			kv, err := w.JS.KeyValue(w.t.Context(), bucket)
			if err != nil {
				w.t.Fatal(err)
			}
			keys, err := kv.ListKeys(w.t.Context())
			if err != nil {
				w.t.Fatal(err)
			}
			for range keys.Keys() {
				left[bucket]++
			}
		}
		if left["bots in rooms"]+left["slots"]+left["jobs"] == 0 {
			return
		}
		select {
		case <-deadline:
			w.t.Fatalf("still there: %v", left)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// buffer is a log that a test can read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
