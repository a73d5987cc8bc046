// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// What an error of [Client] is; match with errors.Is.
var (
	// ErrNotFound is a 404: no such room, no session in it, or a held call that is gone.
	ErrNotFound = errors.New("daily: not found")
	// ErrRefused is any other clear refusal (400, 401, 403, 422, ...): Daily did nothing and would refuse again.
	ErrRefused = errors.New("daily: refused")
	// ErrRateLimited is a 429: Daily did nothing, and may do it later.
	ErrRateLimited = errors.New("daily: rate limited")
)

// Error is a request that did not succeed.
type Error struct {
	Op         string        // such as "create room"
	Status     int           // of the reply; 0 = there was none
	Code       string        // "error" in the reply: stable, may be empty (Daily REST reference, errors)
	Info       string        // "info" in the reply: for people, may change or be empty
	RetryAfter time.Duration // as the reply asks for; 0 = it does not

	cause   error // for no reply, or one that cannot be read
	unsent  bool  // nothing left this machine
	doubted bool  // an earlier attempt of the same request was unclear
}

func (e *Error) Error() string {
	switch {
	case e.unsent:
		return fmt.Sprintf("daily: %s: not sent: %v", e.Op, e.cause)
	case e.Status == 0:
		return fmt.Sprintf("daily: %s: no reply: %v", e.Op, e.cause)
	case e.cause != nil:
		return fmt.Sprintf("daily: %s: %d with an unreadable body: %v", e.Op, e.Status, e.cause)
	}
	text := fmt.Sprintf("daily: %s: %d", e.Op, e.Status)
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.Info != "" {
		text += ": " + e.Info
	}
	return text
}

// Unwrap gives what stopped the request on its way, such as context.DeadlineExceeded.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors.Is match the sentinels by status.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrRateLimited:
		return e.Status == http.StatusTooManyRequests
	case ErrRefused:
		return e.Status >= 400 && !e.unclear() &&
			e.Status != http.StatusNotFound && e.Status != http.StatusTooManyRequests
	}
	return false
}

// unclear means that Daily may have acted on this attempt: no reply, a 5xx, a proxy's time-out, or anything but a
// refusal or a readable success.
func (e *Error) unclear() bool {
	return !e.unsent && (e.Status < 400 || e.Status >= 500 || e.Status == http.StatusRequestTimeout)
}

func (e *Error) retryable() bool {
	return e.unsent || e.unclear() || e.Status == http.StatusTooManyRequests
}

// Doubtful reports whether Daily may or may not have acted: a time-out, a broken connection, a 5xx, a success that
// cannot be read. It looks at every attempt of the request, so what began with a time-out and ended with a refusal is
// doubtful too. A request that never left this machine is not.
func Doubtful(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.doubted || e.unclear())
}

// Retryable reports whether the same request may succeed later. It does not say that it may be sent again: where a
// second time would do harm, ask [Doubtful] first.
func Retryable(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.retryable()
}
