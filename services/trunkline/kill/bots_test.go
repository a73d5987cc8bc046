// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// proc is the process of a simulated bot, or of a keeper.
type proc struct {
	pid, parent int
	bot         string // its call and attempt, as in callid.1, where it is named; empty is a keeper
}

// named has the bots' command lines tell whose they are.
const named = `, "{{.CallID}}", "{{.Attempt}}"`

func (p proc) String() string {
	if p.bot == "" {
		return fmt.Sprintf("keeper %d", p.pid)
	}
	return fmt.Sprintf("bot %d of %s", p.pid, p.bot)
}

// living are the bots and keepers of a world that live, or of all worlds where none is named: they log to its folder. The
// dead who have not been buried yet have no command line.
func living(world string) []proc {
	var all []proc
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || built == "" {
		return nil
	}
	for _, dir := range dirs {
		line, err := os.ReadFile(dir + "/cmdline")
		if err != nil {
			continue
		}
		if log, err := os.Readlink(dir + "/fd/2"); world != "" && (err != nil || !strings.HasPrefix(log, world+"/")) {
			continue
		}
		args := strings.Split(string(bytes.TrimSuffix(line, []byte{0})), "\x00")
		if !strings.HasPrefix(args[0], built+"/") {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(dir))
		switch {
		case len(args) == 1: // the parts of Trunkline all have arguments
			all = append(all, proc{pid: pid})
		case len(args) >= 5 && args[1] == "sim" && args[2] == "bot":
			all = append(all, proc{pid, parentOf(dir), args[len(args)-2] + "." + args[len(args)-1]})
		}
	}
	return all
}

// botsLiving are those that are bots.
func botsLiving() []proc {
	var all []proc
	for _, p := range living("") {
		if p.bot != "" {
			all = append(all, p)
		}
	}
	return all
}

// botOf finds the process of an attempt's bot.
func botOf(callID string, attempt int) (proc, bool) {
	for _, p := range botsLiving() {
		if p.bot == fmt.Sprintf("%s.%d", callID, attempt) {
			return p, true
		}
	}
	return proc{}, false
}

func parentOf(dir string) int {
	fields := statOf(dir)
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// statOf gives what proc(5) says of a process, from its state on: what comes before may hold spaces.
func statOf(dir string) []string {
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return nil
	}
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
}

// killBots ends what a failed test has left behind.
func killBots(world string) {
	for _, p := range living(world) {
		_ = syscall.Kill(p.pid, syscall.SIGKILL) // gone already is well
	}
}

// exists reports whether a process is there, and not only its remains.
func exists(pid int) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && len(line) > 0
}

// cpu is the time that a part has computed for, to a hundredth of a second.
func (p *process) cpu() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	fields := statOf(fmt.Sprintf("/proc/%d", p.cmd.Process.Pid))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / 100
}
