// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Follow gives every event of every call to see, in the order of the stream, from the oldest that is kept, and then on
// as they come, until the context ends. caughtUp is called once, when all that was stored at the start has been seen.
func (b *Bus) Follow(ctx context.Context, see func(*Event), caughtUp func()) error {
	stream, err := b.JS.Stream(ctx, Stream)
	if err != nil {
		return fmt.Errorf("follow calls: %w", err)
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("follow calls: %w", err)
	}
	last := info.State.LastSeq
	if info.State.Msgs == 0 {
		caughtUp()
		last = 0
	}
	cons, err := b.JS.OrderedConsumer(ctx, Stream, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return fmt.Errorf("follow calls: %w", err)
	}
	messages, err := cons.Messages(jetstream.WithMessagesErrOnMissingHeartbeat(false))
	if err != nil {
		return fmt.Errorf("follow calls: %w", err)
	}
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	for {
		msg, err := messages.Next()
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return fmt.Errorf("follow calls: %w", err)
		}
		if err != nil {
			b.Log.Debug("follow calls", "err", err)
			if err := pause(ctx); err != nil {
				return nil
			}
			continue
		}
		meta, err := msg.Metadata()
		if err != nil {
			continue
		}
		if e, err := decode(msg.Subject(), msg.Headers(), msg.Data(), meta.Sequence.Stream, meta.Timestamp); err == nil {
			see(e)
		} else { // a newer version's event: for others to read
			b.Log.Debug("follow calls", "err", err)
		}
		if last > 0 && meta.Sequence.Stream >= last {
			last = 0
			caughtUp()
		}
	}
}
