// SPDX-License-Identifier: Apache-2.0

package webhooks

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/daily"
)

// request is one webhook on its way to an answer.
type request struct {
	*Ingress
	kind string // dialin or events
	w    http.ResponseWriter
	r    *http.Request
}

// read gives the body, or has answered already.
func (q request) read() ([]byte, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(q.w, q.r.Body, q.Config.Ingress.MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		q.refuse(http.StatusRequestEntityTooLarge, "too-large", "the body is larger than a webhook of Daily's can be")
	case err != nil:
		q.refuse(http.StatusBadRequest, "unreadable", "the body could not be read to its end")
	}
	return body, err == nil
}

// signed reports whether the body is Daily's; if not, it has answered.
func (q request) signed(v verifier, signatureHeader, timestampHeader string, body []byte) bool {
	err := v.Verify(q.r.Header.Get(signatureHeader), q.r.Header.Get(timestampHeader), body)
	if err == nil {
		return true
	}
	q.Log.Warn("webhook refused", "webhook", q.kind, "err", err)
	info := "the signature is not Daily's"
	switch {
	case errors.Is(err, daily.ErrUnsigned):
		info = "the webhook is not signed: " + signatureHeader + " and " + timestampHeader + " are wanted"
	case errors.Is(err, daily.ErrStale):
		info = err.Error()
	}
	q.refuse(http.StatusUnauthorized, "bad-signature", info)
	return false
}

// store publishes an event and answers 200 when the broker has it. While the broker is away it tries again, up to the
// configured time; Daily is then told to come again.
func (q request) store(callID, cause string, m proto.Message) {
	ctx, cancel := context.WithTimeout(bus.WithCause(q.r.Context(), cause), q.Config.Ingress.PublishTimeout)
	defer cancel()
	_, err := backoff.Retry(ctx, func() (*bus.Event, error) {
		e, err := q.Bus.Publish(ctx, callID, m)
		if errors.Is(err, bus.ErrTaken) { // told twice, in other words: what was told first stands
			return e, nil
		}
		return e, err
	})
	if err != nil {
		q.Log.Error("webhook not stored", "webhook", q.kind, "call_id", callID, "err", err)
		q.refuse(http.StatusServiceUnavailable, "unavailable", "the event could not be stored; send it again")
		return
	}
	q.ok("stored")
}

func (q request) ok(result string) {
	q.taken.WithLabelValues(q.kind, result).Inc()
	app.Answer(q.w, http.StatusOK, map[string]string{"status": "OK"})
}

func (q request) refuse(status int, word, info string) {
	q.taken.WithLabelValues(q.kind, word).Inc()
	app.Refuse(q.w, status, word, info)
}
