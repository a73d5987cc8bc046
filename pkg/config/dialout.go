// SPDX-License-Identifier: Apache-2.0

package config

import (
	"regexp"
	"time"
)

// Dialout is how people are called.
type Dialout struct {
	RingTimeout  time.Duration `yaml:"ring_timeout"`  // then we hang up, as no_answer
	MaxDuration  time.Duration `yaml:"max_duration"`  // of the call, from the answer
	AnswerBudget time.Duration `yaml:"answer_budget"` // how long an attempt may be without a bot
	Window       time.Duration `yaml:"window"`        // from not_before to not_after, where the request names none
	LostAfter    time.Duration `yaml:"lost_after"`    // after which a dial of which nothing is known is given up
	Retries      []Retry       `yaml:"retries"`       // a cause that is not there is not tried again
	Errors       []DialError   `yaml:"errors"`        // before the built-in ones; the first that matches counts
}

// A Retry says when a person is called again, and how often, after one cause.
type Retry struct {
	Cause string        `yaml:"cause"` // no_answer, not_answered, error or voicemail; each at most once
	Delay time.Duration `yaml:"delay"` // from the failure to the next dial
	Limit int           `yaml:"limit"` // how often
}

// A DialError says what a text of Daily's means.
type DialError struct {
	Pattern string `yaml:"pattern"` // see Regexp
	// Cause is no_answer, not_answered or error, each tried again as such, or
	// a definite no: invalid_number, not_enabled or international.
	Cause string `yaml:"cause"`
}

// Regexp matches the texts that are meant, in whatever case.
func (e DialError) Regexp() (*regexp.Regexp, error) { return regexp.Compile("(?i)" + e.Pattern) }

// Policy is what every dial-out must pass; what it does not allow is refused.
type Policy struct {
	Countries       []string  `yaml:"countries"`        // ISO 3166, two letters; none: nobody may be called
	BlockedPrefixes []string  `yaml:"blocked_prefixes"` // beginnings of E.164 numbers, such as "+1900"
	DoNotCall       string    `yaml:"do_not_call"`      // path of a file, a number a line; empty: none
	Hours           Hours     `yaml:"hours"`            // where the callee is
	PerNumber       PerNumber `yaml:"per_number"`
	MaxConcurrent   int       `yaml:"max_concurrent"` // dial-outs at once, of all agents
	PerSecond       float64   `yaml:"per_second"`     // dial-outs begun, of all agents
}

// Hours are when people may be called. From is later than To where midnight
// lies between them.
type Hours struct {
	From string   `yaml:"from"` // the first minute, such as "09:00"; empty, as To: the whole day
	To   string   `yaml:"to"`   // the first minute that is too late
	Days []string `yaml:"days"` // mon to sun, those on which the hours begin; none: every day
}

// PerNumber is how often one number may be dialled.
type PerNumber struct {
	Calls  int           `yaml:"calls"`  // dials in any window; 0: no limit
	Window time.Duration `yaml:"window"` // no longer than the stream keeps calls
}

func defaultDialout() Dialout {
	return Dialout{
		RingTimeout:  40 * time.Second,
		MaxDuration:  time.Hour,
		AnswerBudget: 60 * time.Second,
		Window:       24 * time.Hour,
		LostAfter:    90 * time.Second,
		Retries: []Retry{
			{Cause: "no_answer", Delay: 15 * time.Minute, Limit: 2},
			{Cause: "not_answered", Delay: 15 * time.Minute, Limit: 2},
			{Cause: "error", Delay: 5 * time.Minute, Limit: 1},
		},
		Errors: []DialError{},
	}
}

func defaultPolicy() Policy {
	return Policy{
		Countries:       []string{},
		BlockedPrefixes: []string{},
		Hours:           Hours{Days: []string{}},
		PerNumber:       PerNumber{Calls: 3, Window: 24 * time.Hour},
		MaxConcurrent:   50,
		PerSecond:       1,
	}
}
