// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
)

// emit sends an event to the domain webhook, if it wants it and is alive; mu is held.
func (s *Sim) emit(kind, id string, payload map[string]any) {
	h := s.hub
	if h == nil || h.State != "ACTIVE" || !slices.Contains(h.EventTypes, kind) {
		return
	}
	body := func(id string) json.RawMessage {
		raw, err := json.Marshal(map[string]any{"version": "1.0.0", "type": kind, "id": id, "payload": payload, "event_ts": float(time.Now())})
		if err != nil {
			panic(err)
		}
		return raw
	}
	first := Delivery{Kind: "event", Type: kind, ID: id, Body: body(id), Try: 1, hub: h.UUID}
	second := first
	second.Duplicate = true
	if s.faults.Events.DuplicateNewID {
		second.ID = uuid.NewString()
		second.Body = body(second.ID)
	}
	s.dispatch("event", s.faults.Events, 0, func(ctx context.Context, duplicate bool) {
		if duplicate {
			s.push(ctx, second)
		} else {
			s.push(ctx, first)
		}
	}, func() {
		first.At, first.URL, first.Lost = time.Now(), h.URL, true
		s.note(first)
	})
}

// push delivers one event and does with the answer what the retry type says.
func (s *Sim) push(ctx context.Context, d Delivery) {
	s.mu.Lock()
	if s.hub == nil || s.hub.UUID != d.hub || s.hub.State != "ACTIVE" {
		s.mu.Unlock()
		return
	}
	h := *s.hub
	s.mu.Unlock()
	d.URL = h.URL
	header := signed("Webhook", s.cfg.WebhookTimestamp, h.HMAC, d.Body)
	h.authorize(header)
	d = s.post(ctx, d, s.cfg.WebhookTimeout.Std(), header)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(d)
	if s.hub != nil && s.hub.UUID == h.UUID && s.hub.UpdatedAt == h.UpdatedAt {
		s.settle(d)
	}
}

// settle counts for the circuit breaker or plans the next try; mu is held.
func (s *Sim) settle(d Delivery) {
	h := s.hub
	pushed := iso(d.At)
	h.LastMomentPushed = &pushed
	switch {
	case d.ok():
		h.FailedCount = 0
	case h.RetryType == retryBreaker:
		h.FailedCount++
		if h.FailedCount >= s.cfg.WebhookTrip {
			h.State = "FAILED"
		}
	case d.Try < s.cfg.WebhookAttempts:
		wait := s.cfg.WebhookBackoff.Std()
		for i := 1; i < d.Try && wait < s.cfg.WebhookBackoffMax.Std(); i++ {
			wait *= 10
		}
		d.Try++
		d.Status, d.Error, d.Took = 0, "", 0
		s.tasks.background(min(wait, s.cfg.WebhookBackoffMax.Std()), func(ctx context.Context) { s.push(ctx, d) })
	}
	s.touch()
}

func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
