// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/trunkline/trunkline/pkg/phone"
)

// afterwards is how long the record of a dial-out is kept beyond its end, at
// least: a repeated request finds its call again, and people can look it up.
const afterwards = 24 * time.Hour

func checkDialout(d *document, c *Config) {
	within(d, "dialout.ring_timeout", c.Dialout.RingTimeout, time.Second, 5*time.Minute)
	within(d, "dialout.max_duration", c.Dialout.MaxDuration, time.Second, 24*time.Hour)
	positive(d, "dialout.answer_budget", c.Dialout.AnswerBudget)
	positive(d, "dialout.window", c.Dialout.Window)
	if positive(d, "dialout.lost_after", c.Dialout.LostAfter) && c.Dialout.LostAfter <= c.Dialout.RingTimeout {
		d.report("dialout.lost_after", "must be longer than dialout.ring_timeout ("+span(c.Dialout.RingTimeout)+"), or a phone is given up while it rings", "dialout.ring_timeout")
	}
	causes := map[string]int{}
	for i, r := range c.Dialout.Retries {
		path := item("dialout.retries", i)
		if first, ok := causes[r.Cause]; ok {
			d.report(child(path, "cause"), fmt.Sprintf("%s is that of retries[%d], too", r.Cause, first))
		} else {
			causes[r.Cause] = i
		}
		within(d, child(path, "delay"), r.Delay, time.Second, 168*time.Hour)
	}
	for i, e := range c.Dialout.Errors {
		if _, err := e.Regexp(); err != nil {
			d.report(child(item("dialout.errors", i), "pattern"), "is not a regular expression: "+err.Error())
		}
	}
}

func checkPolicy(d *document, c *Config) {
	p := c.Policy
	for i, region := range p.Countries {
		if !phone.KnownRegion(region) {
			d.report(item("policy.countries", i), "is not a region that has phone numbers")
		}
	}
	checkHours(d, "policy.hours", p.Hours)
	positive(d, "policy.per_number.window", p.PerNumber.Window)
	if p.PerSecond <= 0 {
		d.report("policy.per_second", "must be more than 0")
	}
	if len(p.Countries) > 0 { // else nobody is called, and nothing below matters
		checkDialoutFits(d, c)
	}
}

func checkHours(d *document, path string, h Hours) {
	from, to := child(path, "from"), child(path, "to")
	switch {
	case (h.From == "") != (h.To == ""):
		d.report(path, "must have both from and to, or neither", from, to)
	case h.From != "" && h.From == h.To:
		d.report(to, "must not be "+from+"; leave both out for the whole day", from)
	}
}

// checkDialoutFits wants bots to have the time they need to get ready, and the
// stream to keep what dial-outs are decided by.
func checkDialoutFits(d *document, c *Config) {
	budget := c.Dialout.AnswerBudget
	for _, name := range slices.Sorted(maps.Keys(c.Agents)) {
		a, ready := c.Agents[name], child(child("agents", name), "ready_timeout")
		switch _, written := d.lines["dialout.answer_budget"]; {
		case budget <= 0 || a.ReadyTimeout < budget:
		case written:
			d.report("dialout.answer_budget", fmt.Sprintf("%s must be longer than %s (%s)", span(budget), ready, span(a.ReadyTimeout)), ready)
		default:
			d.report(ready, fmt.Sprintf("%s must be shorter than dialout.answer_budget (%s)", span(a.ReadyTimeout), span(budget)))
		}
	}
	// The last attempt begins at the end of the window.
	longest := c.Dialout.Window + budget + c.Dialout.LostAfter + c.Dialout.MaxDuration
	if longest < 0 || longest+afterwards >= c.NATS.MaxAge {
		keep := "must be longer than a dial-out can last, and a day (" + span(max(longest, c.Dialout.Window)+afterwards) + ")"
		path, depends := "dialout.window", "nats.max_age"
		text := "a dial-out would last longer than nats.max_age (" + span(c.NATS.MaxAge) + "), less a day, keeps it"
		if _, written := d.lines["nats.max_age"]; written {
			path, depends, text = depends, path, keep
		}
		d.report(path, text, depends, "dialout.answer_budget", "dialout.lost_after", "dialout.max_duration")
	}
	if p := c.Policy.PerNumber; p.Calls > 0 && p.Window > c.NATS.MaxAge {
		d.report("policy.per_number.window", "must not be longer than nats.max_age ("+span(c.NATS.MaxAge)+"): older dials are forgotten", "nats.max_age")
	}
}

func within(d *document, path string, v, least, most time.Duration) {
	switch {
	case v < least:
		d.report(path, "must be at least "+span(least))
	case v > most:
		d.report(path, "must be at most "+span(most))
	}
}
