// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
	"github.com/trunkline/trunkline/services/trunkline/storm"
)

var flood = flag.Duration("flood", 8*time.Second, "how long bad webhooks are poured in")

// floodRate is how many bad webhooks come in a second.
const floodRate = 2000

// latest is how long a caller may wait in a flood until his bot starts.
const latest = 5 * time.Second

// Invariant 8, and what it must not cost: who has no business here delays no caller.
func TestAFloodOfBadWebhooksDelaysNoCaller(t *testing.T) {
	w := start(t, bot(40), func(o *stack.Options) { o.Log = app.NewLog(io.Discard, o.Config.Log) })
	p99 := func(times []time.Duration) time.Duration { return times[len(times)*99/100] }
	quiet := w.startTimes(w.ring(*flood))
	if p99(quiet) > latest/2 && storm.Busy() {
		t.Skipf("this machine is too busy: without a flood, callers wait for %s until their bot starts", p99(quiet))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var answers [600]atomic.Int64
	var group sync.WaitGroup
	began := time.Now()
	group.Go(func() { w.pour(ctx, &answers) })
	phones := w.ring(*flood)
	time.Sleep(latest) // until the last caller's bot is late, too
	cancel()
	group.Wait()
	poured := time.Since(began)
	flooded := w.startTimes(phones)
	rate := 0.0
	for status := range answers {
		n := answers[status].Load()
		rate += float64(n) / poured.Seconds()
		if n > 0 && (status < 400 || status >= 500) {
			t.Errorf("%d bad webhooks were answered %d", n, status)
		}
	}
	ratio := float64(p99(flooded)) / float64(p99(quiet))
	t.Logf("from the webhook to BotStarting, p99 of %d calls: %s, and %s under %.0f bad webhooks a second: %.1f times as long", len(quiet), p99(quiet), p99(flooded), rate, ratio)
	switch late := p99(flooded); {
	case late <= latest:
	case storm.Busy(): // and would be late without a flood
		t.Logf("with the flood, callers wait for %s until their bot starts; that counts on a machine that is not busy with other things", late)
	default:
		t.Errorf("with the flood, callers wait for %s until their bot starts", late)
	}
	w.clean()
}

// ring has calls come in for some time, one after the other.
func (w *world) ring(lasts time.Duration) (phones []sim.Call) {
	w.t.Helper()
	next := time.NewTicker(500 * time.Millisecond) // each starts two processes, which alone must not fill the machine
	defer next.Stop()
	for over := time.After(lasts); ; {
		select {
		case <-next.C:
			phones = append(phones, w.place(sim.CallSpec{From: caller, Talk: short}))
		case <-over:
			return phones
		}
	}
}

// startTimes waits until calls are over, and gives the times from their webhooks to the start of their bots, sorted.
func (w *world) startTimes(phones []sim.Call) (times []time.Duration) {
	w.t.Helper()
	for _, phone := range phones {
		phone = w.ended(phone)
		if phone.Legs != 1 || phone.Why != "hung-up" {
			w.t.Errorf("a caller was not served: %d legs, %s", phone.Legs, phone.Why)
			continue
		}
		times = append(times, w.state(phone).Attempt(1).StartingAt.Sub(phone.Webhooks[0].At))
	}
	if len(times) == 0 {
		w.t.Fatal("no caller was served")
	}
	slices.Sort(times)
	return times
}

// pour brings bad webhooks at the rate, as far as this machine can, and counts the answers.
func (w *world) pour(ctx context.Context, answers *[600]atomic.Int64) {
	dialin, events := w.URLs["ingress"]+w.Config.Ingress.DialinPaths[0], w.URLs["ingress"]+w.Config.Ingress.EventsPath
	body := `{"To":"+14155550100","From":"+14155550123","callId":"made-up-%d","callDomain":"made-up"}`
	signature := http.Header{daily.HeaderPinlessSignature: {"bWFkZSB1cA=="}, daily.HeaderPinlessTimestamp: {fmt.Sprint(time.Now().Unix())}}
	bad := []struct {
		url, body string
		header    http.Header
	}{
		{dialin, body, nil},
		{dialin, body, signature},
		{dialin, "no JSON %d", nil},
		{events, `{"type":"dialin.connected","payload":{"room":"tl-%d"}}`, nil},
		{events, `[%d]`, nil},
		{events, `{"type":"` + strings.Repeat("x", 4096) + `%d"}`, nil},
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	const each = 10 * time.Millisecond
	due := make(chan int, floodRate)
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			for n := range due {
				one := bad[n%len(bad)]
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, one.url, bytes.NewReader(fmt.Appendf(nil, one.body, n)))
				if err != nil {
					w.t.Error(err)
					return
				}
				if one.header != nil {
					req.Header = one.header.Clone()
				}
				res, err := client.Do(req)
				if err != nil {
					continue // the end of the test, or of this machine's strength
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				answers[res.StatusCode].Add(1)
			}
		})
	}
	tick := time.NewTicker(each)
	defer tick.Stop()
	for began, n := time.Now(), 0; ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		for want := int(time.Since(began).Seconds() * floodRate); n < want && len(due) < cap(due); n++ {
			due <- n
		}
	}
	close(due)
	group.Wait()
}
