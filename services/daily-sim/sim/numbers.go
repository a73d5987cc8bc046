// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// phoneNumber is a purchased number. Those of the settings were bought long ago.
type phoneNumber struct {
	id, number string
	boughtAt   time.Time
}

func (s *Sim) listNumbers(r *request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	filter := r.URL.Query().Get("filter_number")
	var found []*phoneNumber
	for _, n := range slices.Backward(s.bought) {
		if filter == "" || n.number == filter {
			found = append(found, n)
		}
	}
	return paged(r, found, func(n *phoneNumber) string { return n.id }, func(n *phoneNumber) any {
		return map[string]any{
			"id": n.id, "name": n.number, "number": n.number, "created_date": iso(n.boughtAt),
			"type": "purchased_phone_number", "status": "verified", "verified": true,
		}
	})
}

func (s *Sim) buyNumber(r *request) (any, *apiError) {
	number, err := fieldString(r.Body, "number")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if number == "" {
		number = fmt.Sprintf("+1209%07d", s.rand.Intn(10_000_000))
	}
	for _, n := range s.bought {
		if n.number == number {
			return nil, invalid("phone number %s is not available", number)
		}
	}
	n := &phoneNumber{id: uuid.NewString(), number: number, boughtAt: time.Now()}
	s.bought = append(s.bought, n)
	return map[string]any{"id": n.id, "number": n.number}, nil
}

// releaseNumber gives a number back, with its dial-in config; Daily refuses in the first 14 days.
func (s *Sim) releaseNumber(r *request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.bought, func(n *phoneNumber) bool { return n.id == r.PathValue("id") })
	if i < 0 {
		return nil, notFound("phone number %s not found", r.PathValue("id"))
	}
	n := s.bought[i]
	if time.Since(n.boughtAt) < s.cfg.NumberReleaseAge.Std() {
		return nil, invalid("Failed to release new number, try again in 14 days")
	}
	s.bought = slices.Delete(s.bought, i, i+1)
	s.configs = slices.DeleteFunc(s.configs, func(c *dialinConfig) bool { return c.text("phone_number") == n.number })
	s.touch()
	return map[string]any{"deleted": true, "id": n.id}, nil
}
