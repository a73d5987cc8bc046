// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"maps"
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
	checkCircles(d, c.Targets)
	for name, t := range c.Targets {
		path := child("targets", name)
		checkTarget(d, path, t, c.Region)
		checkNoAnswer(d, child(path, "no_answer"), t.NoAnswer, names)
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

func checkNoAnswer(d *document, path string, n NoAnswer, names []string) {
	then, target, message := child(path, "then"), child(path, "target"), child(path, "message")
	switch {
	case n.Then != ThenTarget:
		if n.Target != "" {
			d.report(target, "is for then: target alone", then)
		}
	case n.Target == "":
		d.report(path, "must name a target, as it says then: target", target)
	default:
		isTarget(d, target, n.Target, names)
	}
	if n.Then != ThenEnd && n.Message != "" {
		d.report(message, "is for then: end alone", then)
	}
}

// checkCircles wants a caller for whom nobody answers to come to an end. Each circle is told once.
func checkCircles(d *document, targets map[string]Target) {
	seen := map[string]bool{}
	for _, first := range slices.Sorted(maps.Keys(targets)) {
		var way []string
		name := first
		for t, ok := targets[name]; ok && t.NoAnswer.Then == ThenTarget && !seen[name]; t, ok = targets[name] {
			seen[name] = true
			way = append(way, name)
			name = t.NoAnswer.Target
		}
		if i := slices.Index(way, name); i >= 0 {
			path := child(child(child("targets", name), "no_answer"), "target")
			d.report(path, "leads back to where it began: "+strings.Join(append(way[i:], name), ", "))
		}
	}
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
