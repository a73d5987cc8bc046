// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
)

const (
	retryBreaker     = "circuit-breaker"
	retryExponential = "exponential"
)

// hub is the one webhook of the domain.
type hub struct {
	UUID       string   `json:"uuid"`
	URL        string   `json:"url"`
	HMAC       string   `json:"hmac"`
	BasicAuth  *string  `json:"basicAuth"`
	RetryType  string   `json:"retryType"`
	EventTypes []string `json:"eventTypes"`
	// State is ACTIVE, or FAILED after too many failures in a row.
	State            string  `json:"state"`
	FailedCount      int     `json:"failedCount"`
	LastMomentPushed *string `json:"lastMomentPushed"`
	DomainID         string  `json:"domainId"`
	CreatedAt        string  `json:"createdAt"`
	UpdatedAt        string  `json:"updatedAt"`
}

func (s *Sim) presetWebhook() {
	w := s.cfg.Webhook
	if w == nil {
		return
	}
	s.hub = &hub{UUID: uuid.NewString(), URL: w.URL, HMAC: w.HMAC, RetryType: w.RetryType, EventTypes: w.EventTypes, State: "ACTIVE", DomainID: s.cfg.DomainID}
	if w.BasicAuth != "" {
		s.hub.BasicAuth = &w.BasicAuth
	}
	if len(w.EventTypes) == 0 {
		s.hub.EventTypes = slices.Clone(eventTypes)
	}
	s.hub.fill()
	s.hub.CreatedAt = s.hub.UpdatedAt
}

func (h *hub) fill() {
	if h.HMAC == "" {
		h.HMAC = newSecret()
	}
	if h.RetryType == "" {
		h.RetryType = retryBreaker
	}
	h.UpdatedAt = iso(time.Now())
}

// read takes the fields that the request has.
func (h *hub) read(body map[string]any) *apiError {
	for key, to := range map[string]*string{"url": &h.URL, "hmac": &h.HMAC, "retryType": &h.RetryType} {
		v, err := fieldString(body, key)
		if err != nil {
			return err
		}
		if v != "" {
			*to = v
		}
	}
	if v, err := fieldString(body, "basicAuth"); err != nil {
		return err
	} else if _, set := body["basicAuth"]; set {
		h.BasicAuth = &v
	}
	if types, err := fieldStrings(body, "eventTypes", 100); err != nil {
		return err
	} else if types != nil {
		h.EventTypes = types
	}
	if h.URL == "" {
		return invalid("'url' is required")
	}
	if len(h.EventTypes) == 0 {
		return invalid("'eventTypes' is required")
	}
	if _, err := base64.StdEncoding.DecodeString(h.HMAC); err != nil {
		return invalid("'hmac' is not base64")
	}
	if h.RetryType != "" && h.RetryType != retryBreaker && h.RetryType != retryExponential {
		return invalid("'retryType' must be 'circuit-breaker' or 'exponential'")
	}
	return known(h.EventTypes)
}

func (s *Sim) createWebhook(r *request) (any, *apiError) {
	h := &hub{UUID: uuid.NewString(), State: "ACTIVE", DomainID: s.cfg.DomainID}
	if err := h.read(r.Body); err != nil {
		return nil, err
	}
	s.mu.Lock()
	full := s.hub != nil
	s.mu.Unlock()
	if full {
		return nil, invalid("the domain has a webhook already (max_webhook_count is 1)")
	}
	h.fill()
	h.CreatedAt = h.UpdatedAt
	if err := s.tryWebhook(r.Context(), h); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hub != nil {
		return nil, invalid("the domain has a webhook already (max_webhook_count is 1)")
	}
	s.hub = h
	s.touch()
	return *h, nil
}

// updateWebhook changes, tests again, and brings a FAILED webhook back.
func (s *Sim) updateWebhook(r *request) (any, *apiError) {
	s.mu.Lock()
	now, err := s.webhook(r)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	changed := *now
	s.mu.Unlock()
	if err := changed.read(r.Body); err != nil {
		return nil, err
	}
	changed.fill()
	if err := s.tryWebhook(r.Context(), &changed); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	changed.State, changed.FailedCount = "ACTIVE", 0
	if s.hub == nil || s.hub.UUID != changed.UUID {
		return nil, notFound("webhook %s not found", changed.UUID)
	}
	s.hub = &changed
	s.touch()
	return changed, nil
}

// tryWebhook is the test that a webhook must pass to be saved.
func (s *Sim) tryWebhook(ctx context.Context, h *hub) *apiError {
	body := json.RawMessage(`{"test":"test"}`)
	header := http.Header{}
	if s.cfg.SignTestPings {
		header = signed("Webhook", s.cfg.WebhookTimestamp, h.HMAC, body)
	}
	h.authorize(header)
	d := s.post(ctx, Delivery{Kind: "test", Type: "webhook", URL: h.URL, Body: body, Try: 1}, s.cfg.WebhookTestTimeout.Std(), header)
	s.mu.Lock()
	s.note(d)
	s.mu.Unlock()
	if !d.ok() {
		return invalid("non-200 status code returned from webhook endpoint, received %d", d.Status)
	}
	return nil
}

func (h *hub) authorize(header http.Header) {
	if h.BasicAuth != nil && *h.BasicAuth != "" {
		header.Set("Authorization", "Basic "+*h.BasicAuth)
	}
}

func (s *Sim) webhook(r *request) (*hub, *apiError) {
	if id := r.PathValue("uuid"); s.hub == nil || s.hub.UUID != id {
		return nil, notFound("webhook %s not found", id)
	}
	return s.hub, nil
}

func (s *Sim) listWebhooks(*request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hub == nil {
		return []hub{}, nil
	}
	return []hub{*s.hub}, nil
}

func (s *Sim) getWebhook(r *request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, err := s.webhook(r)
	if err != nil {
		return nil, err
	}
	return *h, nil
}

func (s *Sim) deleteWebhook(r *request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.webhook(r); err != nil {
		return nil, err
	}
	s.hub = nil
	s.touch()
	return nil, nil
}
