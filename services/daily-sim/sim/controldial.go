// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

func (s *Sim) controlDials(_ http.ResponseWriter, r *http.Request) (any, *apiError) {
	q := r.URL.Query()
	list := slices.DeleteFunc(s.Dials(), func(d Dial) bool {
		return q.Get("to") != "" && d.To != q.Get("to") || q.Get("room") != "" && d.Room != q.Get("room") ||
			q.Get("state") != "" && d.State != q.Get("state")
	})
	return map[string]any{"total": len(list), "data": list}, nil
}

func (s *Sim) controlDial(_ http.ResponseWriter, r *http.Request) (any, *apiError) {
	return await(s, r, "dial", []string{Dialling, Ringing, Answered, Ended}, s.Dial, func(d Dial) string { return d.State })
}

func (s *Sim) controlAnswerDial(_ http.ResponseWriter, r *http.Request) (any, *apiError) {
	return s.dialDone(r, s.AnswerDial)
}

func (s *Sim) controlHangupDial(_ http.ResponseWriter, r *http.Request) (any, *apiError) {
	return s.dialDone(r, s.HangupDial)
}

func (s *Sim) dialDone(r *http.Request, do func(id string) error) (any, *apiError) {
	id := r.PathValue("id")
	switch err := do(id); {
	case errors.Is(err, ErrNotFound):
		return nil, notFound("dial %s not found", id)
	case err != nil:
		return nil, invalid("the dial has ended")
	}
	d, _ := s.Dial(id)
	return d, nil
}

func (s *Sim) controlCallees(http.ResponseWriter, *http.Request) (any, *apiError) {
	return map[string]any{"callees": s.Callees()}, nil
}

func (s *Sim) controlSetCallees(w http.ResponseWriter, r *http.Request) (any, *apiError) {
	var all struct {
		Callees []Callee `json:"callees"`
	}
	if err := decode(w, r, &all); err != nil {
		return nil, err
	}
	return s.calleesSet(s.SetCallees(all.Callees...))
}

func (s *Sim) controlSetCallee(w http.ResponseWriter, r *http.Request) (any, *apiError) {
	one := Callee{}
	if err := decode(w, r, &one); err != nil {
		return nil, err
	}
	one.Number = r.PathValue("number")
	return s.calleesSet(s.SetCallee(one))
}

func (s *Sim) calleesSet(err error) (any, *apiError) {
	if err != nil {
		return nil, invalid("%v", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return s.controlCallees(nil, nil)
}
