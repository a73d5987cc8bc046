// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // time zones are checked on machines that have none of their own

	"github.com/trunkline/trunkline/pkg/phone"
)

func checkTransfer(d *document, c *Config) {
	t := c.Transfer
	within(d, "transfer.announce_timeout", t.AnnounceTimeout, time.Second, 5*time.Minute)
	within(d, "transfer.brief_timeout", t.BriefTimeout, time.Second, 5*time.Minute)
	within(d, "transfer.message_timeout", t.MessageTimeout, time.Second, 5*time.Minute)
	within(d, "transfer.lost_after", t.LostAfter, 5*time.Second, 5*time.Minute)
	checkURL(d, "transfer.url", t.URL, true, "http", "https")
}

func checkTargets(d *document, c *Config) {
	names := d.names("targets")
	used := map[string]bool{}
	// What a target leads to is used as well.
	use := func(path, name string) {
		if !isTarget(d, path, name, names) {
			return
		}
		for t, ok := c.Targets[name]; ok && !used[name]; t, ok = c.Targets[name] {
			used[name], name = true, t.NoAnswer.Target
		}
	}
	for agent, a := range c.Agents {
		for i, name := range a.Targets {
			use(item(child(child("agents", agent), "targets"), i), name)
		}
	}
	for i, r := range c.Routes {
		if r.Overflow == "" {
			continue
		}
		path := child(item("routes", i), "overflow")
		use(path, r.Overflow)
		if t, ok := c.Targets[r.Overflow]; ok && !slices.Contains(t.Modes, ModeCold) {
			modes := child(child("targets", r.Overflow), "modes")
			d.report(path, modes+" must have cold: there is no bot that could do anything else", modes)
		}
	}
	for name, t := range c.Targets {
		path := child("targets", name)
		checkTarget(d, path, t, c.Region)
		checkNoAnswer(d, path, t, c.Targets, names)
		if used[name] {
			checkCountries(d, child(path, "numbers"), t.Numbers, c)
		}
	}
}

func isTarget(d *document, path, name string, names []string) bool {
	ok := slices.Contains(names, name)
	if !ok {
		d.report(path, "there is no target of this name"+didYouMean(name, slices.Values(names)), "targets")
	}
	return ok
}

func checkTarget(d *document, path string, t Target, region string) {
	numbers := child(path, "numbers")
	seen := map[string]int{}
	for i, number := range t.Numbers {
		if !isNumber(d, item(numbers, i), number, region) {
			continue
		}
		normal, _ := phone.Normalize(number, region)
		key := strings.ToLower(normal)
		if first, ok := seen[key]; ok {
			d.report(item(numbers, i), fmt.Sprintf("is the same as [%d]", first))
			continue
		}
		seen[key] = i
	}
	if t.Strategy == AllAtOnce && len(t.Numbers) > MostAtOnce {
		d.report(numbers, fmt.Sprintf("must be at most %d to ring all at once: Daily has five phones in a room, and one is the caller's", MostAtOnce), child(path, "strategy"))
	}
	within(d, child(path, "ring_timeout"), t.RingTimeout, time.Second, 5*time.Minute)
	checkHours(d, child(path, "hours"), t.Hours.Hours)
	// Local is another zone on each machine.
	if _, err := time.LoadLocation(t.Hours.Timezone); err != nil || t.Hours.Timezone == "Local" {
		d.report(child(child(path, "hours"), "timezone"), "is not a time zone of the IANA database, such as Europe/Berlin")
	}
}

func checkNoAnswer(d *document, path string, t Target, targets map[string]Target, names []string) {
	path = child(path, "no_answer")
	then, target, message := child(path, "then"), child(path, "target"), child(path, "message")
	switch {
	case t.NoAnswer.Then != ThenTarget:
		if t.NoAnswer.Target != "" {
			d.report(target, "is for then: target alone", then)
		}
	case t.NoAnswer.Target == "":
		d.report(path, "must name a target, as it says then: target", target)
	case isTarget(d, target, t.NoAnswer.Target, names):
		if way := circle(t.Name, targets); way != nil {
			d.report(target, "leads back to where it began: "+strings.Join(way, ", "))
		}
	}
	if t.NoAnswer.Then != ThenEnd && t.NoAnswer.Message != "" {
		d.report(message, "is for then: end alone", then)
	}
}

// circle is the way from a target back to itself, if there is one.
func circle(name string, targets map[string]Target) []string {
	way := []string{name}
	for t := targets[name]; t.NoAnswer.Then == ThenTarget; t = targets[t.NoAnswer.Target] {
		way = append(way, t.NoAnswer.Target)
		if t.NoAnswer.Target == name {
			return way
		}
		if len(way) > len(targets) { // another circle, told by those in it
			return nil
		}
	}
	return nil
}

// checkCountries wants numbers that policy lets be called.
func checkCountries(d *document, path string, numbers []string, c *Config) {
	for i, number := range numbers {
		normal, err := phone.Normalize(number, c.Region)
		if err != nil || normal == "" || phone.IsSIP(normal) {
			continue
		}
		const refused = ": policy would refuse every call to it"
		region, countries := phone.Region(normal), c.Policy.Countries
		switch {
		case region == "":
			d.report(item(path, i), "belongs to no country"+refused)
		case len(countries) == 0:
			d.report(item(path, i), "belongs to "+region+", and policy.countries has none"+refused, "policy.countries")
		case !slices.Contains(countries, region):
			d.report(item(path, i), "belongs to "+region+", and policy.countries has "+strings.Join(countries, ", ")+refused, "policy.countries")
		}
	}
}
