// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what goes over the bus. All methods accept nil.
type Metrics struct {
	stage      *prometheus.HistogramVec
	handler    *prometheus.HistogramVec
	deliveries *prometheus.CounterVec
	dead       *prometheus.CounterVec
}

// NewMetrics registers the bus's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		stage: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "trunkline_stage_seconds", Help: "Time from a call's first event to an event of this name.",
			Buckets: []float64{.005, .01, .02, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800},
		}, []string{"event"}),
		handler: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "trunkline_handler_seconds", Help: "Time that a handler took.", Buckets: prometheus.ExponentialBuckets(.0005, 2.5, 12),
		}, []string{"service", "handler", "result"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_deliveries_total", Help: "Messages delivered to a service, first or again.",
		}, []string{"service", "kind"}),
		dead: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_dead_letters_total", Help: "Messages moved to the dead letters.",
		}, []string{"service"}),
	}
	reg.MustRegister(m.stage, m.handler, m.deliveries, m.dead)
	return m
}

// begin shows a service's dead letters as none, so that the first one is an increase.
func (m *Metrics) begin(service string) {
	if m != nil {
		m.dead.WithLabelValues(service)
	}
}

func (m *Metrics) published(e *Event, began time.Time) {
	if m != nil && !began.IsZero() {
		m.stage.WithLabelValues(e.Name).Observe(e.Time.Sub(began).Seconds())
	}
}

func (m *Metrics) handled(service, handler, result string, took time.Duration) {
	if m != nil {
		m.handler.WithLabelValues(service, handler, result).Observe(took.Seconds())
	}
}

func (m *Metrics) delivered(service string, times uint64) {
	if m == nil {
		return
	}
	kind := "first"
	if times > 1 {
		kind = "again"
	}
	m.deliveries.WithLabelValues(service, kind).Inc()
}

func (m *Metrics) buried(service string) {
	if m != nil {
		m.dead.WithLabelValues(service).Inc()
	}
}
