// SPDX-License-Identifier: Apache-2.0

package webhooks_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/services/ingress/webhooks"
)

const (
	dialinPath = "/daily-dialin-webhook"
	eventsPath = "/daily-events"
)

// The first secret of each kind is the new one, the second the one that it replaces.
var (
	dialinSecrets = []config.Secret{secret("dial-in, new"), secret("dial-in, old")}
	eventsSecrets = []config.Secret{secret("events, new"), secret("events, old")}
)

func secret(text string) config.Secret {
	return config.Secret(base64.StdEncoding.EncodeToString([]byte(text)))
}

// world is an ingress over HTTP with a real broker.
type world struct {
	*httptest.Server
	t       testing.TB
	handler http.Handler
	bus     *bus.Bus
}

// newWorld starts an ingress. When the test ends, no line of its log may hold a whole phone number.
func newWorld(t testing.TB, changes ...func(*app.Env)) *world {
	t.Helper()
	return newWorldOn(t, bustest.Start(t).Setup(webhooks.Service.Needs), changes...)
}

func newWorldOn(t testing.TB, js jetstream.JetStream, changes ...func(*app.Env)) *world {
	t.Helper()
	logs := new(lines)
	log := app.NewLog(logs, config.Log{Format: "json", Level: slog.LevelDebug})
	cfg := config.Default()
	cfg.Routes = []config.Route{
		{Number: "+14155550199", Agent: "sales", AnswerBudget: time.Minute, MaxDuration: time.Hour},
		{Default: true, Agent: "reception", AnswerBudget: 2 * time.Minute, MaxDuration: 3 * time.Hour},
	}
	env := &app.Env{
		Config: cfg, Log: log, Bus: bus.New("ingress", js, log, nil), Registry: prometheus.NewRegistry(),
		Secrets: config.Secrets{DailyPinlessHMAC: dialinSecrets, DailyWebhookHMAC: eventsSecrets},
	}
	for _, change := range changes {
		change(env)
	}
	ingress, err := webhooks.New(env)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Server: httptest.NewServer(ingress.Handler()), t: t, handler: ingress.Handler(), bus: env.Bus}
	t.Cleanup(func() {
		w.Close()
		for _, line := range logs.all() {
			if wholeNumber.MatchString(line) {
				t.Errorf("the log holds a whole number: %s", line)
			}
		}
	})
	return w
}

var wholeNumber = regexp.MustCompile(`(^|[^.\d])\d{9,}`) // the nanoseconds of a log line are none

// lines is what was logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(l.buf.String(), "\n")
}

// answer is what ingress has answered.
type answer struct {
	status      int
	contentType string
	body        string
}

// send posts a body with headers.
func (w *world) send(path, body string, header map[string]string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	return w.do(req)
}

func (w *world) do(req *http.Request) answer {
	w.t.Helper()
	res, err := w.Client().Do(req)
	if err != nil {
		w.t.Error(err)
		return answer{}
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Error(err)
	}
	return answer{res.StatusCode, res.Header.Get("Content-Type"), string(data)}
}

// refusal reads the two fields that every error has, and fails the test if there is anything else.
func (a answer) refusal(t testing.TB) (word, info string) {
	t.Helper()
	var fields map[string]string
	if err := json.Unmarshal([]byte(a.body), &fields); err != nil || len(fields) != 2 || fields["error"] == "" || fields["info"] == "" {
		t.Errorf("the error is %q, want JSON with error and info", a.body)
	}
	if a.contentType != "application/json" {
		t.Errorf("the content type is %q", a.contentType)
	}
	return fields["error"], fields["info"]
}

// sign makes the headers of a genuine webhook.
func sign(t testing.TB, path string, key config.Secret, at, body string) map[string]string {
	t.Helper()
	signature, err := daily.Sign(key.Reveal(), at, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if path == eventsPath {
		return map[string]string{daily.HeaderWebhookSignature: signature, daily.HeaderWebhookTimestamp: at}
	}
	return map[string]string{daily.HeaderPinlessSignature: signature, daily.HeaderPinlessTimestamp: at}
}

// sendSigned posts a body as Daily does.
func (w *world) sendSigned(path, body string) answer {
	w.t.Helper()
	key := dialinSecrets[0]
	if path == eventsPath {
		key = eventsSecrets[0]
	}
	return w.send(path, body, sign(w.t, path, key, inSeconds(0), body))
}

func inSeconds(off time.Duration) string {
	return strconv.FormatInt(time.Now().Add(off).Unix(), 10)
}

func inMillis(off time.Duration) string {
	return strconv.FormatInt(time.Now().Add(off).UnixMilli(), 10)
}

// stored counts what the stream of calls holds.
func (w *world) stored() uint64 {
	w.t.Helper()
	stream, err := w.bus.JS.Stream(w.t.Context(), bus.Stream)
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := stream.Info(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return info.State.Msgs
}

// story reads what has happened to a call.
func (w *world) story(callID string) []*bus.Event {
	w.t.Helper()
	story, err := w.bus.Story(w.t.Context(), callID)
	if err != nil {
		w.t.Fatal(err)
	}
	return story.Events
}
