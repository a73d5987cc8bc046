// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// headerCarrier writes W3C trace context into headers of NATS, which are case-sensitive: in lower case, as the server
// and other clients expect it.
type headerCarrier nats.Header

func (c headerCarrier) Get(key string) string {
	if v := c[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}
func (c headerCarrier) Set(key, value string) { c[key] = []string{value} }
func (c headerCarrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for k := range c {
		keys = append(keys, k)
	}
	return keys
}

var traceFormat = propagation.TraceContext{}

func injectTrace(ctx context.Context, h nats.Header) { traceFormat.Inject(ctx, headerCarrier(h)) }

// startSpan continues the trace that a message carries.
func startSpan(ctx context.Context, service, subject string, h nats.Header) (context.Context, trace.Span) {
	ctx = traceFormat.Extract(ctx, headerCarrier(h))
	return otel.Tracer("github.com/trunkline/trunkline/pkg/bus").Start(ctx, service+" "+subject,
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attribute.String("messaging.destination.name", subject)))
}
