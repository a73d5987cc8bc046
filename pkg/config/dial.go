// SPDX-License-Identifier: Apache-2.0

package config

// Who dials on an agent's dial-outs.
const (
	DialsByTrunkline = "trunkline" // call-control, within policy, at Daily's pace and once for each attempt
	DialsByBot       = "bot"       // the bot itself, as Pipecat's examples do: outside all of that
)

// The shapes of dialout_settings in the body of a bot that dials.
const (
	DialoutObject = "object" // {"phone_number"}, as Pipecat's examples read it
	DialoutList   = "list"   // [{"phoneNumber"}], as Pipecat Cloud documents it
)
