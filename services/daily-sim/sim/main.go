// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/trunkline/trunkline/pkg/probe"
)

// DefaultListen is where a simulator listens unless told otherwise.
const DefaultListen = ":7700"

// Main runs a simulator as a process of its own and exits. DAILY_SIM_CONFIG names a YAML file with a Config, of which
// what is left out is as in Defaults; DAILY_SIM_LISTEN is the address. The account key and the secret of numbers
// that have none come from the same variables as Trunkline's: DAILY_API_KEY and DAILY_PINLESS_HMAC. With the word health
// it asks that process whether it serves.
func Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	addr := cmp.Or(os.Getenv("DAILY_SIM_LISTEN"), DefaultListen)
	err := func() error {
		if len(os.Args) == 2 && os.Args[1] == "health" {
			return probe.Get(ctx, probe.URL(addr)+"/sim/stats")
		}
		cfg, err := load(os.Getenv("DAILY_SIM_CONFIG"))
		if err != nil {
			return err
		}
		return Serve(ctx, cfg, addr)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "daily-sim:", err)
		os.Exit(1)
	}
}

func load(path string) (Config, error) {
	cfg := Defaults()
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return cfg, err
		}
		decoder := yaml.NewDecoder(bytes.NewReader(data))
		decoder.KnownFields(true)
		if err := decoder.Decode(&cfg); err != nil && !errors.Is(err, io.EOF) {
			return cfg, fmt.Errorf("%s: %w", path, err)
		}
	}
	cfg.APIKey = cmp.Or(os.Getenv("DAILY_API_KEY"), cfg.APIKey)
	for i := range cfg.Numbers {
		cfg.Numbers[i].HMAC = cmp.Or(cfg.Numbers[i].HMAC, os.Getenv("DAILY_PINLESS_HMAC"))
	}
	return cfg, cfg.Validate()
}

// Serve runs a simulator on an address until the context ends.
func Serve(ctx context.Context, cfg Config, addr string) error {
	s := New(cfg)
	server := &http.Server{Addr: addr, Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second}
	ctx, end := context.WithCancel(ctx)
	defer end()
	ran := make(chan error, 1)
	go func() {
		ran <- errors.Join(s.Run(ctx), server.Close())
	}()
	err := server.ListenAndServe()
	end()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, <-ran)
}
