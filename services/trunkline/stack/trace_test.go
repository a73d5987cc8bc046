// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

// Whatever leads to them, Daily's webhooks, what a bot asks, timers, or work that waited its turn: all events of a call
// are in one trace, and other calls' in others.
func TestACallIsOneTrace(t *testing.T) {
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Cleanup(func() { otel.SetTracerProvider(noop.NewTracerProvider()) })

	whose := map[trace.TraceID]string{}
	for phrase, c := range map[string]struct {
		flags  []string
		events []string // among others
	}{
		"a bot that asks for its caller": {nil, []string{
			"CallReceived", "RoomReady.1", "BotStarting.1", "BotStarted.1", "BotReady.1", "ForwardStarted.1", "CallForwarded", "CallConnected",
			"CallEnded", "RoomReleased", "BotExited.1",
		}},
		"a bot that does not, and is asked for": {[]string{"--never-ask"}, []string{"BotReady.1", "ForwardStarted.1", "CallForwarded"}},
		"a bot that dies, and the next one":     {[]string{"--die-before-ready-attempts", "1"}, []string{"BotExited.1", "AttemptRequested.2", "BotStarted.2", "BotExited.2"}},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t, bot(2, c.flags...))
			phone := w.place(sim.CallSpec{From: caller, Talk: short})
			w.cleared(phone)
			w.idle()
			traces := w.traces(phone)
			first := traces["CallReceived"]
			for _, key := range c.events {
				if _, ok := traces[key]; !ok {
					t.Errorf("no %s\n%s", key, w.told(phone))
				}
			}
			for key, id := range traces {
				if !id.IsValid() || id != first {
					t.Errorf("%s is in trace %s, and the call began in %s", key, id, first)
				}
			}
			if other := whose[first]; other != "" {
				t.Errorf("trace %s is also that of the call with %s", first, other)
			}
			whose[first] = phrase
		})
	}
}

// traces gives the trace that each of a call's events is in.
func (w *world) traces(phone sim.Call) map[string]trace.TraceID {
	w.t.Helper()
	stream, err := w.JS.Stream(w.t.Context(), bus.Stream)
	if err != nil {
		w.t.Fatal(err)
	}
	story, err := w.bus.Story(w.t.Context(), w.id(phone))
	if err != nil {
		w.t.Fatal(err)
	}
	traces := map[string]trace.TraceID{}
	for _, e := range story.Events {
		m, err := stream.GetMsg(w.t.Context(), e.Seq)
		if err != nil {
			w.t.Fatal(err)
		}
		header := propagation.MapCarrier{}
		if place := m.Header["traceparent"]; len(place) > 0 {
			header.Set("traceparent", place[0])
		}
		traces[e.Key()] = trace.SpanContextFromContext(propagation.TraceContext{}.Extract(w.t.Context(), header)).TraceID()
	}
	return traces
}
