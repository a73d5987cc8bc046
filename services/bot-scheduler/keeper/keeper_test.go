// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
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

// A server that goes without a word neither refuses nor answers. While another one lives, the bot goes on; when none
// does, the bot is gone before its lease is.
func TestABotOutlivesASilentServerAndNotItsLease(t *testing.T) {
	const ttl = 6 * time.Second
	server := bustest.Start(t)
	js := server.Setup(bus.Needs{
		Service: "bot-scheduler", Events: []proto.Message{&callv1.RoomReady{}}, Buckets: []jetstream.KeyValueConfig{slots.Bucket},
	})
	doors := []*door{newDoor(t, server.Addr().String()), newDoor(t, server.Addr().String())}
	store, err := slots.Open(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	const callID = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
	lease, err := store.Take(t.Context(), slots.Key("agent", 0), slots.Holder{CallID: callID, Attempt: 1}, ttl)
	if err != nil {
		t.Fatal(err)
	}
	alive := filepath.Join(t.TempDir(), "alive")
	spec := Spec{
		NATS: config.NATS{URL: "nats://" + doors[0].addr() + ",nats://" + doors[1].addr()}, TTL: ttl,
		Argv: []string{"sh", "-c", `while :; do touch "$0"; sleep 0.05; done`, alive}, Env: []string{"PATH=" + os.Getenv("PATH")},
		KillGrace: time.Second,
	}
	ran := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the bot is tied to the thread that starts it
		ran <- run(spec, visitor{order: func() (Order, error) { return Order{Lease: *lease, Cause: "test"}, nil }}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	}()
	seen := func() time.Time {
		info, err := os.Stat(alive)
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	await(t, "the bot", func() bool { return !seen().IsZero() })

	used := doors[0]
	if !used.open() {
		used = doors[1]
	}
	used.freeze()
	frozen := time.Now()
	await(t, "the lease to be renewed by another server", func() bool {
		now, err := store.KV.Get(t.Context(), lease.Key)
		return err == nil && now.Created().After(frozen.Add(ttl))
	})
	if time.Since(seen()) > time.Second {
		t.Fatalf("the bot has been gone for %s", time.Since(seen()))
	}

	for _, d := range doors {
		d.freeze()
	}
	renewed, err := store.KV.Get(t.Context(), lease.Key)
	if err != nil {
		t.Fatal(err)
	}
	ends := renewed.Created().Add(ttl)
	await(t, "the lease to end", func() bool { return time.Now().After(ends) })
	if last := seen(); !last.Before(ends.Add(-killMargin / 2)) {
		t.Errorf("the bot lived until %s before its lease ran out", ends.Sub(last))
	}
	await(t, "the slot to come free", func() bool {
		now, err := store.Look(t.Context(), lease.Key)
		return err == nil && now == nil
	})
	for _, d := range doors {
		d.thaw()
	}
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	exited, ok := bustest.Expect(t, bus.New("test", js, slog.New(slog.DiscardHandler), nil), callID, "BotExited.1").Data.(*callv1.BotExited)
	if !ok || !strings.Contains(exited.GetReason(), "could not be renewed") {
		t.Errorf("exited: %v", exited)
	}
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// door is a way to a server that can be frozen: then it takes connections and passes nothing on.
type door struct {
	net.Listener
	to string

	mu     sync.Mutex
	conns  int
	frozen chan struct{} // closed when it is thawed; nil while it is not frozen
}

func newDoor(t *testing.T, to string) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens at once or not at all
	if err != nil {
		t.Fatal(err)
	}
	d := &door{Listener: l, to: to}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go d.serve(conn)
		}
	}()
	return d
}

func (d *door) addr() string { return d.Addr().String() }

func (d *door) serve(client net.Conn) {
	defer client.Close()
	d.pass()
	server, err := net.Dial("tcp", d.to) //nolint:noctx // it is this process
	if err != nil {
		return
	}
	defer server.Close()
	d.count(1)
	defer d.count(-1)
	var both sync.WaitGroup
	both.Go(func() { d.relay(server, client) })
	both.Go(func() { d.relay(client, server) })
	both.Wait()
}

func (d *door) relay(to io.WriteCloser, from io.Reader) {
	defer to.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		d.pass()
		if err != nil {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// pass waits until the door is not frozen.
func (d *door) pass() {
	d.mu.Lock()
	frozen := d.frozen
	d.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
}

func (d *door) count(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns += n
}

func (d *door) open() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.conns > 0
}

func (d *door) freeze() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.frozen == nil {
		d.frozen = make(chan struct{})
	}
}

func (d *door) thaw() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.frozen != nil {
		close(d.frozen)
		d.frozen = nil
	}
}
