// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// errant stands between Daily and ingress, and signs webhooks anew, by a clock that can be off.
type errant struct {
	*httptest.Server
	off   atomic.Int64 // nanoseconds
	world atomic.Pointer[world]
}

func newErrant(t *testing.T) *errant {
	t.Helper()
	e := &errant{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		w := e.world.Load()
		body, err := io.ReadAll(in.Body)
		if w == nil || err != nil {
			out.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		req, err := http.NewRequestWithContext(in.Context(), in.Method, w.URLs["ingress"]+in.URL.Path, bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		clock := time.Now().Add(time.Duration(e.off.Load()))
		if in.URL.Path == w.Config.Ingress.EventsPath {
			sign(t, req, daily.HeaderWebhookSignature, daily.HeaderWebhookTimestamp, w.Secrets.DailyWebhookHMAC[0].Reveal(), body, clock)
		} else {
			sign(t, req, daily.HeaderPinlessSignature, daily.HeaderPinlessTimestamp, w.Secrets.DailyPinlessHMAC[0].Reveal(), body, clock)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			out.WriteHeader(http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		out.WriteHeader(res.StatusCode)
	}))
	t.Cleanup(e.Close)
	return e
}

// between has all webhooks go through e, those of what happens in rooms too.
func (e *errant) between(o *stack.Options) {
	noDomainWebhook(o) // it is registered from the start
	withSim(func(c *sim.Config) {
		c.Numbers[0].WebhookURL = e.URL + o.Config.Ingress.DialinPaths[0]
		c.Webhook = &sim.WebhookPreset{URL: e.URL + o.Config.Ingress.EventsPath, RetryType: daily.RetryExponential}
	})(o)
}

func TestAClockThatIsOffIsToldAndHarmsNoCallInProgress(t *testing.T) {
	for phrase, c := range map[string]struct {
		off  time.Duration
		told string
	}{
		"ours is ahead":  {-10 * time.Minute, "webhook timestamp is too far from this machine's clock: 10m0s behind it"},
		"ours is behind": {10 * time.Minute, "webhook timestamp is too far from this machine's clock: 10m0s ahead of it"},
	} {
		t.Run(phrase, func(t *testing.T) {
			t.Parallel()
			e := newErrant(t)
			w := start(t, bot(3), settlesWithin(500*time.Millisecond), e.between)
			e.world.Store(w)
			inCall := w.connected(w.place(sim.CallSpec{From: caller}))
			w.expect(inCall, "CallConnected")

			e.off.Store(int64(c.off))
			refused := w.place(sim.CallSpec{From: caller})
			refused = w.until(refused, "refused", func(phone sim.Call) bool { return len(phone.Webhooks) > 0 })
			if got := refused.Webhooks[0].Status; got != http.StatusUnauthorized {
				t.Errorf("the webhook was answered %d", got)
			}
			if n := len(w.state(refused).Attempts); n != 0 {
				t.Errorf("there are %d attempts for a call that nobody announced", n)
			}
			if status, info := w.deliver(refused.Webhooks[0].Body, time.Now().Add(c.off)); status != http.StatusUnauthorized || !strings.Contains(info, c.told) {
				t.Errorf("the same again: %d %s", status, info)
			}
			if !strings.Contains(w.logs.String(), c.told) {
				t.Errorf("the log does not say: %s", c.told)
			}
			if now := w.until(inCall, "known", func(sim.Call) bool { return true }); now.State != sim.Connected {
				t.Errorf("the call in progress is %s", now.State)
			}
			if err := w.Sim.Hangup(inCall.ID); err != nil {
				t.Fatal(err)
			}
			w.sound(inCall)
			if err := w.Sim.Hangup(refused.ID); err != nil {
				t.Fatal(err)
			}

			e.off.Store(0)
			w.sound(w.place(sim.CallSpec{From: caller, Talk: short}))
		})
	}
}
