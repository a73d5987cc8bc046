// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/storm"
)

// What a disk holds when the power goes is what was written through to it by then: the image behind a loop device,
// copied while all goes on. NATS and the services start again on the copy; the world outside has not stopped.
func TestAPowerCutLosesNothingThatWasTaken(t *testing.T) {
	w := watched(t, options{slots: 20, noStart: true, agent: "lease: 5s, kill_grace: 1s", sim: func(c *sim.Config) {
		c.DialinWebhookRetries, c.DialinWebhookBackoff = 100, sim.Duration(500*time.Millisecond)
	}})
	image, copied := filepath.Join(w.dir, "disk"), filepath.Join(w.dir, "copied")
	makeDisk(t, image)
	w.startOn([]string{"-o", "loop", image}, "", "")

	spec := sim.CallSpec{From: "+14155550123", To: "+14155550100", Hold: sim.Duration(time.Minute), Talk: sim.Duration(500 * time.Millisecond)}
	stop := w.calling(25*time.Millisecond, spec)
	defer stop()
	w.Poll(storm.Soon, "enough people to call", func() string {
		if len(w.taken()) < 100 || w.Sim.Stats().Calls[sim.Ended] < 10 {
			return "not yet"
		}
		return ""
	})
	taken := w.taken()
	if text, err := exec.Command("cp", image, copied).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for _, p := range w.parts {
		p.kill(syscall.SIGKILL)
	}
	killBots(w.dir)
	stop()
	t.Logf("%d calls were taken before the power cut, %d in all", len(taken), len(w.taken()))

	w.unmount()
	w.mount("-o", "loop", copied)
	for _, p := range w.parts {
		p.start()
	}
	w.awaitReady()
	for _, phone := range taken {
		if w.State(phone).Received == nil {
			t.Errorf("call %s was taken and lost", w.ID(phone))
		}
	}
	held := 0
	for _, phone := range taken { // who holds on is served
		if now, _ := w.Sim.Call(phone.ID); now.State == sim.Holding {
			held++
			w.Phone(phone, time.Minute, "served", func(c sim.Call) bool { return c.ConnectedAt != nil })
		}
	}
	t.Logf("%d of them still held, and were served", held)
	w.HangUp(w.Connected(w.Place(sim.CallSpec{})))
}

// makeDisk makes a disk image with a file system, or skips.
func makeDisk(t *testing.T, path string) {
	t.Helper()
	if devices, err := filepath.Glob("/dev/loop*"); err != nil || len(devices) == 0 {
		t.Skip("there is no loop device")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 64<<20); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.Command("mkfs.ext4", "-q", path).CombinedOutput(); err != nil {
		t.Skipf("mkfs.ext4: %v: %s", err, text)
	}
}
