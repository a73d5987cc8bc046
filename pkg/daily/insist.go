// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Insist asks Daily for what must not be done twice, and again only as long as Daily has clearly done nothing and may do it
// yet, for as long as given. Before it asks again it takes a permit. What cannot be known, or will not be, is the error.
func Insist[T any](ctx context.Context, within time.Duration, permit func(context.Context) error, ask func(context.Context) (T, error)) (T, error) {
	first := true
	return backoff.Retry(ctx, func() (nothing T, err error) {
		if !first {
			if err := permit(ctx); err != nil {
				return nothing, backoff.Permanent(err)
			}
		}
		first = false
		answer, err := ask(ctx)
		if err != nil && (Doubtful(err) || !Retryable(err)) {
			err = backoff.Permanent(err)
		}
		return answer, err
	}, backoff.WithMaxElapsedTime(within))
}
