// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

const maxBody = 1 << 20

// request is a REST request that passed the door; Body is its JSON object, empty if there was none.
type request struct {
	*http.Request
	Body map[string]any
	raw  []byte
}

type reply struct {
	status      int
	contentType string
	body        []byte
}

func jsonReply(status int, v any) *reply {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return &reply{status: status, contentType: "application/json", body: body}
}

func (p *reply) send(w http.ResponseWriter) {
	w.Header().Set("Content-Type", p.contentType)
	w.WriteHeader(p.status)
	w.Write(p.body) //nolint:errcheck // the client is gone, nobody is left to tell
}

// Request is one REST request in the simulator's log.
type Request struct {
	Seq    int             `json:"seq"`
	At     time.Time       `json:"at"`
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Body   json.RawMessage `json:"body,omitempty"`
	// Status is what was answered, 0 if the connection was dropped; Acted tells whether the request took effect.
	Status int      `json:"status"`
	Acted  bool     `json:"acted"`
	Faults []string `json:"faults,omitempty"`
	Took   Duration `json:"took"`
}

type restHandler func(*request) (any, *apiError)

// rest wraps a handler in all that every REST request passes: the key, the budget, the faults, the log.
func (s *Sim) rest(class string, handle restHandler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entry := Request{At: time.Now(), Method: r.Method, Path: strings.TrimPrefix(r.URL.Path, "/v1")}
		answer := s.answer(class, handle, w, r, &entry)
		s.record(entry, r, answer)
		if answer == nil {
			panic(http.ErrAbortHandler) // drops the connection
		}
		answer.send(w)
	})
}

func (s *Sim) answer(class string, handle restHandler, w http.ResponseWriter, r *http.Request, entry *Request) *reply {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return failure(invalid("cannot read the request body: %v", err))
	}
	if len(raw) <= 4096 && json.Valid(raw) {
		entry.Body = raw
	}
	if err := s.authenticate(r); err != nil {
		return failure(err)
	}
	if err := s.budget(class, w.Header()); err != nil {
		return failure(err)
	}
	t := s.trouble(class, r.Method, entry.Path, raw)
	entry.Faults = t.names
	if s.sleep(r.Context(), t.slowBefore) != nil {
		return nil
	}
	if t.before != nil {
		return t.before.reply()
	}
	req := &request{Request: r, Body: map[string]any{}, raw: raw}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &req.Body); err != nil || req.Body == nil {
			return failure(&apiError{Status: http.StatusBadRequest, Code: "json-parsing-error", Info: "the request body is not a JSON object"})
		}
	}
	result, refusal := handle(req)
	entry.Acted = refusal == nil
	if s.sleep(r.Context(), t.slowAfter) != nil {
		return nil
	}
	if t.after != nil {
		return t.after.reply()
	}
	switch {
	case refusal != nil:
		return failure(refusal)
	case result == nil:
		return &reply{status: http.StatusOK, contentType: "application/json"}
	}
	return jsonReply(http.StatusOK, result)
}

func failure(err *apiError) *reply { return jsonReply(err.Status, err.body()) }

func (s *Sim) authenticate(r *http.Request) *apiError {
	scheme, key, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || key == "" {
		return &apiError{
			Status: http.StatusBadRequest, Code: "authorization-header-error",
			Info: "the Authorization header is missing or is not 'Bearer <key>'",
		}
	}
	if key != s.cfg.APIKey {
		return errorFor(http.StatusUnauthorized)
	}
	return nil
}

func (s *Sim) record(entry Request, r *http.Request, answer *reply) {
	entry.Took = Duration(time.Since(entry.At))
	if answer != nil {
		entry.Status = answer.status
	}
	name := entry.Method + " " + template(r.Pattern)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts[name] == nil {
		s.counts[name] = map[int]int{}
	}
	s.counts[name][entry.Status]++
	s.requests.add(func(seq int) Request { entry.Seq = seq; return entry })
	s.touch()
}

// template is the path of a route as REST knows it: "/rooms/{name}".
func template(pattern string) string {
	_, p, ok := strings.Cut(pattern, " ")
	if !ok {
		return "(unknown)"
	}
	return strings.TrimPrefix(strings.TrimSuffix(p, "{$}"), "/v1")
}
