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

// Trace is a place in a trace where no context goes: in a bucket, or in what another process is started with.
type Trace map[string]string

// TraceOf gives the context's place in its trace, which is empty where there is none.
func TraceOf(ctx context.Context) Trace {
	t := Trace{}
	traceFormat.Inject(ctx, propagation.MapCarrier(t))
	return t
}

// WithTrace goes on with a trace from its place in it. An empty one changes nothing.
func WithTrace(ctx context.Context, t Trace) context.Context {
	return traceFormat.Extract(ctx, propagation.MapCarrier(t))
}

// inCall puts what is about to be published into the trace of its call's first event, as far as that is known here. So
// a call is one trace, although Daily's webhooks, what bots and people ask and what timers lead to begin others: the
// spans of those are linked to it.
func (b *Bus) inCall(ctx context.Context, callID string) context.Context {
	began := b.beganIn(callID)
	if began == "" {
		return ctx
	}
	first := trace.SpanContextFromContext(WithTrace(context.Background(), Trace{headerTrace: began}))
	here := trace.SpanFromContext(ctx)
	if !first.IsValid() || first.TraceID() == here.SpanContext().TraceID() {
		return ctx
	}
	here.AddLink(trace.Link{SpanContext: first})
	return trace.ContextWithRemoteSpanContext(ctx, first)
}

// beganIn is the header with the place in its trace at which a call began, where it is remembered.
func (b *Bus) beganIn(callID string) string {
	if story := b.stories.find(callID, b.JS.Conn().Stats().Reconnects); len(story.Events) > 0 {
		return story.Events[0].trace
	}
	began, _ := b.known.Get(callID)
	return began
}

// startSpan continues the trace that a message carries.
func startSpan(ctx context.Context, service, subject string, h nats.Header) (context.Context, trace.Span) {
	ctx = traceFormat.Extract(ctx, headerCarrier(h))
	return otel.Tracer("github.com/trunkline/trunkline/pkg/bus").Start(ctx, service+" "+subject,
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attribute.String("messaging.destination.name", subject)))
}
