// SPDX-License-Identifier: Apache-2.0

package rooms

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/daily"
)

// eventTypes are the events that ingress reads.
var eventTypes = []string{
	"dialin.ready", "dialin.connected", "dialin.stopped", "dialin.error",
	"dialout.connected", "dialout.answered", "dialout.stopped", "dialout.error",
	"calltransfer.triggered", "calltransfer.initiated", "calltransfer.answered", "calltransfer.completed",
	"participant.joined", "participant.left",
}

const (
	webhookWatch = time.Minute     // between two looks at a webhook that is well
	webhookRetry = 5 * time.Second // the longest pause after one that is not
)

// webhook keeps the domain's webhook pointed at ingress. Daily allows one for a domain.
type webhook struct {
	env   *app.Env
	daily *daily.Client
}

// keep finds or creates the webhook, watches it, and makes it active again when Daily has given it up.
func (h *webhook) keep(ctx context.Context) error {
	retry := 100 * time.Millisecond // at a start ingress may not be there yet to answer Daily's test
	for {
		wait := webhookWatch
		if err := h.ensure(ctx); err != nil && ctx.Err() == nil {
			h.env.Log.Warn("domain webhook", "err", err)
			retry = min(2*retry, webhookRetry)
			wait = retry
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

func (h *webhook) ensure(ctx context.Context) error {
	if err := h.env.Secrets.Require(config.EnvDailyWebhookHMAC); err != nil {
		return err
	}
	want := daily.WebhookSpec{
		URL: strings.TrimSuffix(h.env.Config.PublicURL, "/") + h.env.Config.Ingress.EventsPath, EventTypes: eventTypes,
		RetryType: daily.RetryExponential, HMAC: h.env.Secrets.DailyWebhookHMAC[0].Reveal(),
	}
	all, err := h.daily.ListWebhooks(ctx)
	if err != nil {
		return err
	}
	if len(all) > 0 {
		return h.bringUpToDate(ctx, all[0], want)
	}
	if _, err := h.daily.CreateWebhook(ctx, want); err != nil {
		return err
	}
	h.env.Log.Info("domain webhook created", "url", want.URL)
	return nil
}

func (h *webhook) bringUpToDate(ctx context.Context, have daily.Webhook, want daily.WebhookSpec) error {
	if have.URL != want.URL {
		return fmt.Errorf("the domain's webhook leads to %s: delete it there, or let public_url name it", have.URL)
	}
	if have.State == daily.WebhookActive && have.RetryType == want.RetryType && have.HMAC == want.HMAC && sameSet(have.EventTypes, want.EventTypes) {
		return nil
	}
	if _, err := h.daily.UpdateWebhook(ctx, have.UUID, want); err != nil {
		return err
	}
	h.env.Log.Info("domain webhook brought up to date", "url", want.URL, "was", have.State)
	return nil
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
