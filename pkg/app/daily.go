// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trunkline/trunkline/pkg/budget"
	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/pkg/phone"
)

// Daily makes a client of Daily's REST API that keeps the budget of all processes and is measured.
func (e *Env) Daily(ctx context.Context) (*daily.Client, error) {
	client := &daily.Client{
		BaseURL: e.Config.Daily.APIURL, APIKey: e.Secrets.DailyAPIKey.Reveal(), Observe: e.daily.observe, Mask: phone.MaskForeign,
		HTTP: &http.Client{Transport: dailyTransport()},
	}
	limits, err := budget.New(ctx, e.Bus.JS, e.Config.Daily.Budget)
	if err != nil {
		return nil, err
	}
	if limits != nil {
		client.Budget = limits
	}
	return client, nil
}

// dailyTransport keeps as many connections as handlers may be at work. The default is two for a host, and every other
// request would open one of its own.
func dailyTransport() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // somebody has put another in its place
		return http.DefaultTransport
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost = 64
	return t
}

// Domain gives what Daily calls the key's domain. It asks until it gets an answer, and then remembers it.
func Domain(client *daily.Client) func(context.Context) (daily.Domain, error) {
	var mu sync.Mutex
	var known daily.Domain
	return func(ctx context.Context) (daily.Domain, error) {
		mu.Lock()
		defer mu.Unlock()
		if known.ID != "" {
			return known, nil
		}
		domain, err := client.Domain(ctx)
		if err == nil {
			known = domain
		}
		return domain, err
	}
}

type dailyMetrics struct{ requests *prometheus.HistogramVec }

func newDailyMetrics(reg prometheus.Registerer) *dailyMetrics {
	m := &dailyMetrics{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "trunkline_daily_request_seconds", Help: "Time of requests to Daily, by class and answer; status 0 is no answer.",
		Buckets: prometheus.ExponentialBuckets(.005, 2.5, 10),
	}, []string{"class", "status"})}
	reg.MustRegister(m.requests)
	return m
}

func (m *dailyMetrics) observe(class daily.Class, _ string, status int, took time.Duration) {
	m.requests.WithLabelValues(string(class), strconv.Itoa(status)).Observe(took.Seconds())
}
