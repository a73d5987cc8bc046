// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The headers that carry a signature: the first pair on the dial-in webhook
// (Daily guide "SIP interconnect and pinless dial-in"), the second on domain
// webhooks (Daily REST reference, webhooks).
const (
	HeaderPinlessSignature = "X-Pinless-Signature"
	HeaderPinlessTimestamp = "X-Pinless-Timestamp"
	HeaderWebhookSignature = "X-Webhook-Signature"
	HeaderWebhookTimestamp = "X-Webhook-Timestamp"
)

// What Verify finds wrong; match with errors.Is.
var (
	ErrUnsigned     = errors.New("daily: webhook is not signed")
	ErrBadSignature = errors.New("daily: webhook signature does not match")
	// ErrStale means that the signature is good and the time is not: a replay,
	// or one of the two clocks is wrong. Its text says by how much.
	ErrStale = errors.New("daily: webhook timestamp is too far from this machine's clock")
)

// Sign returns base64(HMAC-SHA256(base64decode(secret), timestamp + "." + body)),
// the signature that Daily puts on both kinds of webhook. It fails only when
// the secret is empty or not base64; the error does not repeat the secret.
func Sign(secret, timestamp string, body []byte) (string, error) {
	key, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		return "", errors.New("daily: webhook secret is not base64")
	}
	if len(key) == 0 {
		return "", errors.New("daily: webhook secret is empty")
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(timestamp))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}

// Verifier checks webhook signatures over the bytes as received, in constant
// time, and that they are fresh. Several secrets may be good at once, so that
// one can be replaced without losing a call; with none, nothing is good.
type Verifier struct {
	Secrets []string         // base64, as Daily shows them
	MaxAge  time.Duration    // how far a timestamp may be off, either way; 0 = 5 minutes
	Now     func() time.Time // nil = time.Now
}

const defaultMaxAge = 5 * time.Minute

// Verify returns nil for a genuine, fresh webhook, else ErrUnsigned (a header
// is missing), ErrBadSignature (this includes a timestamp that is no number)
// or ErrStale. The timestamp counts unix seconds or milliseconds: Daily's
// examples take it for seconds, live traffic shows milliseconds.
func (v *Verifier) Verify(signature, timestamp string, body []byte) error {
	if signature == "" || timestamp == "" {
		return ErrUnsigned
	}
	signedAt, err := parseUnix(timestamp)
	if err != nil {
		return fmt.Errorf("%w: timestamp is not a number", ErrBadSignature)
	}
	if err := v.match(signature, timestamp, body); err != nil {
		return err
	}
	return v.fresh(signedAt)
}

// match tries every secret on the raw bytes and then on the same JSON without
// white space, because Daily's own sample signs a re-serialised body.
func (v *Verifier) match(signature, timestamp string, body []byte) error {
	if len(v.Secrets) == 0 {
		return fmt.Errorf("%w: no secret is configured", ErrBadSignature)
	}
	candidates := [][]byte{body}
	var compact bytes.Buffer
	if json.Compact(&compact, body) == nil && !bytes.Equal(compact.Bytes(), body) {
		candidates = append(candidates, compact.Bytes())
	}
	var broken error
	for _, secret := range v.Secrets {
		for _, candidate := range candidates {
			want, err := Sign(secret, timestamp, candidate)
			if err != nil {
				broken = err
				break
			}
			if hmac.Equal([]byte(want), []byte(signature)) {
				return nil
			}
		}
	}
	if broken != nil {
		return fmt.Errorf("%w: %w", ErrBadSignature, broken)
	}
	return ErrBadSignature
}

func (v *Verifier) fresh(signedAt time.Time) error {
	now, limit := time.Now, v.MaxAge
	if v.Now != nil {
		now = v.Now
	}
	if limit == 0 {
		limit = defaultMaxAge
	}
	age := now().Sub(signedAt)
	switch {
	case age > limit:
		return fmt.Errorf("%w: %v behind it, %v allowed", ErrStale, age.Abs().Round(time.Second), limit)
	case age < -limit:
		return fmt.Errorf("%w: %v ahead of it, %v allowed", ErrStale, age.Abs().Round(time.Second), limit)
	}
	return nil
}
