// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TakenError is returned by [Bus.Publish] when the subject holds an event that something else has led to. The race is
// lost; the stored event is the one to act on.
type TakenError struct{ Stored *Event }

func (e *TakenError) Error() string {
	return fmt.Sprintf("%s is taken, by %s for %s", e.Stored.ID(), e.Stored.Author, e.Stored.Cause)
}

// Is makes errors.Is(err, ErrTaken) true.
func (e *TakenError) Is(target error) bool { return target == ErrTaken }

// ErrTaken is what a [TakenError] is.
var ErrTaken = errors.New("taken by another event")

type dropError struct{ err error }

func (e dropError) Error() string { return "drop: " + e.err.Error() }
func (e dropError) Unwrap() error { return e.err }

// Drop is returned by a handler for an event that can never be handled. It is logged and not delivered again.
func Drop(err error) error { return dropError{err} }

type retryError struct {
	after time.Duration
	err   error
}

func (e retryError) Error() string { return fmt.Sprintf("again after %s: %v", e.after, e.err) }
func (e retryError) Unwrap() error { return e.err }

// RetryAfter is returned by a handler that wants the event again after d, which should not be above 30 s: longer
// waits are timers. It does not count as a failure. The reason may be nil.
func RetryAfter(d time.Duration, reason error) error {
	if reason == nil {
		reason = errors.New("not yet")
	}
	return retryError{d, reason}
}

// The error codes of JetStream that a conditional publish can meet.
const (
	codeWrongLast = 10071 // the condition does not hold
	codeInFlight  = 10164 // a replicated stream has another publish under way: no answer yet
	codeTooMany   = 10167 // the server is overloaded: no answer yet
)

func apiCode(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	return 0
}

// Answered makes a write until its answer is one: a replicated stream that has another one of the same subject under way
// gives none.
func Answered(ctx context.Context, write func() error) error {
	for {
		err := write()
		if code := apiCode(err); code != codeInFlight && code != codeTooMany {
			return err
		}
		if pause(ctx) != nil {
			return err
		}
	}
}
