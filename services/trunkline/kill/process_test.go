// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a part of Trunkline as a process of its own, that can be killed and started again.
type process struct {
	t    *testing.T
	name string
	argv []string
	env  []string
	log  *os.File

	mu   sync.Mutex
	cmd  *exec.Cmd
	gone chan struct{}
}

func newProcess(t *testing.T, dir, name string, env []string, argv ...string) *process {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, name: name, argv: argv, env: env, log: log}
	t.Cleanup(func() {
		p.kill(syscall.SIGTERM)
		log.Close()
	})
	return p
}

func (p *process) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), p.env...), p.log, p.log
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("start %s: %v", p.name, err)
	}
	gone := make(chan struct{})
	p.cmd, p.gone = cmd, gone
	go func() {
		defer close(gone)
		_ = cmd.Wait() // being killed is what it is for
	}()
}

// tell sends the process a signal, and gives what is closed when it has ended.
func (p *process) tell(signal syscall.Signal) (gone <-chan struct{}) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.cmd.Process.Signal(signal); err != nil {
		p.t.Fatalf("%s to %s: %v", signal, p.name, err)
	}
	return p.gone
}

// kill ends the process, if it runs, and waits until it is gone.
func (p *process) kill(signal syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(signal) // gone already is well
	select {
	case <-p.gone:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.gone
	}
	p.cmd = nil
}

// alive reports whether the process runs. One that ended by itself is a failure of its own.
func (p *process) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.gone:
		return false
	default:
		return true
	}
}
