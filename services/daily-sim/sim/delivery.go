// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Delivery is one webhook sent, or lost on purpose.
type Delivery struct {
	Seq int       `json:"seq"`
	At  time.Time `json:"at"`
	// Kind is dialin, event or test.
	Kind   string          `json:"kind"`
	Type   string          `json:"type,omitempty"`
	ID     string          `json:"id,omitempty"`
	CallID string          `json:"call_id,omitempty"`
	URL    string          `json:"url"`
	Body   json.RawMessage `json:"body"`
	// Try counts from 1; Duplicate marks one that a fault made.
	Try       int      `json:"try"`
	Duplicate bool     `json:"duplicate,omitempty"`
	Lost      bool     `json:"lost,omitempty"`
	Status    int      `json:"status"`
	Error     string   `json:"error,omitempty"`
	Took      Duration `json:"took"`
	hub       string   // the webhook that an event was meant for
}

// heldBack is a webhook that waits for the next one to overtake it.
type heldBack struct{ send func(context.Context) }

// dispatch sends one webhook through the faults of its kind; mu is held. send gets a true for a duplicate.
func (s *Sim) dispatch(kind string, f WebhookFaults, first time.Duration, send func(ctx context.Context, duplicate bool), lost func()) {
	if s.chance(f.Lose) {
		lost()
		return
	}
	delay := first
	if s.chance(f.Delay) {
		delay += time.Duration(s.rand.Int63n(int64(or(f.DelayMax, time.Second)) + 1))
	}
	if s.chance(f.Duplicate) {
		s.tasks.background(delay+f.DuplicateAfter.Std(), func(ctx context.Context) { send(ctx, true) })
	}
	once := func(ctx context.Context) { send(ctx, false) }
	switch waiting := s.held[kind]; {
	case delay > 0:
		s.tasks.background(delay, once)
	case waiting != nil:
		delete(s.held, kind)
		s.tasks.background(0, func(ctx context.Context) {
			once(ctx)
			waiting.send(ctx)
		})
	case s.chance(f.Reorder):
		h := &heldBack{send: once}
		s.held[kind] = h
		s.tasks.after(or(f.ReorderWithin, 500*time.Millisecond), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.held[kind] == h {
				delete(s.held, kind)
				s.tasks.background(0, once)
			}
		})
	default:
		s.tasks.background(0, once)
	}
}

func (s *Sim) chance(p float64) bool { return p > 0 && s.rand.Float64() < p }

func or(d Duration, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d.Std()
	}
	return otherwise
}

// post delivers once and fills in how it went; mu is not held.
func (s *Sim) post(ctx context.Context, d Delivery, timeout time.Duration, header http.Header) Delivery {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	d.At = time.Now()
	status, err := s.postBody(ctx, d.URL, d.Body, header)
	d.Took = Duration(time.Since(d.At))
	d.Status = status
	if err != nil {
		d.Error = err.Error()
	}
	return d
}

func (s *Sim) postBody(ctx context.Context, url string, body []byte, header http.Header) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody)); err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}

// note puts a delivery into the log; mu is held.
func (s *Sim) note(d Delivery) Delivery {
	s.sent.add(func(seq int) Delivery { d.Seq = seq; return d })
	s.touch()
	return d
}

func (d Delivery) ok() bool { return d.Status == http.StatusOK }

// signed are the headers of a signed webhook of the family "Pinless" or "Webhook".
func signed(family, unit, secret string, body []byte) http.Header {
	now := time.Now()
	stamp := strconv.FormatInt(now.UnixMilli(), 10)
	if unit == "s" {
		stamp = strconv.FormatInt(now.Unix(), 10)
	}
	h := http.Header{}
	h.Set(fmt.Sprintf("X-%s-Timestamp", family), stamp)
	h.Set(fmt.Sprintf("X-%s-Signature", family), sign(secret, stamp, body))
	return h
}
