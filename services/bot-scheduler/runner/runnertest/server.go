// SPDX-License-Identifier: Apache-2.0

// Package runnertest stands in for Pipecat's development runner, as far as it starts bots for Daily.
package runnertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/services/bot-scheduler/remote/remotetest"
)

// Server is a runner that was started without -t, or with it.
type Server struct {
	*httptest.Server
	remotetest.Hall
	Only string // the transport given with -t, or empty
}

// Start starts a runner that ends with its test.
func Start(t testing.TB) *Server {
	s := &Server{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"status": "ready", "transports": []string{"daily", "webrtc"}})
	})
	mux.HandleFunc("POST /start", s.start)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(func() { s.End(); s.Close() })
	return s
}

func (s *Server) start(w http.ResponseWriter, r *http.Request) {
	fault := s.Failing()
	if fault != nil && !fault.Acts {
		fault.Answer(w)
		return
	}
	var asked struct {
		Transport       string
		CreateDailyRoom bool
		Body            json.RawMessage
	}
	_ = json.NewDecoder(r.Body).Decode(&asked) // what is no JSON is taken for {}
	transport := asked.Transport
	switch {
	case transport != "":
	case asked.CreateDailyRoom:
		transport = "daily"
	case s.Only != "":
		transport = s.Only
	default:
		transport = "webrtc"
	}
	switch {
	case s.Only != "" && transport != s.Only:
		answer(w, http.StatusBadRequest, map[string]string{"detail": fmt.Sprintf("Transport '%s' is not allowed. Server is configured for '%s' only (-t %[2]s).", transport, s.Only)})
		return
	case transport == "webrtc": // no bot: it waits for a browser
		answer(w, http.StatusOK, map[string]string{"sessionId": uuid.NewString()})
		return
	case transport != "daily":
		answer(w, http.StatusBadRequest, map[string]string{"detail": "Unknown transport"})
		return
	}
	s.Begin(remotetest.FromBody(asked.Body))
	if fault != nil {
		fault.Answer(w)
		return
	}
	answer(w, http.StatusOK, nil) // for a room that it has not made
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // whoever has gone is not told
}
