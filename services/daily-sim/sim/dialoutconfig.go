// SPDX-License-Identifier: Apache-2.0

package sim

import "time"

// Dialout is how dial-outs behave; docs/daily-sim.md explains every field.
type Dialout struct {
	// What the domain may do.
	Approved      bool `json:"approved" yaml:"approved"`
	International bool `json:"international" yaml:"international"`

	// What Daily leaves open about a start.
	CallerID       string `json:"caller_id" yaml:"caller_id"`
	AlreadyStarted string `json:"already_started" yaml:"already_started"`
	ClientFields   string `json:"client_fields" yaml:"client_fields"`
	InvalidNumber  string `json:"invalid_number" yaml:"invalid_number"`

	// The way to an answer, or to none.
	RingDelay   Duration `json:"ring_delay" yaml:"ring_delay"`
	AnswerDelay Duration `json:"answer_delay" yaml:"answer_delay"`
	RingTimeout Duration `json:"ring_timeout" yaml:"ring_timeout"`
	Joins       string   `json:"joins" yaml:"joins"`
	Unanswered  string   `json:"unanswered" yaml:"unanswered"`
	NamesCause  bool     `json:"names_cause" yaml:"names_cause"`

	// Callees are the phones that do anything but answer.
	Callees []Callee `json:"callees" yaml:"callees"`
}

// How a dial without an answer ends.
const (
	endStopped          = "stopped"
	endError            = "error"
	endErrorThenStopped = "error-then-stopped"
)

func dialoutDefaults() Dialout {
	return Dialout{
		Approved:       true,
		CallerID:       "oldest",
		AlreadyStarted: "never",
		ClientFields:   "taken",
		InvalidNumber:  "error",
		RingDelay:      Duration(20 * time.Millisecond),
		AnswerDelay:    Duration(20 * time.Millisecond),
		RingTimeout:    Duration(time.Minute),
		Joins:          "connected",
		Unanswered:     endStopped,
	}
}

func (d Dialout) validate(oneOf func(field, value string, allowed ...string), bad func(field, format string, args ...any)) {
	oneOf("dialout.caller_id", d.CallerID, "oldest", "random")
	oneOf("dialout.already_started", d.AlreadyStarted, "never", "same-target", "any")
	oneOf("dialout.client_fields", d.ClientFields, "taken", "ignored", "refused")
	oneOf("dialout.invalid_number", d.InvalidNumber, "error", "refused")
	oneOf("dialout.joins", d.Joins, "connected", "answered")
	oneOf("dialout.unanswered", d.Unanswered, endStopped, endError, endErrorThenStopped)
	if err := checkCallees(d.Callees); err != nil {
		bad("dialout", "%v", err)
	}
}
