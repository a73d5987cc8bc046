// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

// warmBots are agents of bots that write down in files who they are and which job they got, and wait.
func warmBots(t *testing.T, warm int) (agent config.Agent, dir string) {
	dir = t.TempDir()
	agent = bot(8)
	agent.Command = []string{"/bin/sh", "-c", `
		echo "$TRUNKLINE_WARM" > "$0/part-$$"; mv "$0/part-$$" "$0/began-$$"
		[ -z "$TRUNKLINE_WARM" ] || echo '{"ready":true}'
		cat > "$0/part-$$"; [ -s "$0/part-$$" ] || exit; mv "$0/part-$$" "$0/job-$$"; exec sleep 600`, dir}
	agent.Warm, agent.ReadyTimeout = warm, time.Minute
	return agent, dir
}

// pids gives the processes of which there is such a file.
func pids(t *testing.T, dir, what string) (all []int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, what+"-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(f), what+"-"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pid)
	}
	return all
}

// poll waits until something outside of the simulator is as wanted.
func (w *world) poll(what string, is func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited for %s", what)
		}
	}
}

// warm waits until so many bots wait for a job.
func (w *world) warm(n int) {
	w.t.Helper()
	w.poll(fmt.Sprintf("%d warm bots", n), func() bool {
		res, err := http.Get(w.URLs["admin"] + "/metrics")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		return err == nil && strings.Contains(string(text), fmt.Sprintf("trunkline_bots_warm{agent=\"agent\"} %d\n", n))
	})
}

func TestACallGetsABotThatWasThereBefore(t *testing.T) {
	agent, dir := warmBots(t, 2)
	w := start(t, agent)
	w.warm(2)
	before := pids(t, dir, "began")
	first := w.place(sim.CallSpec{From: caller})
	w.expect(first, "BotStarted.1")
	w.poll("its job", func() bool { return len(pids(t, dir, "job")) == 1 })
	if took := pids(t, dir, "job")[0]; len(before) != 2 || !slices.Contains(before, took) {
		t.Errorf("%d took the call; warm were %v", took, before)
	}
	// Another takes the place of the one in the pool; nobody gets a second job.
	w.warm(2)
	w.place(sim.CallSpec{From: caller})
	w.poll("the second job", func() bool { return len(pids(t, dir, "job")) == 2 })
	w.warm(2)

	// One that dies waiting is replaced.
	jobs, began := pids(t, dir, "job"), pids(t, dir, "began")
	waits := slices.DeleteFunc(slices.Clone(began), func(pid int) bool { return slices.Contains(jobs, pid) })
	if err := syscall.Kill(waits[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.poll("another in its place", func() bool { return len(pids(t, dir, "began")) == len(began)+1 })
	w.warm(2)

	// They end with the scheduler: those who wait, too.
	w.end()
	for _, pid := range pids(t, dir, "began") {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
			t.Errorf("bot %d lives on", pid)
		}
	}
}

// More calls than warm bots: nobody waits for a warm one.
func TestACallForWhichNoBotIsWarmGetsACold(t *testing.T) {
	agent, dir := warmBots(t, 1)
	w := start(t, agent)
	w.warm(1)
	for range 4 {
		w.place(sim.CallSpec{From: caller})
	}
	w.poll("four jobs", func() bool { return len(pids(t, dir, "job")) == 4 })
}
