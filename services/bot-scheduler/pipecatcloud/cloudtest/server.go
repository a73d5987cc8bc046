// SPDX-License-Identifier: Apache-2.0

// Package cloudtest stands in for Pipecat Cloud.
package cloudtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/services/bot-scheduler/remote/remotetest"
)

// The keys.
const (
	Key        = "pk_test"
	PrivateKey = "sk_test"
)

// maxBody is what an agent may be told, in bytes.
const maxBody = 1 << 20

// Server is Pipecat Cloud with one agent, whose instances run one session each.
type Server struct {
	*httptest.Server
	remotetest.Hall
	Agent     string
	MaxAgents int  // 0: as many as are asked for
	RateShape bool // answers that there is no capacity as if there were too many requests

	mu       sync.Mutex
	sessions []*session
}

type session struct {
	id      string
	created time.Time
	bot     *remotetest.Bot
}

// Start starts a Pipecat Cloud that ends with its test. Its API is at URL + "/v1".
func Start(t testing.TB, agent string) *Server {
	s := &Server{Agent: agent}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/public/{agent}/start", s.start)
	mux.HandleFunc("GET /v1/agents/{agent}/sessions", s.private(s.list))
	mux.HandleFunc("GET /v1/agents/{agent}/sessions/{id}", s.private(s.get))
	mux.HandleFunc("DELETE /v1/agents/{agent}/sessions/{id}", s.private(s.terminate))
	s.Server = httptest.NewServer(mux)
	t.Cleanup(func() { s.End(); s.Close() })
	return s
}

// The two shapes of an error.
func fail(w http.ResponseWriter, status int, code, text string) {
	answer(w, status, map[string]string{"error": text, "code": code})
}

func rateLimited(w http.ResponseWriter) {
	answer(w, http.StatusTooManyRequests, map[string]any{"status": 429, "code": "429", "message": "Rate limit exceeded. Please try again later"})
}

func (s *Server) start(w http.ResponseWriter, r *http.Request) {
	fault := s.Failing()
	if fault != nil && !fault.Acts {
		fault.Answer(w)
		return
	}
	var asked struct{ Body json.RawMessage }
	switch err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&asked); {
	case r.Header.Get("Authorization") != "Bearer "+Key:
		fail(w, http.StatusUnauthorized, "401", "Unauthorized / token expired")
		return
	case r.PathValue("agent") != s.Agent:
		fail(w, http.StatusNotFound, "404", "Agent not found")
		return
	case err != nil:
		fail(w, http.StatusRequestEntityTooLarge, "413", "Request body too large")
		return
	}
	s.mu.Lock()
	if s.MaxAgents > 0 && len(s.active()) >= s.MaxAgents {
		s.mu.Unlock()
		if s.RateShape {
			rateLimited(w)
		} else {
			fail(w, http.StatusTooManyRequests, "PCC-AGENT-AT-CAPACITY", "Service maximum agent instances reached")
		}
		return
	}
	b := &session{id: uuid.NewString(), created: time.Now(), bot: s.Begin(remotetest.FromBody(asked.Body))}
	s.sessions = append(s.sessions, b)
	s.mu.Unlock()
	if fault != nil {
		fault.Answer(w)
		return
	}
	answer(w, http.StatusOK, map[string]string{"sessionId": b.id})
}

func (s *Server) private(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer "+PrivateKey:
			fail(w, http.StatusUnauthorized, "401", "Unauthorized / token expired")
		case r.PathValue("agent") != s.Agent:
			fail(w, http.StatusNotFound, "404", "Agent not found")
		default:
			handle(w, r)
		}
	}
}

// list gives ten sessions at a time, whatever is asked for: who asks has to go on.
func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.sessions
	if r.FormValue("status") == "active" {
		all = s.active()
	}
	offset := 0
	_, _ = fmt.Sscan(r.FormValue("offset"), &offset) // none is the beginning
	page := []any{}
	for _, b := range all[min(offset, len(all)):min(offset+10, len(all))] {
		page = append(page, b.told())
	}
	answer(w, http.StatusOK, map[string]any{"total_count": len(all), "sessions": page})
}

func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	if b := s.find(r.PathValue("id")); b != nil {
		answer(w, http.StatusOK, b.told())
		return
	}
	fail(w, http.StatusNotFound, "404", "Session not found")
}

func (s *Server) terminate(w http.ResponseWriter, r *http.Request) {
	b := s.find(r.PathValue("id"))
	if b == nil || b.over() {
		fail(w, http.StatusNotFound, "404", "Session not found")
		return
	}
	b.bot.Stop()
	answer(w, http.StatusOK, map[string]string{"status": "terminated", "session_id": b.id})
}

func (s *Server) find(id string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.sessions {
		if b.id == id {
			return b
		}
	}
	return nil
}

func (s *Server) active() (all []*session) {
	for _, b := range s.sessions {
		if !b.over() {
			all = append(all, b)
		}
	}
	return all
}

func (b *session) over() bool {
	select {
	case <-b.bot.Done:
		return true
	default:
		return false
	}
}

// told is what is told of a session: not what it was started with.
func (b *session) told() map[string]any {
	told := map[string]any{"sessionId": b.id, "createdAt": b.created.UTC().Format(time.RFC3339Nano), "endedAt": nil, "completionStatus": nil, "coldStart": false}
	if b.over() {
		told["endedAt"], told["completionStatus"] = time.Now().UTC().Format(time.RFC3339Nano), "HTTP_COMPLETED"
		if b.bot.Status != 0 {
			told["completionStatus"] = "HTTP_ERROR"
		}
	}
	return told
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // whoever has gone is not told
}
