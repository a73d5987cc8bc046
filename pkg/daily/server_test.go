// SPDX-License-Identifier: Apache-2.0

package daily_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/daily"
)

const apiKey = "key-never-to-be-seen"

// reply is what the server says to one request.
type reply struct {
	status int
	body   string
	header map[string]string
	does   func(w http.ResponseWriter, r *http.Request) // instead
}

func ok(body string) reply { return reply{status: http.StatusOK, body: body} }

// got is one request as the server saw it.
type got struct{ method, path, query, body string }

// server stands in for Daily: it answers with the replies in order, the last one over and over.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	replies []reply
	seen    []got
}

func serve(t *testing.T, replies ...reply) (*daily.Client, *server) {
	t.Helper()
	s := &server{replies: replies}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return &daily.Client{
		BaseURL: s.URL + "/v1",
		APIKey:  apiKey,
		Retry:   daily.Retry{First: time.Millisecond, Longest: 2 * time.Millisecond, Within: time.Second},
	}, s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.seen = append(s.seen, got{r.Method, r.URL.Path, r.URL.RawQuery, string(body)})
	answer := s.replies[0]
	if len(s.replies) > 1 {
		s.replies = s.replies[1:]
	}
	s.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+apiKey {
		answer = reply{status: http.StatusUnauthorized, body: `{"error":"authentication-error"}`}
	}
	if answer.does != nil {
		answer.does(w, r)
		return
	}
	for k, v := range answer.header {
		w.Header().Set(k, v)
	}
	w.WriteHeader(answer.status)
	_, _ = io.WriteString(w, answer.body)
}

func (s *server) requests() []got {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]got(nil), s.seen...)
}

// hangUp breaks the connection after the request was read.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func golden(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatalf("%v in %s", err, a)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return reflect.DeepEqual(x, y)
}
