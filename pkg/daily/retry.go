// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Retry says how a request that may be repeated is repeated: after pauses drawn at random between nothing and a limit
// that doubles, or as long as Daily asks for if that is longer.
type Retry struct {
	First   time.Duration // limit of the first pause; 0 = 200 ms
	Longest time.Duration // limit of any pause; 0 = 5 s
	Within  time.Duration // no attempt begins later than this after the first; 0 = 20 s, negative = never again
}

// run makes attempts until one succeeds, one is refused for good, or time is up, and returns the error of the last. That
// error remembers whether any attempt was unclear.
func (p Retry) run(ctx context.Context, repeatable bool, attempt func() error) error {
	start, within := time.Now(), cmp.Or(p.Within, 20*time.Second)
	pauses := p.pauses()
	doubted := false
	for {
		err := attempt()
		var e *Error
		if !errors.As(err, &e) {
			return err
		}
		e.doubted = doubted
		if !repeatable || !e.retryable() {
			return err
		}
		doubted = doubted || e.unclear()
		pause := max(pauses.NextBackOff(), e.RetryAfter)
		if time.Since(start)+pause > within || !sleep(ctx, pause) {
			return err
		}
	}
}

func (p Retry) pauses() backoff.BackOff {
	return &backoff.ExponentialBackOff{
		// A factor of 1 draws between 0 and twice the interval: full jitter.
		RandomizationFactor: 1,
		InitialInterval:     cmp.Or(p.First, 200*time.Millisecond) / 2,
		MaxInterval:         cmp.Or(p.Longest, 5*time.Second) / 2,
		Multiplier:          2,
	}
}

// sleep reports whether the time passed before the context ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
