// SPDX-License-Identifier: Apache-2.0

// Package bench measures a whole Trunkline in this process, under load: every service, NATS, and the Daily simulator,
// which answers at once and has no budgets. Bots are simulated ones in this process, too, behind a backend of their own.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Options say what is measured.
type Options struct {
	// Dir is where NATS keeps its files meanwhile.
	Dir string
	// Profiles is where profiles of whole calls are written; then nothing else is measured. Empty is none.
	Profiles string
	// Say is told what is being measured.
	Say func(format string, args ...any)
	// Logs takes the services' warnings.
	Logs io.Writer
}

// setting is one of the broker's durabilities, and how much is asked of it.
type setting struct {
	name string
	sync time.Duration
	held []int
}

var settings = []setting{
	{"100ms", 100 * time.Millisecond, []int{100, 1000, 10_000}},
	{"always", 0, []int{100, 1000}},
}

// offered are the calls a second of the open loops, each for so long.
var offered = []struct {
	rate int
	long time.Duration
}{{10, 5 * time.Second}, {200, 5 * time.Second}, {1000, 2 * time.Second}}

const (
	inFlight = 128             // calls at once in the closed loop
	warmUp   = 4 * time.Second // of the closed loop; deadlines fire from here on
	measured = 8 * time.Second // of the closed loop
)

// Run measures everything. It takes under five minutes.
func Run(ctx context.Context, o Options) (*Report, error) {
	report := newReport()
	for _, s := range settings {
		if o.Profiles != "" && s.sync == 0 {
			break
		}
		f, err := measure(ctx, o, s)
		if err != nil {
			return nil, fmt.Errorf("sync_interval %s: %w", s.name, err)
		}
		report.Figures = append(report.Figures, f)
	}
	return report, nil
}

func measure(ctx context.Context, o Options, s setting) (*Figures, error) {
	f := &Figures{Sync: s.name}
	parts := []struct {
		what string
		do   func(context.Context, place) error
	}{
		{"whole calls", f.wholeCalls},
		{"the bare chain", f.bareChain},
		{"webhook to bot", f.openLoops},
		{"room to slot", f.dispatch},
		{"event to watcher", f.watchers},
		{"StartCall", f.startCalls},
		{"policy", f.decisions},
		{"held calls", f.heldCalls},
	}
	if o.Profiles != "" {
		parts = parts[:2]
	}
	for _, part := range parts {
		o.Say("sync_interval %s: %s", s.name, part.what)
		began := time.Now()
		err := func() error {
			dir, err := os.MkdirTemp(o.Dir, "part-")
			if err != nil {
				return err
			}
			err = part.do(ctx, place{Options: o, setting: s, dir: filepath.Join(dir, "nats")})
			return errors.Join(err, os.RemoveAll(dir))
		}()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.what, err)
		}
		o.Say("  took %s", time.Since(began).Round(100*time.Millisecond))
	}
	return f, nil
}

// place is where and how one part is measured.
type place struct {
	Options
	setting
	dir string
}
