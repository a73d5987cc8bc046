// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 20 * time.Second
	secret   = "c2VjcmV0IG9mIHRoZSB0ZXN0cw=="
	number   = "+15550100001"
)

func ms(n int) sim.Duration { return sim.Duration(time.Duration(n) * time.Millisecond) }

// world is a running simulator and the server that its webhooks go to.
type world struct {
	*sim.Sim
	t    *testing.T
	url  string
	hook *receiver
}

// start runs a simulator with one number tied to the receiver's /dialin, and a domain webhook to its /events.
func start(t *testing.T, change ...func(*sim.Config)) *world {
	t.Helper()
	hook := newReceiver(t)
	cfg := sim.Defaults()
	cfg.Numbers = []sim.Number{{Number: number, WebhookURL: hook.url + "/dialin", HMAC: secret}}
	cfg.Webhook = &sim.WebhookPreset{URL: hook.url + "/events", HMAC: secret}
	cfg.SIPReadyDelay, cfg.ConnectDelay, cfg.MeetingEndedLag = ms(1), ms(1), ms(1)
	for _, f := range change {
		f(&cfg)
	}
	s := sim.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	server := httptest.NewServer(s.Handler())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
		server.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return &world{Sim: s, t: t, url: server.URL, hook: hook}
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.t.Cleanup(cancel)
	return ctx
}

type object = map[string]any

// send makes a request and returns the status and the JSON object of the answer.
func (w *world) send(method, path, key string, body any) (int, object) {
	w.t.Helper()
	status, raw := w.raw(method, path, key, body)
	var out object
	if len(raw) > 0 && raw[0] == '{' {
		if err := json.Unmarshal(raw, &out); err != nil {
			w.t.Fatalf("%s %s answered %q: %v", method, path, raw, err)
		}
	}
	return status, out
}

func (w *world) raw(method, path, key string, body any) (int, []byte) {
	w.t.Helper()
	resp, err := w.do(method, path, key, body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, raw
}

func (w *world) do(method, path, key string, body any) (*http.Response, error) {
	w.t.Helper()
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		content = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(w.ctx(), method, w.url+path, content)
	if err != nil {
		w.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	return http.DefaultClient.Do(req)
}

// rest makes a REST request with the right key.
func (w *world) rest(method, path string, body any) (int, object) {
	w.t.Helper()
	return w.send(method, "/v1"+path, sim.Defaults().APIKey, body)
}

// want makes a REST request that must be answered with status.
func (w *world) want(status int, method, path string, body any) object {
	w.t.Helper()
	got, answer := w.rest(method, path, body)
	if got != status {
		w.t.Fatalf("%s %s: %d %v, want %d", method, path, got, answer, status)
	}
	return answer
}

// room makes a room with a SIP endpoint and returns its URL and its endpoint.
func (w *world) room(name string, props object) (url, endpoint string) {
	w.t.Helper()
	all := object{"sip": object{"display_name": "caller", "sip_mode": "dial-in"}}
	for k, v := range props {
		all[k] = v
	}
	answer := w.want(200, "POST", "/rooms", object{"name": name, "properties": all})
	uri, _ := answer["config"].(object)["sip_uri"].(object)
	endpoint, _ = uri["endpoint"].(string)
	return answer["url"].(string), endpoint
}

func (w *world) token(props object) string {
	w.t.Helper()
	return w.want(200, "POST", "/meeting-tokens", object{"properties": props})["token"].(string)
}

// client is somebody in a room.
type client struct {
	t      *testing.T
	events chan object
	leave  func()
	id     string
}

func (w *world) enter(url, token string) (*client, int, object) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	body, _ := json.Marshal(object{"token": token, "user_name": "tester"})
	req, err := http.NewRequestWithContext(ctx, "POST", url+"/join", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		cancel()
		w.t.Fatalf("join: %v", err)
	}
	if resp.StatusCode != 200 {
		defer cancel()
		defer resp.Body.Close()
		var refusal object
		if err := json.NewDecoder(resp.Body).Decode(&refusal); err != nil {
			w.t.Fatalf("join: %d and no JSON: %v", resp.StatusCode, err)
		}
		return nil, resp.StatusCode, refusal
	}
	c := &client{t: w.t, events: make(chan object, 1000)}
	var read sync.WaitGroup
	read.Go(func() {
		defer close(c.events)
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			var e object
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				c.events <- e
			}
		}
	})
	c.leave = sync.OnceFunc(func() {
		cancel()
		resp.Body.Close()
		read.Wait()
	})
	w.t.Cleanup(c.leave)
	c.id = c.wait("joined")["session_id"].(string)
	return c, 200, nil
}

