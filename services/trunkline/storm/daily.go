// SPDX-License-Identifier: Apache-2.0

package storm

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

// The simulator's secrets, which a world's services must be given.
const (
	APIKey      = "an-account-key-of-the-simulator"
	PinlessHMAC = "cGlubGVzcyBobWFjIG9mIHRoZSB0ZXN0"
	WebhookHMAC = "d2ViaG9vayBobWFjIG9mIHRoZSB0ZXN0"
)

// StartDaily has the simulator listen in this process, in which it is never killed: it is the world outside.
// Its own address is public, and ingress is where it finds ingress.
func (w *World) StartDaily(listen, public, ingress string, change func(*sim.Config)) {
	w.T.Helper()
	cfg := sim.Defaults()
	cfg.APIKey, cfg.PublicURL, cfg.Budgets.Lifted = APIKey, public+"/daily", true
	cfg.Numbers = []sim.Number{{Number: "*", WebhookURL: ingress + "/daily-dialin-webhook", HMAC: PinlessHMAC}}
	if change != nil {
		change(&cfg)
	}
	w.Sim = sim.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	l, err := net.Listen("tcp", listen) //nolint:noctx // it listens at once or not at all
	if err != nil {
		cancel()
		w.T.Fatal(err)
	}
	server := &http.Server{Handler: w.Sim.Handler()}
	ran := make(chan error, 1)
	go func() { ran <- w.Sim.Run(ctx) }()
	go func() { _ = server.Serve(l) }() // ends with Close
	w.T.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			w.T.Error(err)
		}
		server.Close()
	})
}

// BadDay is a Daily that sends again what got no 200, doubles, delays and reorders a tenth of all webhooks, and loses
// some of those that it can lose.
func BadDay(secondForward string, seed int64) func(*sim.Config) {
	return func(c *sim.Config) {
		c.SecondForward, c.Seed = secondForward, seed
		c.DialinWebhookRetries, c.DialinWebhookBackoff = 20, sim.Duration(500*time.Millisecond)
		bad := sim.WebhookFaults{Duplicate: .1, Delay: .1, DelayMax: sim.Duration(time.Second), Reorder: .1}
		c.Faults.DialinWebhook = bad
		bad.Lose = .02
		c.Faults.Events = bad
	}
}
