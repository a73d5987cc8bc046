// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/bot-scheduler/slots"
)

// The test's own program is the keeper, too.
func TestMain(m *testing.M) {
	RunIfAsked()
	os.Exit(m.Run())
}

const callID = "bbbbbbbbbbbbbbbbbbbbbbbbbb"

// bench is where keepers are tried.
type bench struct {
	t     *testing.T
	bus   *bus.Bus
	slots *slots.Slots
	spec  Spec
	dir   string // the bot's first argument
}

// tryBot has a shell script for a bot. It says what is to be seen in files of $0.
func tryBot(t *testing.T, script string) *bench {
	t.Helper()
	server := bustest.Start(t)
	js := server.Setup(bus.Needs{
		Service: "bot-scheduler", Events: []proto.Message{&callv1.RoomReady{}}, Buckets: []jetstream.KeyValueConfig{slots.Bucket},
	})
	store, err := slots.Open(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &bench{
		t: t, bus: bus.New("test", js, slog.New(slog.DiscardHandler), nil), slots: store, dir: dir,
		spec: Spec{
			NATS: config.NATS{URL: server.ClientURL()}, TTL: 6 * time.Second,
			Argv: []string{"sh", "-c", script, dir}, Env: []string{"PATH=" + os.Getenv("PATH")}, KillGrace: time.Second,
		},
	}
}

func (b *bench) start() *Process {
	b.t.Helper()
	self, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	p, err := Start(self, b.spec.Env, b.spec)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = p.Dismiss(); _ = syscall.Kill(p.PID, syscall.SIGKILL) })
	return p
}

func (b *bench) order(job string) Order {
	b.t.Helper()
	lease, err := b.slots.Take(b.t.Context(), slots.Key("agent", 0), slots.Holder{CallID: callID, Attempt: 1}, 5*time.Second)
	if err != nil {
		b.t.Fatal(err)
	}
	return Order{Lease: *lease, Job: []byte(job), Cause: "test"}
}

func (b *bench) exited() *callv1.BotExited {
	b.t.Helper()
	return bustest.Expect(b.t, b.bus, callID, "BotExited.1").Data.(*callv1.BotExited)
}

// file waits for a file of the bot's.
func (b *bench) file(name string) (text string) {
	b.t.Helper()
	await(b.t, name, func() bool {
		data, err := os.ReadFile(filepath.Join(b.dir, name))
		text = strings.TrimSpace(string(data))
		return err == nil && text != ""
	})
	return text
}

func gone(t *testing.T, p *Process) {
	t.Helper()
	select {
	case <-p.Exited:
	case <-time.After(20 * time.Second):
		t.Fatal("the keeper does not end")
	}
}

func TestAWarmBotGetsItsJobWhenThereIsOne(t *testing.T) {
	b := tryBot(t, `echo hello; echo '{"ready": true}'; echo more; cat > "$0/part"; mv "$0/part" "$0/job"; exit 7`)
	b.spec.Warm = true
	p := b.start()
	<-p.Ready
	if _, err := os.Stat(filepath.Join(b.dir, "job")); err == nil {
		t.Error("it had a job before there was one")
	}
	if err := p.Give(b.order(`{"room_url":"x"}`)); err != nil {
		t.Fatal(err)
	}
	if job := b.file("job"); job != `{"room_url":"x"}` {
		t.Errorf("the job was %s", job)
	}
	if e := b.exited(); e.GetStatus() != 7 {
		t.Errorf("exited: %v", e)
	}
	gone(t, p)
	if left, err := b.slots.Look(t.Context(), slots.Key("agent", 0)); err != nil || left != nil {
		t.Errorf("the slot is held: %v %v", left, err)
	}
}

// Who has started it has died, or drains: it has no slot, and nobody would ever give it a job.
func TestAWarmBotEndsWithWhoeverKeepsItWarm(t *testing.T) {
	for phrase, end := range map[string]func(*Process) error{
		"dismissed":    (*Process).Dismiss,
		"told to stop": func(p *Process) error { return syscall.Kill(p.PID, syscall.SIGTERM) },
		"killed":       func(p *Process) error { return syscall.Kill(p.PID, syscall.SIGKILL) },
		"half an order": func(p *Process) error {
			_, _ = p.orders.WriteString(`{"lease":`)
			return p.Dismiss()
		},
	} {
		t.Run(phrase, func(t *testing.T) {
			b := tryBot(t, `echo $$ > "$0/pid"; trap '' TERM; echo '{"ready":true}'; cat > /dev/null; exec sleep 600`)
			b.spec.Warm = true
			p := b.start()
			<-p.Ready
			pid := b.file("pid")
			if err := end(p); err != nil {
				t.Fatal(err)
			}
			gone(t, p)
			await(t, "the bot's end", func() bool { _, err := os.Stat("/proc/" + pid); return err != nil })
		})
	}
}

func TestAKeeperEndsWithTheWarmBotThatDies(t *testing.T) {
	b := tryBot(t, `echo '{"ready":true}'; exec sleep 0.1`)
	b.spec.Warm = true
	gone(t, b.start())
}

func TestABotHasNoMoreMemoryThanItMay(t *testing.T) {
	b := tryBot(t, `cat > /dev/null; ulimit -v > "$0/limit"`)
	b.spec.Memory = 512 << 20
	p := b.start()
	if err := p.Give(b.order("{}")); err != nil {
		t.Fatal(err)
	}
	if limit := b.file("limit"); limit != "524288" {
		t.Errorf("it may have %s KiB", limit)
	}
	gone(t, p)
}

// A bot that leaves in good order when its time is over has not ended its call.
func TestABotThatLivesForTooLongIsStoppedAndReplaced(t *testing.T) {
	b := tryBot(t, `trap 'exit 0' TERM; cat > /dev/null; while :; do sleep 0.05; done`)
	b.spec.MaxRuntime = 300 * time.Millisecond
	p := b.start()
	if err := p.Give(b.order("{}")); err != nil {
		t.Fatal(err)
	}
	if e := b.exited(); e.GetStatus() == 0 || !strings.Contains(e.GetReason(), "max_runtime") {
		t.Errorf("exited: %v", e)
	}
	gone(t, p)
}
