// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/storm"
)

// store puts NATS's files on a file system of their own: a world that has not been started yet keeps them there.
func (w *world) store() string { return filepath.Join(w.dir, "nats") }

// startOn starts a world whose NATS's files are on a file system of their own, with more settings of its JetStream.
func (w *world) startOn(mount []string, jetstream, more string) {
	w.T.Helper()
	w.mount(mount...)
	path := filepath.Join(w.dir, "nats.conf")
	text, err := os.ReadFile(path)
	if err != nil {
		w.T.Fatal(err)
	}
	w.write(path, strings.Replace(string(text), "sync_interval: always", "sync_interval: always"+jetstream, 1)+more)
	for _, p := range w.parts {
		p.start()
	}
	var port int
	if _, err := fmt.Sscanf(w.urls["nats"], "http://127.0.0.1:%d", &port); err != nil {
		w.T.Fatal(err)
	}
	w.connect(port)
	w.awaitReady()
}

// mount mounts a file system where NATS keeps its files, for as long as the test lasts.
func (w *world) mount(args ...string) {
	w.T.Helper()
	if os.Getuid() != 0 {
		w.T.Skip("only root may mount a file system")
	}
	if err := os.MkdirAll(w.store(), 0o700); err != nil {
		w.T.Fatal(err)
	}
	if text, err := exec.Command("mount", append(args, w.store())...).CombinedOutput(); err != nil {
		w.T.Skipf("mount %v: %v: %s", args, err, bytes.TrimSpace(text))
	}
	w.T.Cleanup(w.unmount)
}

func (w *world) unmount() {
	w.part("nats").kill(syscall.SIGKILL)
	if err := syscall.Unmount(w.store(), 0); err != nil && !errors.Is(err, syscall.EINVAL) { // which says that it is not mounted
		w.T.Errorf("unmount %s: %v", w.store(), err)
	}
}

// taken are the calls whose webhook has been answered 200.
func (w *world) taken() []sim.Call {
	return slices.DeleteFunc(w.Sim.Calls(), func(c sim.Call) bool {
		return !slices.ContainsFunc(c.Webhooks, func(d sim.Delivery) bool { return d.Status == http.StatusOK })
	})
}

// calling has somebody call again and again, until it is stopped.
func (w *world) calling(every time.Duration, spec sim.CallSpec) (stop func()) {
	ctx, cancel := context.WithCancel(w.T.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if _, err := w.Sim.PlaceCall(spec); err != nil {
				w.T.Error(err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(every):
			}
		}
	}()
	return func() { cancel(); <-done }
}

// With no room left on its disk NATS (2.15.2) acknowledges nothing. A stream that has met the error stays closed to
// writes until the server is started again, which /healthz tells: a supervisor that asks it is all that is needed.
// The limit of the store has to be given: without it a start on a full disk makes it nothing, and it stays so.
func TestAFullDiskLosesNothingThatWasTaken(t *testing.T) {
	w := watched(t, options{slots: 20, noStart: true, agent: "lease: 5s, kill_grace: 1s", sim: func(c *sim.Config) {
		c.DialinWebhookRetries, c.DialinWebhookBackoff = 100, sim.Duration(500*time.Millisecond)
		c.WebhookBackoff = sim.Duration(500 * time.Millisecond)
	}})
	monitor := storm.FreePort()
	w.startOn([]string{"-t", "tmpfs", "-o", "size=16m", "tmpfs"}, ", max_file_store: 1GB", fmt.Sprintf("http: 127.0.0.1:%d\n", monitor))
	restarts := w.superviseByHealth(fmt.Sprintf("http://127.0.0.1:%d/healthz", monitor))

	stop := w.calling(100*time.Millisecond, sim.CallSpec{From: "+14155550123", To: "+14155550100", Talk: sim.Duration(time.Second)})
	defer stop()
	w.Poll(storm.Soon, "somebody to be served", func() string {
		if w.Sim.Stats().Calls[sim.Ended] < 5 {
			return "nobody yet"
		}
		return ""
	})
	ballast := filepath.Join(w.store(), "ballast")
	fill(t, ballast)
	w.Poll(storm.Soon, "a webhook to be refused", func() string {
		for _, d := range w.Sim.Deliveries() {
			if d.Kind == "dialin" && d.Status == http.StatusServiceUnavailable {
				return ""
			}
		}
		return "none yet"
	})
	stop()
	before := len(w.taken())
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	room := time.Now()
	calls := w.Sim.Calls()
	for _, phone := range calls {
		w.Phone(phone, time.Minute, "served", func(c sim.Call) bool { return c.State == sim.Ended && c.ConnectedAt != nil })
	}
	t.Logf("%d callers, %d of them taken while there was room; NATS was started again %d times; all were served %.1f s after there was room",
		len(calls), before, restarts(), time.Since(room).Seconds())
	for _, phone := range w.taken() {
		if w.Expect(phone, "CallEnded"); w.State(phone).Received == nil {
			t.Errorf("call %s was taken and lost", w.ID(phone))
		}
	}
	w.cleared()
	if n := w.Count(&callv1.CallReceived{}); n != len(calls) {
		t.Errorf("%d calls on the record, of %d callers", n, len(calls))
	}
}

// fill leaves no room on a file's disk.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 64<<10))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// superviseByHealth starts NATS again when it says three times in a row that it is not well, as a liveness probe has it.
func (w *world) superviseByHealth(url string) (restarts func() int) {
	ctx, cancel := context.WithCancel(w.T.Context())
	n, done := 0, make(chan struct{})
	client := &http.Client{Timeout: 2 * time.Second}
	go func() {
		defer close(done)
		for ill := 0; ; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(500 * time.Millisecond):
			}
			res, err := client.Get(url)
			if err == nil {
				res.Body.Close()
			}
			if ill++; err == nil && res.StatusCode == http.StatusOK {
				ill = 0
			}
			if ill == 3 && ctx.Err() == nil {
				ill = 0
				n++
				w.part("nats").kill(syscall.SIGTERM)
				w.part("nats").start()
			}
		}
	}()
	w.T.Cleanup(func() { cancel(); <-done })
	return func() int { cancel(); <-done; return n }
}
