// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// From the request on one service to what another makes of it there is one trace, and it is exported.
func TestWhatFollowsFromARequestIsOneTrace(t *testing.T) {
	var mu sync.Mutex
	var exported bytes.Buffer
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if _, err := io.Copy(&exported, r.Body); err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Cleanup(func() { otel.SetTracerProvider(noop.NewTracerProvider()) })

	server := bustest.Start(t)
	needs := bus.Needs{Service: "room-provisioner", Events: []proto.Message{&callv1.CallReceived{}}}
	server.Setup(needs)
	asked, handled := make(chan trace.SpanContext, 1), make(chan trace.SpanContext, 1)
	ingress := app.Service{Name: "ingress", Needs: bus.Needs{Service: "ingress"}, Serve: func(ctx context.Context, e *app.Env) error {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /call", func(w http.ResponseWriter, r *http.Request) {
			asked <- trace.SpanContextFromContext(r.Context())
			if _, err := e.Bus.Publish(r.Context(), "call", &callv1.CallReceived{}); err != nil {
				t.Error(err)
			}
			app.Answer(w, http.StatusOK, nil)
		})
		return e.HTTP(ctx, "door", "unused", app.Routes(mux))
	}}
	rooms := app.Service{Name: needs.Service, Needs: needs, Serve: func(ctx context.Context, e *app.Env) error {
		return e.Bus.Consume(ctx, bus.On(func(ctx context.Context, _ bus.In[*callv1.CallReceived]) error {
			handled <- trace.SpanContextFromContext(ctx)
			return nil
		}))
	}}
	p := run(t, server.ClientURL(), []string{"door"}, ingress, rooms)
	if status, body := p.get(p.doors["door"] + "/call"); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if from, to := <-asked, <-handled; !from.IsSampled() || from.TraceID() != to.TraceID() || from.SpanID() == to.SpanID() {
		t.Errorf("asked in %s, handled in %s", from.TraceID(), to.TraceID())
	}
	if err := p.stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, span := range []string{"GET /call", "room-provisioner calls.call.CallReceived"} {
		if !bytes.Contains(exported.Bytes(), []byte(span)) {
			t.Errorf("the span %q is not exported", span)
		}
	}
}
