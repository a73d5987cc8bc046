// SPDX-License-Identifier: Apache-2.0

package webhooks_test

import (
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	"github.com/trunkline/trunkline/services/ingress/webhooks"
)

// slack is how much longer than its time limit an answer may take on a busy machine.
const slack = 2 * time.Second

func publishTimeout(d time.Duration) func(*app.Env) {
	return func(env *app.Env) { env.Config.Ingress.PublishTimeout = d }
}

// breakable is a broker that can be taken away and given back.
type breakable struct {
	t    *testing.T
	dir  string
	port int
	now  *bustest.Server
}

func startBreakable(t *testing.T) *breakable {
	b := &breakable{t: t, dir: t.TempDir()}
	b.now = bustest.StartAt(t, b.dir, server.RANDOM_PORT)
	b.port = b.now.Addr().(*net.TCPAddr).Port
	return b
}

func (b *breakable) stop() {
	b.now.Shutdown()
	b.now.WaitForShutdown()
}

func (b *breakable) start() { b.now = bustest.StartAt(b.t, b.dir, b.port) }

func TestWithoutABrokerDailyIsToldToComeAgain(t *testing.T) {
	broker := startBreakable(t)
	w := newWorldOn(t, broker.now.Setup(webhooks.Service.Needs), publishTimeout(500*time.Millisecond))
	callID := bus.CallID("d1", "c1")
	fact := domainEvent("dialin.ready", callID, 1, "", "")

	if got := w.sendSigned(dialinPath, `{"callId":"c1","callDomain":"d1"}`); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	broker.stop()
	another := `{"To":"+14155550199","From":"+14155550123","callId":"c2","callDomain":"d1"}`
	for path, body := range map[string]string{dialinPath: another, eventsPath: fact} {
		start := time.Now()
		got := w.sendSigned(path, body)
		if word, _ := got.refusal(t); got.status != http.StatusServiceUnavailable || word != "unavailable" {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
		if took := time.Since(start); took > 500*time.Millisecond+slack {
			t.Errorf("%s: answered after %s", path, took)
		}
	}
	broker.start()
	for path, body := range map[string]string{dialinPath: another, eventsPath: fact} {
		got := w.sendSigned(path, body)
		for deadline := time.Now().Add(10 * time.Second); got.status == http.StatusServiceUnavailable && time.Now().Before(deadline); {
			got = w.sendSigned(path, body)
		}
		if got.status != http.StatusOK {
			t.Errorf("%s, with the broker back: %d %s", path, got.status, got.body)
		}
	}
	if n := w.stored(); n != 3 {
		t.Errorf("the stream holds %d messages, want two calls and a fact", n)
	}
	if events := w.story(bus.CallID("d1", "c2")); len(events) != 1 {
		t.Errorf("the second call has %d events", len(events))
	}
}

func TestAWebhookWaitsForABrokerThatComesBackInTime(t *testing.T) {
	broker := startBreakable(t)
	w := newWorldOn(t, broker.now.Setup(webhooks.Service.Needs), publishTimeout(30*time.Second))
	if got := w.sendSigned(dialinPath, aCall); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	broker.stop()
	answers := make(chan answer, 2)
	go func() { answers <- w.sendSigned(dialinPath, `{"callId":"c2","callDomain":"d1"}`) }()
	go func() {
		answers <- w.sendSigned(eventsPath, domainEvent("dialin.ready", bus.CallID("d1", "c1"), 1, "", ""))
	}()
	broker.start()
	for range 2 {
		if got := <-answers; got.status != http.StatusOK {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if n := w.stored(); n != 3 {
		t.Errorf("the stream holds %d messages", n)
	}
}

func TestABrokerThatDoesNotAnswerIsNotWaitedForLongerThanConfigured(t *testing.T) {
	broker := bustest.Start(t)
	broker.Setup(webhooks.Service.Needs)
	line := newLine(t, broker.Addr().String())
	w := newWorldOn(t, line.connect(t), publishTimeout(300*time.Millisecond))
	if got := w.sendSigned(dialinPath, `{"callId":"c1","callDomain":"d1"}`); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	line.freeze()
	for path, body := range map[string]string{
		dialinPath: `{"callId":"c2","callDomain":"d1"}`,
		eventsPath: domainEvent("dialin.ready", bus.CallID("d1", "c1"), 1, "", ""),
	} {
		start := time.Now()
		if got := w.sendSigned(path, body); got.status != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
		if took := time.Since(start); took > 300*time.Millisecond+slack {
			t.Errorf("%s: answered after %s", path, took)
		}
	}
}
