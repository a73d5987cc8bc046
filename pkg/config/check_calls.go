// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/trunkline/trunkline/pkg/phone"
)

func checkAgent(d *document, path string, a Agent, gateway string) {
	checkBackend(d, path, a, gateway)
	for i, text := range a.Command {
		p := item(child(path, "command"), i)
		if i == 0 && text == "" {
			d.report(p, "must name the program")
		}
		if _, err := commandTemplate(text); err != nil {
			d.report(p, err.Error())
		}
	}
	for name := range a.Env {
		if isSecretName(name) {
			d.report(child(child(path, "env"), name), "must not be given to a bot: it gets a token for its own call")
		}
	}
	for i, name := range a.PassEnv {
		p := item(child(path, "pass_env"), i)
		if isSecretName(name) {
			d.report(p, name+" must not be given to a bot: it gets a token for its own call")
		} else if _, ok := a.Env[name]; ok {
			d.report(p, name+" is set in env already")
		}
	}
	if a.Dial == "bot" && !a.Owner {
		d.report(child(path, "dial"), "needs owner: true, because Daily lets only owners dial", child(path, "owner"))
	}
	positive(d, child(path, "ready_timeout"), a.ReadyTimeout)
	lease, grace := child(path, "lease"), child(path, "kill_grace")
	wholeSeconds(d, lease, a.Lease, 3*time.Second)
	if positive(d, grace, a.KillGrace) && a.KillGrace >= a.Lease {
		d.report(grace, "must be shorter than lease ("+span(a.Lease)+"), or a slot is free while its bot lives", lease)
	}
}

func checkRoutes(d *document, c *Config) {
	var defaults []int
	agents := d.names("agents")
	numbers := map[string]int{}
	for i, r := range c.Routes {
		path := item("routes", i)
		switch {
		case r.Default && r.Number != "":
			d.report(child(path, "number"), "must not be given for the default route")
		case r.Number != "":
			checkNumber(d, child(path, "number"), r.Number, c.Region, i, numbers)
		case !r.Default:
			d.report(path, "must have a number, or default: true", child(path, "number"), child(path, "default"))
		}
		if r.Default {
			defaults = append(defaults, i)
		}
		checkRoute(d, path, r, c, agents)
	}
	checkRecord(d, c)
	switch {
	case len(defaults) == 0:
		dependsOn := []string{}
		for i := range c.Routes {
			dependsOn = append(dependsOn, child(item("routes", i), "default"))
		}
		d.report("routes", "one route must be the default (default: true)", dependsOn...)
	case len(defaults) > 1:
		for _, i := range defaults[1:] {
			d.report(child(item("routes", i), "default"), fmt.Sprintf("routes[%d] is the default already", defaults[0]))
		}
	}
}

func checkNumber(d *document, path, number, region string, i int, seen map[string]int) {
	if !isNumber(d, path, number, region) {
		return
	}
	key := routeKey(number, region)
	if first, ok := seen[key]; ok {
		d.report(path, fmt.Sprintf("is the number of routes[%d], too", first))
		return
	}
	seen[key] = i
}

func isNumber(d *document, path, number, region string) bool {
	normal, err := phone.Normalize(number, region)
	ok := err == nil && normal != ""
	if !ok {
		d.report(path, fmt.Sprintf("must be a phone number (of %s, unless it begins with +) or a sip: URI", region), "region")
	}
	return ok
}

func checkRoute(d *document, path string, r Route, c *Config, agents []string) {
	if !slices.Contains(agents, r.Agent) {
		d.report(child(path, "agent"), "there is no agent of this name"+didYouMean(r.Agent, slices.Values(agents)), "agents")
	}
	positive(d, child(path, "max_duration"), r.MaxDuration)
	budget := child(path, "answer_budget")
	if !positive(d, budget, r.AnswerBudget) {
		return
	}
	if a, ok := c.Agents[r.Agent]; ok && a.ReadyTimeout >= r.AnswerBudget {
		ready := child(child("agents", r.Agent), "ready_timeout")
		d.report(budget, fmt.Sprintf("%s must be longer than %s (%s)", span(r.AnswerBudget), ready, span(a.ReadyTimeout)), ready)
	}
}

// checkRecord wants the stream to keep a call for as long as it can last.
func checkRecord(d *document, c *Config) {
	var longest time.Duration
	at := -1
	for i, r := range c.Routes {
		if sum := r.AnswerBudget + r.MaxDuration; sum > longest || sum < 0 {
			longest, at = max(sum, r.MaxDuration), i
		}
	}
	if at < 0 || longest < c.NATS.MaxAge {
		return
	}
	budget, duration := child(item("routes", at), "answer_budget"), child(item("routes", at), "max_duration")
	if _, written := d.lines["nats.max_age"]; written {
		d.report("nats.max_age", fmt.Sprintf("must be longer than a call by routes[%d] can last (%s)", at, span(longest)), budget, duration)
		return
	}
	d.report(duration, "a call would last longer than nats.max_age ("+span(c.NATS.MaxAge)+") keeps it", budget)
}

// names are the keys that the file has below one of its own, whatever is wrong with their values.
func (d *document) names(section string) []string {
	root, _ := d.value.(map[string]any)
	entries, _ := root[section].(map[string]any)
	return slices.Sorted(maps.Keys(entries))
}
