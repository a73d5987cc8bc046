// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

// Faults is everything that goes wrong at present; the zero value is a good day.
type Faults struct {
	REST          []Fault       `json:"rest" yaml:"rest"`
	DialinWebhook WebhookFaults `json:"dialin_webhook" yaml:"dialin_webhook"`
	Events        WebhookFaults `json:"events" yaml:"events"`
}

// Fault is one thing that goes wrong with REST requests.
type Fault struct {
	// Class is a budget class ("most", "delete", "dial") or empty for all; Match is "METHOD /path", "/path" or
	// empty, where * stands for one path segment or part of one ("POST /rooms/*/eject"). All must fit.
	Class string `json:"class,omitempty" yaml:"class"`
	Match string `json:"match,omitempty" yaml:"match"`
	// Body is a text that the request's body has in it, such as a call's id; empty for any.
	Body string `json:"body,omitempty" yaml:"body"`
	// Kind is status, garbage, empty, slow or drop.
	Kind   string   `json:"kind" yaml:"kind"`
	Status int      `json:"status,omitempty" yaml:"status"`
	Delay  Duration `json:"delay,omitempty" yaml:"delay"`
	// When is before (nothing happens; the default) or after (the effect happened, the answer is lost).
	When string `json:"when,omitempty" yaml:"when"`
	// Probability is of 1, the default; Times is how often, 0 = until switched off.
	Probability float64 `json:"probability,omitempty" yaml:"probability"`
	Times       int     `json:"times,omitempty" yaml:"times"`
	// Hits counts how often it struck; it is only reported.
	Hits int `json:"hits" yaml:"-"`
}

// WebhookFaults are probabilities, drawn for every webhook sent.
type WebhookFaults struct {
	Lose           float64  `json:"lose" yaml:"lose"`
	Duplicate      float64  `json:"duplicate" yaml:"duplicate"`
	DuplicateAfter Duration `json:"duplicate_after" yaml:"duplicate_after"`
	// DuplicateNewID gives the duplicate of an event another id, as Daily at times does.
	DuplicateNewID bool    `json:"duplicate_new_id" yaml:"duplicate_new_id"`
	Delay          float64 `json:"delay" yaml:"delay"`
	// DelayMax bounds the delay, which is drawn evenly; default 1s.
	DelayMax Duration `json:"delay_max" yaml:"delay_max"`
	// Reorder sends an event after the one that follows it, or after ReorderWithin (default 500ms) if none does.
	Reorder       float64  `json:"reorder" yaml:"reorder"`
	ReorderWithin Duration `json:"reorder_within" yaml:"reorder_within"`
}

const (
	faultStatus  = "status"
	faultGarbage = "garbage"
	faultEmpty   = "empty"
	faultSlow    = "slow"
	faultDrop    = "drop"
)

func (f Faults) validate() error {
	var errs []error
	for i, r := range f.REST {
		at := fmt.Sprintf("rest[%d].", i)
		if !slices.Contains([]string{faultStatus, faultGarbage, faultEmpty, faultSlow, faultDrop}, r.Kind) {
			errs = append(errs, fmt.Errorf("%skind: %q is none of status, garbage, empty, slow, drop", at, r.Kind))
		}
		if !slices.Contains([]string{"", "before", "after"}, r.When) {
			errs = append(errs, fmt.Errorf("%swhen: %q is neither before nor after", at, r.When))
		}
		if !slices.Contains([]string{"", classMost, classDelete, classDial}, r.Class) {
			errs = append(errs, fmt.Errorf("%sclass: %q is none of most, delete, dial", at, r.Class))
		}
		if r.Kind == faultStatus && (r.Status < 200 || r.Status > 599) {
			errs = append(errs, fmt.Errorf("%sstatus: %d is not an HTTP status", at, r.Status))
		}
		if r.Kind == faultSlow && r.Delay <= 0 {
			errs = append(errs, fmt.Errorf("%sdelay: must be more than zero", at))
		}
		if _, pattern := r.target(); pattern != "" {
			if _, err := path.Match(pattern, "/"); err != nil || !strings.HasPrefix(pattern, "/") {
				errs = append(errs, fmt.Errorf("%smatch: %q is not \"METHOD /path\"", at, r.Match))
			}
		}
		errs = append(errs, chance(at+"probability", r.Probability))
		if r.Times < 0 {
			errs = append(errs, fmt.Errorf("%stimes: must not be negative", at))
		}
	}
	for name, w := range map[string]WebhookFaults{"dialin_webhook.": f.DialinWebhook, "events.": f.Events} {
		errs = append(errs, chance(name+"lose", w.Lose), chance(name+"duplicate", w.Duplicate),
			chance(name+"delay", w.Delay), chance(name+"reorder", w.Reorder))
	}
	return errors.Join(errs...)
}

