// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// How Daily delivers, and how a webhook is (Daily REST reference, webhooks).
const (
	// RetryExponential tries each event up to 5 times and never gives up on the webhook.
	RetryExponential = "exponential"
	// RetryCircuitBreaker, Daily's default, stops all sending after 3 failures in a row until the webhook is updated.
	RetryCircuitBreaker = "circuit-breaker"

	WebhookActive = "ACTIVE"
	WebhookFailed = "FAILED"
)

// WebhookSpec is what can be set of a domain webhook.
type WebhookSpec struct {
	URL        string   `json:"url,omitempty"`
	EventTypes []string `json:"eventTypes,omitempty"`
	RetryType  string   `json:"retryType,omitempty"`
	HMAC       string   `json:"hmac,omitempty"`      // secret, base64; "" = Daily makes one up
	BasicAuth  string   `json:"basicAuth,omitempty"` // secret
}

// Webhook is a domain webhook at Daily. Its HMAC and BasicAuth are secrets: do not log it whole.
type Webhook struct {
	WebhookSpec
	UUID        string `json:"uuid"`
	State       string `json:"state"`
	FailedCount int    `json:"failedCount"` // failures in a row
}

func (w *Webhook) check() error {
	if w.UUID == "" {
		return errors.New("webhook without a uuid")
	}
	return nil
}

type webhooks []Webhook

// UnmarshalJSON takes a bare list and one inside "data".
func (w *webhooks) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte("[")) {
		return json.Unmarshal(b, (*[]Webhook)(w))
	}
	var list struct {
		Data []Webhook `json:"data"`
	}
	err := json.Unmarshal(b, &list)
	*w = list.Data
	return err
}

// ListWebhooks gives the domain's webhooks; as measured Daily allows one.
func (c *Client) ListWebhooks(ctx context.Context) ([]Webhook, error) {
	return call[webhooks](ctx, c, request{
		op: "list webhooks", class: ClassControl, repeatable: true,
		method: http.MethodGet, path: "/webhooks",
	})
}

// CreateWebhook makes a webhook. Daily first posts a test to the URL and refuses if that is not answered 200 within
// seconds. It is sent once: after a doubtful end, list.
func (c *Client) CreateWebhook(ctx context.Context, spec WebhookSpec) (*Webhook, error) {
	return one(call[Webhook](ctx, c, request{
		op: "create webhook", class: ClassControl,
		method: http.MethodPost, path: "/webhooks", body: spec,
	}))
}

// UpdateWebhook changes what is set in spec, has Daily test the URL again, and makes a failed webhook active.
func (c *Client) UpdateWebhook(ctx context.Context, uuid string, spec WebhookSpec) (*Webhook, error) {
	const op = "update webhook"
	if uuid == "" {
		return nil, fmt.Errorf("%w: %s: no uuid", ErrRefused, op)
	}
	return one(call[Webhook](ctx, c, request{
		op: op, class: ClassControl, repeatable: true,
		method: http.MethodPost, path: "/webhooks/" + url.PathEscape(uuid), body: spec,
	}))
}
