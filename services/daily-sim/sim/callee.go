// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
)

// Callee is a phone that is called, or all phones whose number fits a pattern. A phone that no callee fits answers.
type Callee struct {
	// Number is a number, a SIP URI without parameters, or a pattern in which * stands for any part of one.
	Number string `json:"number" yaml:"number"`
	// Dials is what the phone does at the first dial, at the second, and so on; the last one goes on for ever. Each
	// number that fits a pattern counts for itself.
	Dials []Behaviour `json:"dials" yaml:"dials"`
	// Dialled counts the dials it was asked about; it is only reported.
	Dialled int `json:"dialled" yaml:"-"`
}

// Behaviour is what a called phone does at one dial.
type Behaviour struct {
	// Does is one of the constants below; empty is answer.
	Does string `json:"does,omitempty" yaml:"does"`
	// After is how long it takes: from the first ring, or from the start for what does not ring. 0 = as set for the domain.
	After Duration `json:"after,omitempty" yaml:"after"`
	// Talk is how long after the answer the phone hangs up; 0 = it stays.
	Talk Duration `json:"talk,omitempty" yaml:"talk"`
	// Ends is how Daily tells of a dial without an answer: stopped, error, error-then-stopped; empty = as set for the domain.
	Ends string `json:"ends,omitempty" yaml:"ends"`
	// Text is the text of the error, empty unless given; Status is of a start-error, 400 unless given.
	Text   string `json:"text,omitempty" yaml:"text"`
	Status int    `json:"status,omitempty" yaml:"status"`
	// NamesCause tells, unlike Daily, why there was no answer.
	NamesCause bool `json:"names_cause,omitempty" yaml:"names_cause"`
	// Warning is the text of a warning that is told on the way; empty = none.
	Warning string `json:"warning,omitempty" yaml:"warning"`
}

// What a called phone can do.
const (
	DoesAnswer     = "answer"
	DoesVoicemail  = "voicemail"   // answers, and is a machine
	DoesNoAnswer   = "no-answer"   // rings, until somebody gives up
	DoesReject     = "reject"      // rings and is declined
	DoesBusy       = "busy"        // does not ring
	DoesInvalid    = "invalid"     // there is no such number
	DoesError      = "error"       // some other error on the way
	DoesStartError = "start-error" // the start itself is refused, and nobody is called
)

func checkCallees(list []Callee) error {
	var errs []error
	seen := map[string]bool{}
	for i, c := range list {
		at := fmt.Sprintf("callees[%d].", i)
		if err := c.check(at); err != nil {
			errs = append(errs, err)
		}
		if seen[c.Number] {
			errs = append(errs, fmt.Errorf("%snumber: %q is there twice", at, c.Number))
		}
		seen[c.Number] = true
	}
	return errors.Join(errs...)
}

func (c Callee) check(at string) error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s%s: %s", at, field, fmt.Sprintf(format, args...)))
	}
	if _, err := path.Match(c.Number, ""); err != nil || c.Number == "" {
		bad("number", "%q is no number, SIP URI or pattern", c.Number)
	}
	if len(c.Dials) == 0 {
		bad("dials", "must not be empty")
	}
	for i, b := range c.Dials {
		field := func(name string) string { return fmt.Sprintf("dials[%d].%s", i, name) }
		if !slices.Contains([]string{
			"", DoesAnswer, DoesVoicemail, DoesNoAnswer, DoesReject, DoesBusy, DoesInvalid, DoesError, DoesStartError,
		}, b.Does) {
			bad(field("does"), "%q is none of answer, voicemail, no-answer, reject, busy, invalid, error, start-error", b.Does)
		}
		if !slices.Contains([]string{"", endStopped, endError, endErrorThenStopped}, b.Ends) {
			bad(field("ends"), "%q is none of stopped, error, error-then-stopped", b.Ends)
		}
		if b.Status != 0 && (b.Status < 400 || b.Status > 599) {
			bad(field("status"), "%d is not the status of an error", b.Status)
		}
	}
	return errors.Join(errs...)
}

// callee is a Callee with its counts.
type callee struct {
	Callee
	tries map[string]int // by number
}

func newCallee(c Callee) *callee {
	c.Dials, c.Dialled = slices.Clone(c.Dials), 0
	return &callee{Callee: c, tries: map[string]int{}}
}

func newCallees(list []Callee) []*callee {
	var all []*callee
	for _, c := range list {
		all = append(all, newCallee(c))
	}
	return all
}

func (c *callee) fits(target string) bool {
	ok, _ := path.Match(c.Number, target)
	return ok || c.Number == target
}

// behaviour is what target does at this dial, of the first callee that fits; mu is held.
func (s *Sim) behaviour(target string) Behaviour {
	for _, c := range s.callees {
		if !c.fits(target) {
			continue
		}
		b := c.Dials[min(c.tries[target], len(c.Dials)-1)]
		c.tries[target]++
		c.Dialled++
		s.touch()
		if b.Does == "" {
			b.Does = DoesAnswer
		}
		return b
	}
	return Behaviour{Does: DoesAnswer}
}

// SetCallees replaces all callees, of which the first that fits a number counts; the error names every bad field.
func (s *Sim) SetCallees(list ...Callee) error {
	if err := checkCallees(list); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callees = newCallees(list)
	s.touch()
	return nil
}

// SetCallee sets one callee, before all others, and begins its dials anew.
func (s *Sim) SetCallee(c Callee) error {
	if err := c.check(""); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callees = slices.DeleteFunc(s.callees, func(other *callee) bool { return other.Number == c.Number })
	s.callees = slices.Insert(s.callees, 0, newCallee(c))
	s.touch()
	return nil
}

// Callees tells what phones do at present.
func (s *Sim) Callees() []Callee {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Callee{}
	for _, c := range s.callees {
		list = append(list, c.Callee)
	}
	return list
}

// refusal is the answer to a start that is to fail at once.
func (b Behaviour) refusal() *apiError {
	status := b.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	err := errorFor(status)
	err.Info = b.Text
	return err
}
