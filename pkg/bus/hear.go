// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
)

// Hear gives a sign whenever something may have happened to a call, until the context ends. What it is a sign of is stored
// a moment later, on a replica later still, and may be nothing: look again soon, and now and then without a sign.
func (b *Bus) Hear(ctx context.Context, callID string) (<-chan struct{}, error) {
	signs := make(chan struct{}, 1)
	sub, err := b.JS.Conn().Subscribe(subjectRoot+"."+callID+".>", func(*nats.Msg) {
		select {
		case signs <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return nil, fmt.Errorf("hear of call %s: %w", callID, err)
	}
	context.AfterFunc(ctx, func() { _ = sub.Unsubscribe() }) // a connection that is closed has none
	return signs, nil
}
