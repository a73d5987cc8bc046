// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/budget"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

func readiness(t *testing.T, p *process) (status int, services map[string]string) {
	t.Helper()
	status, body := p.get(p.admin + "/readyz")
	var answer struct{ Services map[string]string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%d %s", status, body)
	}
	return status, answer.Services
}

func TestAProcessIsReadyWhenAllOfItsServicesAre(t *testing.T) {
	server := bustest.Start(t)
	server.Setup()
	one, oneStarted := idle("one")
	two, twoStarted := idle("two")
	p := run(t, server.ClientURL(), nil, one, two)
	first, second := <-oneStarted, <-twoStarted
	want := func(status int, one, two string) {
		t.Helper()
		got, services := readiness(t, p)
		if got != status || len(services) != 2 || services["one"] != one || services["two"] != two {
			t.Errorf("%d %v, want %d, %s and %s", got, services, status, one, two)
		}
	}
	want(503, "starting", "starting")
	first.Ready.Yes()
	want(503, "ready", "starting")
	second.Ready.Yes()
	want(200, "ready", "ready")
	first.Ready.No("Daily refuses the key")
	want(503, "Daily refuses the key", "ready")
	first.Ready.Yes()
	want(200, "ready", "ready")
	server.Shutdown()
	server.WaitForShutdown()
	eventually(t, "readiness ends with NATS", func() bool { status, _ := readiness(t, p); return status == 503 })
	want(503, "NATS is away", "NATS is away")
	if status, _ := p.get(p.admin + "/healthz"); status != 200 {
		t.Errorf("health without NATS: %d", status)
	}
}

func TestARequestUnderWayIsFinished(t *testing.T) {
	server := bustest.Start(t)
	server.Setup()
	g := newGate()
	p := run(t, server.ClientURL(), []string{"door"}, app.Service{Name: "one", Serve: func(ctx context.Context, e *app.Env) error {
		return e.HTTP(ctx, "door", "unused", g)
	}})
	answered := make(chan string, 1)
	go func() {
		_, body := p.get(p.doors["door"])
		answered <- body
	}()
	<-g.entered
	p.end()
	eventually(t, "nobody new is let in", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.doors["door"], "http://"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	if status, _ := p.get(p.doors["admin"] + "/healthz"); status != 200 {
		t.Errorf("health of a process that ends: %d", status)
	}
	select {
	case <-p.done:
		t.Error("the process has ended with a request under way")
	default:
	}
	close(g.open)
	if body := <-answered; !strings.Contains(body, "finished") {
		t.Errorf("the request under way was answered %q", body)
	}
	if err := p.stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
}

func TestADoorThatIsTakenIsAnError(t *testing.T) {
	server := bustest.Start(t)
	server.Setup()
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	p := run(t, server.ClientURL(), nil, app.Service{Name: "one", Serve: func(ctx context.Context, e *app.Env) error {
		return e.HTTP(ctx, "door", other.Listener.Addr().String(), http.NotFoundHandler())
	}})
	<-p.done
	if p.err == nil || !strings.Contains(p.err.Error(), "one: listen for door: ") {
		t.Errorf("got %v", p.err)
	}
}

func TestAnswersAreJSON(t *testing.T) {
	for phrase, c := range map[string]struct {
		write  func(http.ResponseWriter)
		status int
		body   string
	}{
		"an answer":  {func(w http.ResponseWriter) { app.Answer(w, 201, map[string]int{"n": 1}) }, 201, `{"n":1}`},
		"a refusal":  {func(w http.ResponseWriter) { app.Refuse(w, 404, "not-found", `no "x"`) }, 404, `{"error":"not-found","info":"no \"x\""}`},
		"no content": {func(w http.ResponseWriter) { app.Answer(w, 200, nil) }, 200, `null`},
	} {
		r := httptest.NewRecorder()
		c.write(r)
		if r.Code != c.status || strings.TrimSpace(r.Body.String()) != c.body || r.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s %s", phrase, r.Code, r.Body, r.Header())
		}
	}
}

func TestTrafficIsMeasured(t *testing.T) {
	daily := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		app.Answer(w, 200, map[string]string{"domain_name": "example", "domain_id": "d"})
	}))
	defer daily.Close()
	server := bustest.Start(t)
	needs := bus.Needs{Service: "room-provisioner", Events: []proto.Message{&callv1.CallReceived{}}}
	needs.Buckets = append(needs.Buckets, budget.Bucket)
	js := server.Setup(needs)
	p := run(t, server.ClientURL(), []string{"door"}, app.Service{Name: needs.Service, Needs: needs, Serve: func(ctx context.Context, e *app.Env) error {
		e.Config.Daily.APIURL, e.Secrets.DailyAPIKey = daily.URL, "key"
		client, err := e.Daily(ctx)
		if err != nil {
			return err
		}
		domain := app.Domain(client)
		for range 2 {
			if d, err := domain(ctx); err != nil || d.ID != "d" {
				t.Errorf("the domain: %v, %v", d, err)
			}
		}
		done := make(chan error, 1)
		go func() {
			done <- e.Bus.Consume(ctx, bus.On(func(ctx context.Context, in bus.In[*callv1.CallReceived]) error {
				_, err := e.Bus.Publish(ctx, in.CallID, &callv1.RoomReady{Attempt: 1})
				return err
			}))
		}()
		if err := e.HTTP(ctx, "door", "unused", http.NotFoundHandler()); err != nil {
			return err
		}
		return <-done
	}})
	ingress := bus.New("ingress", js, slog.New(slog.DiscardHandler), nil)
	if _, err := ingress.Publish(t.Context(), "call", &callv1.CallReceived{}); err != nil {
		t.Fatal(err)
	}
	bustest.Expect(t, ingress, "call", "RoomReady.1")
	if status, _ := p.get(p.doors["door"]); status != 404 {
		t.Errorf("the door answers %d", status)
	}
	for _, line := range []string{
		`trunkline_http_request_seconds_count{server="door",status="404"} 1`,
		`trunkline_daily_request_seconds_count{class="forward",status="200"} 1`,
		`trunkline_handler_seconds_count{handler="events",result="done",service="room-provisioner"} 1`,
		`trunkline_deliveries_total{kind="first",service="room-provisioner"} 1`,
		`trunkline_stage_seconds_count{event="RoomReady"} 1`,
		`go_goroutines `, `process_cpu_seconds_total `,
	} {
		eventually(t, line, func() bool { _, body := p.get(p.admin + "/metrics"); return strings.Contains(body, "\n"+line) })
	}
	if err := p.stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
}
