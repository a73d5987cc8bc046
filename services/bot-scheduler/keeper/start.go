// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/guard"
	"github.com/trunkline/trunkline/services/bot-scheduler/slots"
)

const (
	askedBy = "TRUNKLINE_KEEPER" // set for a process that is to be a keeper

	// readyFD is where the keeper of a warm bot says that the bot is ready.
	readyFD = 3

	// giveWithin is how long a keeper may take to read its order.
	giveWithin = 2 * time.Second
)

// Spec is what a keeper is started with, on its standard input: it holds secrets. The order follows it.
type Spec struct {
	NATS       config.NATS   `json:"nats"`
	NKey       string        `json:"nkey"`
	Log        config.Log    `json:"log"`
	TTL        time.Duration `json:"ttl"` // of the renewals
	Argv       []string      `json:"argv"`
	Dir        string        `json:"dir"`
	Env        []string      `json:"env"`
	KillGrace  time.Duration `json:"kill_grace"`
	MaxRuntime time.Duration `json:"max_runtime"` // from the order on; 0: none
	Memory     uint64        `json:"memory"`      // bytes of address space; 0: no limit
	// Handover is set where a call outlives its keeper: a bot that is ended with it does not end its call.
	Handover bool `json:"handover"`
	// Warm has the bot started before there is an order. It holds no slot, and ends with whoever started its keeper.
	Warm bool `json:"warm"`
}

// Order is one call for the bot. A keeper gets one.
type Order struct {
	Lease slots.Lease     `json:"lease"` // as the scheduler has taken it
	Job   json.RawMessage `json:"job"`   // for the bot's standard input
	Cause string          `json:"cause"` // the intent that led to this
	Trace bus.Trace       `json:"trace,omitempty"`
}

// context is what the keeper reports with.
func (o Order) context() context.Context {
	return bus.WithTrace(bus.WithCause(context.Background(), o.Cause), o.Trace)
}

// Process is a keeper that has been started. With its order it lives on when this process dies, and without one it ends.
type Process struct {
	PID    int
	Exited <-chan struct{} // closed when it has exited
	Ready  <-chan struct{} // closed when a warm bot can take its order

	orders *os.File
	told   <-chan struct{} // closed when it has been told what it was started with
}

// Start starts a keeper, in an environment without secrets: the bot can read it.
func Start(self string, env []string, spec Spec) (*Process, error) {
	data, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	in, orders, err := os.Pipe() // the kernel holds what does not outgrow a pipe: no goroutine has to live for it
	if err != nil {
		return nil, err
	}
	defer in.Close()
	signs, sign, err := os.Pipe()
	if err != nil {
		orders.Close()
		return nil, err
	}
	defer sign.Close()
	cmd := exec.Command(self) //nolint:noctx // it outlives us
	cmd.Env = slices.Concat(env, guard.Env(), []string{askedBy + "=1"})
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = in, os.Stdout, os.Stderr, []*os.File{sign}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // out of reach of a terminal's Ctrl-C
	if err := cmd.Start(); err != nil {
		orders.Close()
		signs.Close()
		return nil, fmt.Errorf("start keeper: %w", err)
	}
	told, ready, exited := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(told)
		_, _ = orders.Write(data) // a keeper that dies of it is seen by its exit
	}()
	go func() {
		defer signs.Close()
		if n, _ := signs.Read(make([]byte, 1)); n == 1 {
			close(ready)
		}
	}()
	go func() {
		defer close(exited)
		_ = cmd.Wait() // its exit says nothing that the bus does not say better
	}()
	return &Process{PID: cmd.Process.Pid, Exited: exited, Ready: ready, orders: orders, told: told}, nil
}

// Give gives the keeper its order. After an error it has none, and ends: half an order is none.
func (p *Process) Give(o Order) error {
	data, err := json.Marshal(o)
	if err != nil {
		return errors.Join(err, p.Dismiss())
	}
	defer p.orders.Close()
	if err := p.orders.SetWriteDeadline(time.Now().Add(giveWithin)); err != nil {
		return err
	}
	<-p.told
	if _, err := p.orders.Write(data); err != nil {
		return fmt.Errorf("give the keeper its order: %w", err)
	}
	return nil
}

// Dismiss ends a keeper that has no order, and its bot.
func (p *Process) Dismiss() error { return p.orders.Close() }

// RunIfAsked makes this process a keeper and exits, if it was started as one. It must be the first thing in main.
func RunIfAsked() {
	if os.Getenv(askedBy) == "" {
		return
	}
	// The bot is tied to the thread that starts it (PR_SET_PDEATHSIG): that must be one that lives as long as we do.
	runtime.LockOSThread()
	syscall.CloseOnExec(readyFD)
	in := json.NewDecoder(os.Stdin)
	var spec Spec
	if err := in.Decode(&spec); err != nil {
		fmt.Fprintln(os.Stderr, "keeper:", err)
		os.Exit(1)
	}
	sign := os.NewFile(readyFD, "ready")
	err := run(spec, visitor{
		order: func() (o Order, err error) { return o, in.Decode(&o) },
		ready: sync.OnceFunc(func() {
			_, _ = io.WriteString(sign, "\n") // whoever has gone is not waiting for it
			sign.Close()
		}),
	}, app.NewLog(os.Stderr, spec.Log).With("service", "keeper"))
	if err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}
