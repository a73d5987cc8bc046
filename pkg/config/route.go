// SPDX-License-Identifier: Apache-2.0

package config

import (
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/trunkline/trunkline/pkg/phone"
)

// A Route says which agent takes a call, and how long the call may take.
type Route struct {
	Number       string        `yaml:"number"`        // called, in E.164 or a SIP URI; empty for the default route
	Default      bool          `yaml:"default"`       // takes what no number matches
	Agent        string        `yaml:"agent"`         // a key of Config.Agents
	AnswerBudget time.Duration `yaml:"answer_budget"` // from the call's first fact until somebody answers
	MaxDuration  time.Duration `yaml:"max_duration"`  // of the call, once it is connected
	Overflow     string        `yaml:"overflow"`      // the target of who gets no bot within the budget; empty: none
}

// DefaultRoute is a Route with every default. It names no agent yet.
func DefaultRoute() Route {
	return Route{AnswerBudget: 90 * time.Second, MaxDuration: time.Hour}
}

// UnmarshalYAML starts from the defaults.
func (r *Route) UnmarshalYAML(n *yaml.Node) error {
	type plain Route
	*r = DefaultRoute()
	return n.Decode((*plain)(r))
}

// Route is the route of a call to the number or SIP URI `to`, in any form,
// else the default route. Who calls decides nothing yet.
func (c *Config) Route(to, from string) Route {
	_ = from
	var fallback Route
	key := routeKey(to, c.Region)
	for _, r := range c.Routes {
		if r.Default {
			fallback = r
		} else if key != "" && routeKey(r.Number, c.Region) == key {
			return r
		}
	}
	return fallback
}

// routeKey is equal for what reaches the same number. Parameters of a SIP URI
// come and go on the way, and whether it is sip or sips is the transport's.
func routeKey(to, region string) string {
	number, err := phone.Normalize(to, region)
	if err != nil {
		return ""
	}
	if !phone.IsSIP(number) {
		return number
	}
	_, rest, _ := strings.Cut(strings.ToLower(number), ":")
	if end := strings.IndexAny(rest, ";?"); end >= 0 {
		rest = rest[:end]
	}
	return "sip:" + rest
}
