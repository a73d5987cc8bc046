// SPDX-License-Identifier: Apache-2.0

// Package podtest stands in for a pod of Pipecat's base image.
package podtest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/trunkline/trunkline/services/bot-scheduler/remote"
	"github.com/trunkline/trunkline/services/bot-scheduler/remote/remotetest"
)

// Server is a pod. It does not mind a second bot.
type Server struct {
	*httptest.Server
	remotetest.Hall
}

// Start starts a pod that ends with its test.
func Start(t testing.TB) *Server {
	s := &Server{}
	mux := http.NewServeMux()
	for _, path := range []string{"/livez", "/readyz"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	}
	mux.HandleFunc("POST /bot", s.bot)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(func() { s.End(); s.Close() })
	return s
}

// bot answers when the bot is done, and 200 whatever became of it: exceptions are logged and swallowed. A bot that brings
// the process down, which one with an exit status is here, takes the connection with it.
func (s *Server) bot(w http.ResponseWriter, r *http.Request) {
	fault := s.Failing()
	if fault != nil && !fault.Acts {
		fault.Answer(w)
		return
	}
	data, err := io.ReadAll(r.Body)
	var body map[string]json.RawMessage
	if err != nil || json.Unmarshal(data, &body) != nil {
		(&remotetest.Fault{Status: http.StatusUnprocessableEntity, Body: `{"detail":[{"msg":"Input should be a valid dictionary"}]}`}).Answer(w)
		return
	}
	b := s.Begin(remote.Job{
		SessionID: r.Header.Get("x-daily-session-id"), RoomURL: r.Header.Get("x-daily-room-url"), Token: r.Header.Get("x-daily-room-token"), Body: data,
	})
	if fault != nil {
		fault.Answer(w)
		return
	}
	<-b.Done // also where the client has gone
	if b.Status != 0 {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "{}")
}