func chance(field string, p float64) error {
	if p < 0 || p > 1 {
		return fmt.Errorf("%s: %v is not between 0 and 1", field, p)
	}
	return nil
}

func (r Fault) target() (method, pattern string) {
	if method, pattern, ok := strings.Cut(r.Match, " "); ok {
		return method, pattern
	}
	return "", r.Match
}

func (r Fault) fits(class, method, requested string, body []byte) bool {
	if r.Class != "" && r.Class != class || !bytes.Contains(body, []byte(r.Body)) {
		return false
	}
	m, pattern := r.target()
	if m != "" && !strings.EqualFold(m, method) && m != "*" {
		return false
	}
	if pattern == "" {
		return true
	}
	ok, _ := path.Match(pattern, requested)
	return ok
}

// fresh is a copy with nothing counted.
func (f Faults) fresh() Faults {
	f.REST = append([]Fault{}, f.REST...)
	for i := range f.REST {
		f.REST[i].Hits = 0
	}
	return f
}

// SetFaults replaces all faults; the error names every bad field.
func (s *Sim) SetFaults(f Faults) error {
	if err := f.validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f.fresh()
	s.touch()
	return nil
}

// Faults tells what goes wrong at present and how often it did.
func (s *Sim) Faults() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.faults
	f.REST = append([]Fault{}, f.REST...)
	return f
}

// trouble is what the faults decided for one request.
type trouble struct {
	slowBefore, slowAfter time.Duration
	before, after         *Fault
	names                 []string
}

func (s *Sim) trouble(class, method, requested string, body []byte) trouble {
	s.mu.Lock()
	defer s.mu.Unlock()
	var t trouble
	for i := range s.faults.REST {
		r := &s.faults.REST[i]
		if !r.fits(class, method, requested, body) || r.Times > 0 && r.Hits >= r.Times {
			continue
		}
		after := r.When == "after"
		if r.Kind != faultSlow && (t.before != nil || after && t.after != nil) {
			continue // one answer is enough
		}
		if r.Probability > 0 && s.rand.Float64() >= r.Probability {
			continue
		}
		r.Hits++
		switch chosen := *r; {
		case r.Kind == faultSlow && after:
			t.slowAfter += r.Delay.Std()
		case r.Kind == faultSlow:
			t.slowBefore += r.Delay.Std()
		case after:
			t.after = &chosen
		default:
			t.before = &chosen
		}
		t.names = append(t.names, r.name())
	}
	return t
}

func (r Fault) name() string {
	name := r.Kind
	if r.Kind == faultStatus {
		name = fmt.Sprint(r.Status)
	}
	if r.When == "after" {
		name += " after"
	}
	return name
}

// reply is the answer of a fault in place of the true one; nil drops the connection.
func (r Fault) reply() *reply {
	switch r.Kind {
	case faultDrop:
		return nil
	case faultStatus:
		return jsonReply(r.Status, errorFor(r.Status).body())
	}
	status := r.Status
	if status == 0 {
		status = http.StatusOK
	}
	if r.Kind == faultEmpty {
		return &reply{status: status, contentType: "application/json"}
	}
	return &reply{status: status, contentType: "text/html", body: []byte("<html><body>\x00 upstream {\"ok\": tru")}
}
