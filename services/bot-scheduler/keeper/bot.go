// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// bot is the bot's process, and all processes that it starts: they are one process group.
type bot struct {
	cmd    *exec.Cmd
	in     *os.File
	ready  chan struct{} // closed when a warm bot can take its job
	exited chan struct{} // closed when the process is gone, and the rest of its group has been killed
}

// warmEnv tells a bot that its job comes later, and that it is to say when it can take it.
const warmEnv = "TRUNKLINE_WARM=1"

func startBot(spec Spec) (*bot, error) {
	if len(spec.Argv) == 0 {
		return nil, errors.New("no command")
	}
	stdin, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	b := &bot{in: in, ready: make(chan struct{}), exited: make(chan struct{})}
	b.cmd = exec.Command(spec.Argv[0], spec.Argv[1:]...) //nolint:noctx // its end is our work
	b.cmd.Dir, b.cmd.Env = spec.Dir, spec.Env
	b.cmd.Stdin, b.cmd.Stdout, b.cmd.Stderr = stdin, os.Stdout, os.Stderr
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(b.cmd.SysProcAttr)
	relayed := make(chan struct{})
	if !spec.Warm {
		close(relayed)
		err = b.cmd.Start()
	} else if out, stdout, failed := os.Pipe(); failed != nil {
		err = failed
	} else {
		b.cmd.Env, b.cmd.Stdout = append(slices.Clone(spec.Env), warmEnv), stdout
		err = b.cmd.Start()
		stdout.Close()
		go func() {
			defer close(relayed)
			defer out.Close()
			b.relay(out)
		}()
	}
	if err != nil {
		in.Close()
		return nil, err
	}
	go func() {
		defer close(b.exited)
		_ = b.cmd.Wait() // its state is kept
		b.kill()         // children that it has left behind
		select {
		case <-relayed:
		case <-time.After(time.Second): // somebody else holds its output open
		}
	}()
	// Before it has a job: who has none yet does not need much.
	if err := limitMemory(b.cmd.Process.Pid, spec.Memory); err != nil {
		b.end()
		return nil, fmt.Errorf("limit its memory: %w", err)
	}
	return b, nil
}

// relay passes on what the bot says, and looks for the line with which it says that it is ready.
func (b *bot) relay(out io.Reader) {
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		var said struct{ Ready bool }
		if json.Unmarshal([]byte(line), &said) == nil && said.Ready {
			close(b.ready)
			break
		}
		_, _ = os.Stdout.WriteString(line) // whoever reads it may have gone before us
		if err != nil {
			return
		}
	}
	_, _ = io.Copy(os.Stdout, lines)
	_, _ = io.Copy(io.Discard, lines) // or the bot would wait for somebody to read
}

// give gives the bot its job, and the end of its input. One that does not read it holds nobody up.
func (b *bot) give(job []byte) {
	go func() {
		defer b.in.Close()
		_, _ = b.in.Write(job) // a bot that has gone is seen by its exit
	}()
}

// end kills the bot and waits until it is gone.
func (b *bot) end() {
	b.kill()
	<-b.exited
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
