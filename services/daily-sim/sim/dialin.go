// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// ring sends the dial-in webhook of a call, as often as the call's own wishes say; mu is held.
func (s *Sim) ring(c *call) {
	body := s.dialinBody(c)
	wish := c.spec.Webhook
	if wish.Lose {
		c.Webhooks = append(c.Webhooks, s.note(Delivery{At: time.Now(), Kind: "dialin", CallID: c.ID, URL: c.url, Body: body, Try: 1, Lost: true}))
	} else {
		s.dispatch("dialin", s.faults.DialinWebhook, wish.Delay.Std(), func(ctx context.Context, duplicate bool) {
			s.callHome(ctx, c, body, 1, duplicate)
		}, func() {
			c.Webhooks = append(c.Webhooks, s.note(Delivery{At: time.Now(), Kind: "dialin", CallID: c.ID, URL: c.url, Body: body, Try: 1, Lost: true}))
		})
	}
	for i := range wish.Duplicates {
		after := wish.Delay.Std() + time.Duration(i+1)*wish.DuplicateAfter.Std()
		s.tasks.background(after, func(ctx context.Context) { s.callHome(ctx, c, body, 1, true) })
	}
}

func (s *Sim) dialinBody(c *call) json.RawMessage {
	m := map[string]any{"To": c.To, "From": orNull(c.spec.From), "callId": c.ID, "callDomain": c.CallDomain}
	if c.spec.From == "" && s.cfg.AnonymousFrom == "empty" {
		m["From"] = ""
	}
	if len(c.spec.SIPHeaders) > 0 {
		m["sipHeaders"] = c.spec.SIPHeaders
	}
	body, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return body
}

// callHome posts the webhook once, and again after a failure if there are retries and the caller still holds.
func (s *Sim) callHome(ctx context.Context, c *call, body json.RawMessage, try int, duplicate bool) {
	d := Delivery{Kind: "dialin", CallID: c.ID, URL: c.url, Body: body, Try: try, Duplicate: duplicate}
	d = s.post(ctx, d, s.cfg.DialinWebhookTimeout.Std(), signed("Pinless", s.cfg.PinlessTimestamp, c.hmac, body))
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Webhooks = append(c.Webhooks, s.note(d))
	if !d.ok() && !duplicate && try <= s.cfg.DialinWebhookRetries && c.State == Holding {
		s.tasks.background(s.cfg.DialinWebhookBackoff.Std(), func(ctx context.Context) {
			if s.holding(c) {
				s.callHome(ctx, c, body, try+1, false)
			}
		})
	}
}

func (s *Sim) holding(c *call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.State == Holding
}

// ping is the test that Daily sends when a dial-in config is made or changed; the config is saved whatever
// the answer is. mu is held.
func (s *Sim) ping(url, secret string) {
	body := json.RawMessage(`{"` + s.cfg.TestPingKey + `":"test"}`)
	s.tasks.background(0, func(ctx context.Context) {
		d := Delivery{Kind: "test", Type: "dialin", URL: url, Body: body, Try: 1}
		header := http.Header{}
		if s.cfg.SignTestPings {
			header = signed("Pinless", s.cfg.PinlessTimestamp, secret, body)
		}
		d = s.post(ctx, d, s.cfg.DialinWebhookTimeout.Std(), header)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.note(d)
	})
}
