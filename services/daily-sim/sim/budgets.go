// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"net/http"
	"strconv"
	"time"
)

// The classes of endpoints that have a budget of their own.
const (
	classMost   = "most"
	classDelete = "delete"
	classDial   = "dial"
)

// window counts requests in a sliding stretch of time.
type window struct {
	limit int
	span  time.Duration
	times []time.Time
}

func newBudgets(b Budgets) map[string]*window {
	if b.Lifted {
		return nil
	}
	budgets := map[string]*window{}
	for class, each := range map[string]Budget{classMost: b.Most, classDelete: b.Delete, classDial: b.Dial} {
		budgets[class] = &window{limit: each.Limit, span: each.Window.Std()}
	}
	return budgets
}

// take uses one request, or tells when the next one is free. A refused request uses nothing.
func (w *window) take(now time.Time) (wait time.Duration, ok bool) {
	for len(w.times) > 0 && now.Sub(w.times[0]) >= w.span {
		w.times = w.times[1:]
	}
	if len(w.times) >= w.limit {
		return w.span - now.Sub(w.times[0]), false
	}
	w.times = append(w.times, now)
	return 0, true
}

// budget refuses with Daily's 429 what is over the limit of its class.
func (s *Sim) budget(class string, header http.Header) *apiError {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.budgets[class]
	if w == nil {
		return nil
	}
	wait, ok := w.take(time.Now())
	if ok {
		return nil
	}
	if s.cfg.RetryAfter {
		header.Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
	}
	return errorFor(http.StatusTooManyRequests)
}
