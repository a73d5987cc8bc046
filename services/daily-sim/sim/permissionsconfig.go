// SPDX-License-Identifier: Apache-2.0

package sim

// Permissions is what Daily leaves open about permissions; docs/daily-sim.md explains every field.
type Permissions struct {
	Legs      string `json:"legs" yaml:"legs"`
	UnknownID string `json:"unknown_id" yaml:"unknown_id"`
}

func permissionsDefaults() Permissions { return Permissions{Legs: "honoured", UnknownID: "ignored"} }

func (p Permissions) validate(oneOf func(field, value string, allowed ...string)) {
	oneOf("permissions.legs", p.Legs, "honoured", "ignored", "refused")
	oneOf("permissions.unknown_id", p.UnknownID, "ignored", "refused")
}
