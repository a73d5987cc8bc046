// SPDX-License-Identifier: Apache-2.0

package sim

import "time"

// Transfers is what Daily leaves open about transfers; docs/daily-sim.md explains every field.
type Transfers struct {
	// What a request needs.
	Budget       string `json:"budget" yaml:"budget"`
	NeedsDialout bool   `json:"needs_dialout" yaml:"needs_dialout"`
	Again        string `json:"again" yaml:"again"`

	// What comes of it, and what is told.
	Delay      Duration `json:"delay" yaml:"delay"`
	Order      string   `json:"order" yaml:"order"`
	Unanswered string   `json:"unanswered" yaml:"unanswered"`
	Refer      string   `json:"refer" yaml:"refer"`
	EndsWith   string   `json:"ends_with" yaml:"ends_with"`
}

func transferDefaults() Transfers {
	return Transfers{
		Budget:       classDial,
		NeedsDialout: true,
		Again:        "refused",
		Delay:        Duration(20 * time.Millisecond),
		Order:        "left-first",
		Unanswered:   "nothing",
		Refer:        "taken",
		EndsWith:     "hangup",
	}
}

func (t Transfers) validate(oneOf func(field, value string, allowed ...string)) {
	oneOf("transfers.budget", t.Budget, classDial, classMost)
	oneOf("transfers.again", t.Again, "refused", "ignored")
	oneOf("transfers.order", t.Order, "left-first", "triggered-first")
	oneOf("transfers.unanswered", t.Unanswered, "nothing", "completed")
	oneOf("transfers.refer", t.Refer, "taken", "declined")
	oneOf("transfers.ends_with", t.EndsWith, "hangup", "session")
}
