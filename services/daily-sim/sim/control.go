// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
)

// control serves what only a simulator can tell and do.
func (s *Sim) control(mux *http.ServeMux) {
	for pattern, handle := range map[string]plainHandler{
		"POST /sim/calls":             s.controlPlace,
		"GET /sim/calls":              s.controlCalls,
		"GET /sim/calls/{id}":         s.controlCall,
		"POST /sim/calls/{id}/hangup": s.controlHangup,
		"GET /sim/dials":              s.controlDials,
		"GET /sim/dials/{id}":         s.controlDial,
		"POST /sim/dials/{id}/answer": s.controlAnswerDial,
		"POST /sim/dials/{id}/hangup": s.controlHangupDial,
		"GET /sim/callees":            s.controlCallees,
		"PUT /sim/callees":            s.controlSetCallees,
		"PUT /sim/callees/{number}":   s.controlSetCallee,
		"GET /sim/faults":             s.controlFaults,
		"PUT /sim/faults":             s.controlSetFaults,
		"GET /sim/stats":              s.controlStats,
		"GET /sim/rooms":              s.controlRooms,
		"GET /sim/rooms/{name}/hears": s.controlHears,
		"GET /sim/rooms/{name}/heard": s.controlHeard,
		"POST /sim/rooms/{name}/say":  s.controlSay,
		"GET /sim/transfers":          s.controlTransfers,
		"GET /sim/requests":           s.controlRequests,
		"GET /sim/deliveries":         s.controlDeliveries,
		"/sim/":                       s.controlUnknown,
	} {
		mux.HandleFunc(pattern, plain(handle))
	}
}

type plainHandler = func(http.ResponseWriter, *http.Request) (any, *apiError)

// plain serves what needs no key and has no budget.
func plain(handle plainHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := handle(w, r)
		if err != nil {
			failure(err).send(w)
			return
		}
		jsonReply(http.StatusOK, v).send(w)
	}
}

func (s *Sim) controlPlace(w http.ResponseWriter, r *http.Request) (any, *apiError) {
	var spec CallSpec
	if err := decode(w, r, &spec); err != nil {
		return nil, err
	}
	c, err := s.PlaceCall(spec)
	if err != nil {
		return nil, invalid("%v", err)
	}
	return c, nil
}

func (s *Sim) controlCalls(_ http.ResponseWriter, r *http.Request) (any, *apiError) {
	calls := s.Calls()
	if state := r.URL.Query().Get("state"); state != "" {
		calls = slices.DeleteFunc(calls, func(c Call) bool { return c.State != state })
	}
	return map[string]any{"total": len(calls), "data": calls}, nil
}

func (s *Sim) controlCall(_ http.ResponseWriter, r *http.Request) (any, *apiError) {
	return await(s, r, "call", []string{Holding, Forwarded, Connected, Transferred, Ended}, s.Call, func(c Call) string { return c.State })
}

// await tells about a call or a dial; ?wait=connected,ended&timeout=10s answers when it is in one of these states, or
// 408.
func await[T any](s *Sim, r *http.Request, what string, known []string, get func(id string) (T, bool), state func(T) string) (any, *apiError) {
	id := r.PathValue("id")
	found, ok := get(id)
	wait := r.URL.Query().Get("wait")
	if wait == "" && ok {
		return found, nil
	}
	states := strings.Split(wait, ",")
	for _, st := range states {
		if wait != "" && !slices.Contains(known, st) {
			return nil, invalid("wait: %q is none of %s", st, strings.Join(known, ", "))
		}
	}
	limit := Duration(30 * time.Second)
	if v := r.URL.Query().Get("timeout"); v != "" {
		if err := limit.UnmarshalText([]byte(v)); err != nil {
			return nil, invalid("timeout: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), limit.Std())
	defer cancel()
	err := s.WaitFor(ctx, func() bool {
		found, ok = get(id)
		return !ok || slices.Contains(states, state(found))
	})
	switch {
	case !ok:
		return nil, notFound("%s %s not found", what, id)
	case err != nil:
		return nil, &apiError{Status: http.StatusRequestTimeout, Code: "timeout", Info: "the " + what + " is " + state(found)}
	}
	return found, nil
}

// WaitForCall returns the call when cond is true of it, or as it is when ctx ends, with the error.
func (s *Sim) WaitForCall(ctx context.Context, id string, cond func(Call) bool) (Call, error) {
	var c Call
	missing := false
	err := s.WaitFor(ctx, func() bool {
		var ok bool
		c, ok = s.Call(id)
		missing = !ok
		return missing || cond(c)
	})
	if missing {
		return Call{}, ErrNotFound
	}
	return c, err
}

func (s *Sim) controlHangup(_ http.ResponseWriter, r *http.Request) (any, *apiError) {
	id := r.PathValue("id")
	if s.Hangup(id) != nil {
		return nil, notFound("call %s not found", id)
	}
	c, _ := s.Call(id)
	return c, nil
}

func (s *Sim) controlFaults(http.ResponseWriter, *http.Request) (any, *apiError) {
	return s.Faults(), nil
}

func (s *Sim) controlSetFaults(w http.ResponseWriter, r *http.Request) (any, *apiError) {
	var f Faults
	if err := decode(w, r, &f); err != nil {
		return nil, err
	}
	if err := s.SetFaults(f); err != nil {
		return nil, invalid("%v", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return s.Faults(), nil
}

func (s *Sim) controlStats(http.ResponseWriter, *http.Request) (any, *apiError) {
	return s.Stats(), nil
}

func (s *Sim) controlRooms(http.ResponseWriter, *http.Request) (any, *apiError) {
	rooms := s.Rooms()
	return map[string]any{"total": len(rooms), "data": rooms}, nil
}

func (s *Sim) controlRequests(_ http.ResponseWriter, r *http.Request) (any, *apiError) {
	q := r.URL.Query()
	list := slices.DeleteFunc(s.Requests(), func(e Request) bool {
		return q.Get("method") != "" && e.Method != q.Get("method") || q.Get("path") != "" && !strings.HasPrefix(e.Path, q.Get("path"))
	})
	return map[string]any{"total": len(list), "data": list}, nil
}

func (s *Sim) controlDeliveries(_ http.ResponseWriter, r *http.Request) (any, *apiError) {
	q := r.URL.Query()
	list := slices.DeleteFunc(s.Deliveries(), func(d Delivery) bool {
		return q.Get("kind") != "" && d.Kind != q.Get("kind") || q.Get("type") != "" && d.Type != q.Get("type")
	})
	return map[string]any{"total": len(list), "data": list}, nil
}

func (s *Sim) controlUnknown(_ http.ResponseWriter, r *http.Request) (any, *apiError) {
	return nil, notFound("%s %s is no control request", r.Method, r.URL.Path)
}
