// SPDX-License-Identifier: Apache-2.0

// Package budget keeps Daily's request limits for all processes together: one account for each kind of request in a
// bucket of JetStream's, changed by compare-and-set. What a caller waits for goes before what can wait.
package budget

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/daily"
)

// Bucket is the key-value bucket of the accounts.
var Bucket = jetstream.KeyValueConfig{Bucket: "budget", Description: "What is left of Daily's request limits", History: 1}

// slack is how long after it was granted a request may reach Daily. The limits hold for what Daily sees.
const slack = 250 * time.Millisecond

// limit is a limit of Daily's: so many requests in any window. It is kept by an account that is refilled evenly.
type limit struct {
	burst float64 // the most that an account can hold
	rate  float64 // refilled per second
}

// newLimit makes the account for n requests in any window of Daily's: what it holds and what it is given in a window
// never come to more. One request in a window is one for each window and its slack.
func newLimit(n int, window time.Duration) limit {
	burst := max(1, float64(n)/10)
	return limit{burst: burst, rate: max(1, float64(n)-burst) / (window + slack).Seconds()}
}

// account names the account that pays for a class of request, and the share of it that the class leaves to others.
func account(c daily.Class) (name string, reserve float64) {
	switch c {
	case daily.ClassForward:
		return "api", 0
	case daily.ClassRoom:
		return "api", .2
	case daily.ClassControl:
		return "api", .3
	case daily.ClassDelete:
		return "delete", 0
	case daily.ClassDial:
		return "dial", 0
	default:
		return "api", .6
	}
}

// Budget is a process's access to the accounts.
type Budget struct {
	kv     jetstream.KeyValue
	limits map[string]limit

	mu    sync.Mutex
	known map[string]entry // as this process last saw them
}

type entry struct {
	Left     float64   `json:"left"`
	At       time.Time `json:"at"` // when so much was left
	revision uint64
}

// New opens the accounts. It gives nil, which is no limit, where the configuration says so.
func New(ctx context.Context, js jetstream.JetStream, cfg config.Budget) (*Budget, error) {
	if cfg.Unlimited {
		return nil, nil
	}
	kv, err := js.KeyValue(ctx, Bucket.Bucket)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", Bucket.Bucket, err)
	}
	return &Budget{kv: kv, known: map[string]entry{}, limits: map[string]limit{
		"api":    newLimit(cfg.RequestsPer5s, 5*time.Second),
		"delete": newLimit(cfg.DeletesPer30s, 30*time.Second),
		"dial":   newLimit(cfg.DialsPer5s, 5*time.Second),
	}}, nil
}

// Take waits until a request of the class may be made. It fails with the context.
func (b *Budget) Take(ctx context.Context, c daily.Class) error {
	for {
		wait, err := b.Try(ctx, c)
		if err != nil || wait == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("budget of Daily's requests: %w", ctx.Err())
		case <-time.After(wait):
		}
	}
}

// Rate is how many requests of the class may be made in a second in the long run; 0 is no limit.
func (b *Budget) Rate(c daily.Class) float64 {
	if b == nil {
		return 0
	}
	name, _ := account(c)
	return b.limits[name].rate
}

// Try takes a request of the class, or says how long to wait before trying again.
func (b *Budget) Try(ctx context.Context, c daily.Class) (wait time.Duration, err error) {
	if b == nil {
		return 0, nil
	}
	name, reserve := account(c)
	if wait, err = b.try(ctx, name, reserve); err != nil {
		return 0, fmt.Errorf("budget of Daily's requests: %w", err)
	}
	return wait, nil
}

// try takes one request from an account, or says how long to wait before trying again.
func (b *Budget) try(ctx context.Context, name string, reserve float64) (time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l, e := b.limits[name], b.known[name]
	now := time.Now()
	left := l.burst
	if e.revision != 0 {
		left = min(l.burst, e.Left+l.rate*max(0, now.Sub(e.At).Seconds()))
	}
	if short := 1 + reserve*(l.burst-1) - left; short > 0 {
		// Others may have spent more since: look again, but not more often than a request is refilled.
		return max(time.Duration(short/l.rate*float64(time.Second)), time.Millisecond), b.look(ctx, name)
	}
	if e.At.After(now) { // a clock that is behind must not refill twice
		now = e.At
	}
	next := entry{Left: left - 1, At: now}
	data, err := json.Marshal(next)
	if err != nil {
		return 0, err
	}
	err = bus.Answered(ctx, func() (err error) {
		if e.revision == 0 {
			next.revision, err = b.kv.Create(ctx, name, data)
		} else {
			next.revision, err = b.kv.Update(ctx, name, data, e.revision)
		}
		return err
	})
	if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) { // another process was first
		return time.Microsecond, b.look(ctx, name)
	}
	if err != nil {
		return 0, err
	}
	b.known[name] = next
	return 0, nil
}

func (b *Budget) look(ctx context.Context, name string) error {
	kve, err := b.kv.Get(ctx, name)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		delete(b.known, name)
		return nil
	}
	if err != nil {
		return err
	}
	e := entry{}
	if err := json.Unmarshal(kve.Value(), &e); err != nil {
		return fmt.Errorf("account %s: %w", name, err)
	}
	e.revision = kve.Revision()
	b.known[name] = e
	return nil
}
