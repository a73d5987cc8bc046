// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"fmt"
)

// Page gives stored events of all calls from a sequence on, in the order of the stream, and the sequence at which the
// next page begins. Without any, nothing more is stored, or a replica lags behind.
func (b *Bus) Page(ctx context.Context, from uint64) (events []*Event, next uint64, err error) {
	messages, err := b.reader.page(ctx, from, followPage)
	if err != nil {
		return nil, from, fmt.Errorf("read calls: %w", err)
	}
	for _, m := range messages {
		if from, err = sequence(m); err != nil {
			return nil, 0, fmt.Errorf("read calls: %w", err)
		}
		from++
		if e, err := decodeRead(m); err == nil {
			events = append(events, e)
		} else {
			b.Log.Debug("read calls", "err", err)
		}
	}
	return events, from, nil
}

// Kept gives the sequences of the first and the last event that are stored. With none, the first is behind the last.
func (b *Bus) Kept(ctx context.Context) (first, last uint64, err error) {
	stream, err := b.JS.Stream(ctx, Stream)
	if err != nil {
		return 0, 0, fmt.Errorf("ask what is kept of calls: %w", err)
	}
	state := stream.CachedInfo().State
	return max(state.FirstSeq, 1), state.LastSeq, nil
}
