// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// bot is the bot's process, and all processes that it starts: they are one process group.
type bot struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process is gone, and the rest of its group has been killed
	err    error
}

func startBot(spec Spec) (*bot, error) {
	if len(spec.Argv) == 0 {
		return nil, errors.New("no command")
	}
	cmd := exec.Command(spec.Argv[0], spec.Argv[1:]...) //nolint:noctx // its end is our work
	cmd.Dir, cmd.Env = spec.Dir, spec.Env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(spec.Job), os.Stdout, os.Stderr
	cmd.WaitDelay = time.Second // for a child of the bot's that holds its input open
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	b := &bot{cmd: cmd, exited: make(chan struct{})}
	go func() {
		defer close(b.exited)
		b.err = cmd.Wait()
		b.kill() // children that it has left behind
	}()
	return b, nil
}

// stop asks the bot to end after the linger, and kills it when it has not within the grace.
func (b *bot) stop(linger, grace time.Duration) {
	go func() {
		for _, step := range []struct {
			after  time.Duration
			signal syscall.Signal
		}{{linger, syscall.SIGTERM}, {grace, syscall.SIGKILL}} {
			select {
			case <-b.exited:
				return
			case <-time.After(step.after):
				_ = syscall.Kill(-b.cmd.Process.Pid, step.signal) // gone already is well
			}
		}
	}()
}

func (b *bot) kill() { _ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL) } // gone already is well

// result is the exit as it is reported.
func (b *bot) result(stopped string) (status int, reason string) {
	status, reason = b.cmd.ProcessState.ExitCode(), fmt.Sprintf("exit status %d", b.cmd.ProcessState.ExitCode())
	if ws, ok := b.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		reason = "killed: " + ws.Signal().String()
	}
	if stopped != "" {
		reason = stopped + ", " + reason
	}
	return status, reason
}