// bot enters as an owner.
func (w *world) bot(url string) *client {
	w.t.Helper()
	c, status, refusal := w.enter(url, w.token(object{"is_owner": true}))
	if status != 200 {
		w.t.Fatalf("join: %d %v", status, refusal)
	}
	return c
}

// wait skips to the next event of a name.
func (c *client) wait(name string) object {
	c.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e, ok := <-c.events:
			if !ok {
				c.t.Fatalf("the stream ended, waiting for %s", name)
			}
			if e["event"] == name {
				return e
			}
		case <-timeout:
			c.t.Fatalf("no %s", name)
		}
	}
}

// rest reads the stream to its end.
func (c *client) rest() []string {
	c.t.Helper()
	var names []string
	timeout := time.After(patience)
	for {
		select {
		case e, ok := <-c.events:
			if !ok {
				return names
			}
			names = append(names, e["event"].(string))
		case <-timeout:
			c.t.Fatal("the stream did not end")
		}
	}
}

// ring places a call and returns its id.
func (w *world) ring(spec sim.CallSpec) string {
	w.t.Helper()
	if spec.To == "" {
		spec.To = number
	}
	c, err := w.PlaceCall(spec)
	if err != nil {
		w.t.Fatal(err)
	}
	return c.ID
}

func (w *world) until(id string, what string, cond func(sim.Call) bool) sim.Call {
	w.t.Helper()
	c, err := w.WaitForCall(w.ctx(), id, cond)
	if err != nil {
		w.t.Fatalf("waiting for the call to be %s: %v; it is %+v", what, err, c)
	}
	return c
}

func (w *world) untilState(id, state string) sim.Call {
	w.t.Helper()
	return w.until(id, state, func(c sim.Call) bool { return c.State == state })
}

func (w *world) forward(id, endpoint string) (int, object) {
	w.t.Helper()
	return w.rest("POST", "/dialin/pinlessCallUpdate", object{
		"callId": id, "callDomain": sim.Defaults().CallDomain, "sipUri": "sip:" + endpoint,
	})
}

// connected brings a call into a fresh room with a bot.
func (w *world) connected(name string, props object, spec sim.CallSpec) (id string, bot *client) {
	w.t.Helper()
	url, endpoint := w.room(name, props)
	bot = w.bot(url)
	bot.wait("dialin-ready")
	id = w.ring(spec)
	if status, answer := w.forward(id, endpoint); status != 200 {
		w.t.Fatalf("forward: %d %v", status, answer)
	}
	w.untilState(id, sim.Connected)
	return id, bot
}

// got is a webhook that arrived.
type got struct {
	path   string
	header http.Header
	body   []byte
	object
}

// receiver is the server of our side: it keeps what arrives and answers what it is told to.
type receiver struct {
	t      *testing.T
	url    string
	mu     sync.Mutex
	all    []got
	status func(path string, n int) int
	news   chan struct{}
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t, news: make(chan struct{}, 1)}
	server := httptest.NewServer(r)
	r.url = server.URL
	t.Cleanup(server.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	g := got{path: req.URL.Path, header: req.Header, body: body}
	_ = json.Unmarshal(body, &g.object)
	r.mu.Lock()
	r.all = append(r.all, g)
	n := 0
	for _, other := range r.all {
		if other.path == g.path {
			n++
		}
	}
	answer := r.status
	r.mu.Unlock()
	if answer != nil {
		if status := answer(g.path, n); status != 0 {
			w.WriteHeader(status)
		} else {
			<-req.Context().Done()
		}
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// answer sets the statuses; 0 is no answer until the other side gives up.
func (r *receiver) answer(f func(path string, n int) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = f
}

func (r *receiver) on(path string) []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []got
	for _, g := range r.all {
		if g.path == path {
			list = append(list, g)
		}
	}
	return list
}

// until waits for n requests on path that fit.
func (r *receiver) until(path string, n int, fits func(got) bool) []got {
	r.t.Helper()
	timeout := time.After(patience)
	for {
		var list []got
		for _, g := range r.on(path) {
			if fits == nil || fits(g) {
				list = append(list, g)
			}
		}
		if len(list) >= n {
			return list
		}
		select {
		case <-r.news:
		case <-timeout:
			r.t.Fatalf("%d requests on %s, want %d", len(list), path, n)
		}
	}
}

// event waits for an event of a type.
func (r *receiver) event(kind string) got {
	r.t.Helper()
	return r.until("/events", 1, ofType(kind))[0]
}

func ofType(kind string) func(got) bool {
	return func(g got) bool { return g.object["type"] == kind }
}

func (g got) payload() object {
	p, _ := g.object["payload"].(object)
	return p
}
