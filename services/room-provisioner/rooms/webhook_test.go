// SPDX-License-Identifier: Apache-2.0

package rooms

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

const hmac = "c2VjcmV0IG9mIHRoZSB0ZXN0cw=="

// domain is a simulated Daily domain, and the ingress that its webhook should lead to.
type domain struct {
	*sim.Sim
	url     string
	broken  atomic.Bool // ingress answers 500
	ingress *httptest.Server
}

func newDomain(t *testing.T, preset *sim.WebhookPreset) (*domain, *webhook) {
	t.Helper()
	d := &domain{}
	d.ingress = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if d.broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	cfg := sim.Defaults()
	if preset != nil {
		if preset.URL == "" {
			preset.URL = d.ingress.URL + "/daily-events"
		}
		cfg.Webhook = preset
	}
	d.Sim = sim.New(cfg)
	api := httptest.NewServer(d.Handler())
	d.url = api.URL
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		api.Close()
		d.ingress.Close()
	})
	trunkline := config.Default()
	trunkline.PublicURL = d.ingress.URL
	return d, &webhook{
		env:   &app.Env{Config: trunkline, Secrets: config.Secrets{DailyWebhookHMAC: []config.Secret{hmac}}, Log: slog.New(slog.DiscardHandler)},
		daily: &daily.Client{BaseURL: api.URL + "/v1", APIKey: cfg.APIKey},
	}
}

func (d *domain) the(t *testing.T, hook *webhook) daily.Webhook {
	t.Helper()
	all, err := hook.daily.ListWebhooks(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("webhooks: %v, %v", all, err)
	}
	return all[0]
}

func TestTheDomainWebhookIsCreatedOnce(t *testing.T) {
	d, hook := newDomain(t, nil)
	for range 2 {
		if err := hook.ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := d.the(t, hook); got.URL != d.ingress.URL+"/daily-events" || got.RetryType != daily.RetryExponential || !sameSet(got.EventTypes, eventTypes) {
		t.Errorf("%+v", got)
	}
	if n := d.Stats().Requests["POST /webhooks"][200]; n != 1 {
		t.Errorf("created %d times", n)
	}
}

func TestAWebhookThatIsNotAsWantedIsBroughtUpToDate(t *testing.T) {
	d, hook := newDomain(t, &sim.WebhookPreset{HMAC: hmac, RetryType: daily.RetryCircuitBreaker, EventTypes: []string{"participant.joined"}})
	if err := hook.ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := d.the(t, hook); got.RetryType != daily.RetryExponential || !sameSet(got.EventTypes, eventTypes) {
		t.Errorf("%+v", got)
	}
}

func TestAWebhookThatDailyHasGivenUpIsMadeActiveAgain(t *testing.T) {
	d, hook := newDomain(t, &sim.WebhookPreset{HMAC: hmac, RetryType: daily.RetryCircuitBreaker, EventTypes: eventTypes})
	d.broken.Store(true)
	room, err := hook.daily.CreateRoom(t.Context(), daily.CreateRoom{Name: "open", Privacy: "public"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for range 3 { // everybody who comes is an event
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, room.URL+"/join", strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	if err := d.WaitFor(ctx, func() bool { return d.Stats().Webhook == daily.WebhookFailed }); err != nil {
		t.Fatal("the webhook did not fail")
	}
	d.broken.Store(false)
	if err := hook.ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := d.the(t, hook); got.State != daily.WebhookActive {
		t.Errorf("%+v", got)
	}
}

func TestSomebodyElsesWebhookIsLeftAlone(t *testing.T) {
	d, hook := newDomain(t, &sim.WebhookPreset{URL: "https://elsewhere.example.com/hook", HMAC: hmac})
	if err := hook.ensure(t.Context()); err == nil || !strings.Contains(err.Error(), "elsewhere.example.com") {
		t.Errorf("%v, want an error that names the other's URL", err)
	}
	if got := d.the(t, hook); got.URL != "https://elsewhere.example.com/hook" {
		t.Errorf("%+v", got)
	}
}
