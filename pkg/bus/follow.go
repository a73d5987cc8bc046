// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	followPage = 256 // events are read at once
	// What is heard of is stored a moment later, on a replica later still: it is looked for so long, and after that
	// every so often.
	lookFor   = 250 * time.Millisecond
	lookAgain = time.Second
)

// Follow gives every event of every call to see, in the order of the stream, from the oldest that is kept, and then on
// as they come, until the context ends. caughtUp is called once, when all that was stored at the start has been seen.
//
// It reads and has no consumer: the right to have one of any name would be the right to use everybody's.
func (b *Bus) Follow(ctx context.Context, see func(*Event), caughtUp func()) error {
	stream, err := b.JS.Stream(ctx, Stream)
	if err != nil {
		return fmt.Errorf("follow calls: %w", err)
	}
	last := stream.CachedInfo().State.LastSeq
	if stream.CachedInfo().State.Msgs == 0 {
		last = 0
		caughtUp()
	}
	heard := make(chan struct{}, 1)
	sub, err := b.JS.Conn().Subscribe(subjectRoot+".>", func(*nats.Msg) {
		select {
		case heard <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return fmt.Errorf("follow calls: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // a connection that is closed has none
	var look time.Time
	for next := uint64(1); ; {
		messages, err := b.reader.page(ctx, next, followPage)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			b.Log.Debug("follow calls", "err", err)
		}
		for _, m := range messages {
			if next, err = sequence(m); err != nil {
				return fmt.Errorf("follow calls: %w", err)
			}
			next++
			if e, err := decodeRead(m); err == nil {
				see(e)
			} else {
				b.Log.Debug("follow calls", "err", err)
			}
		}
		if last > 0 && next > last {
			last = 0
			caughtUp()
		}
		if len(messages) == followPage {
			continue
		}
		again := lookAgain
		if time.Now().Before(look) {
			again = pauseFor
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(again):
		case <-heard:
			look = time.Now().Add(lookFor)
			if pause(ctx) != nil { // for more to come: they are read together
				return nil
			}
		}
	}
}
