// SPDX-License-Identifier: Apache-2.0

package config

import (
	"time"

	"go.yaml.in/yaml/v4"
)

// The modes in which callers are handed over.
const (
	ModeCold  = "cold"  // the person is called into the room
	ModeWarm  = "warm"  // the same, and is told first what it is about, which the caller does not hear
	ModeBlind = "blind" // Daily sends the caller there
	ModeRefer = "refer" // the caller's own provider does
)

// The orders in which a target's numbers are called.
const (
	InOrder   = "in_order"
	AllAtOnce = "all_at_once"
)

// What follows when none of a target's numbers was had.
const (
	ThenBot    = "bot"    // the caller goes on with the bot
	ThenTarget = "target" // another target is tried
	ThenEnd    = "end"    // the call is ended
)

// MostAtOnce is how many numbers can ring at once: Daily has five phone legs in a room, and one is the caller's (Daily
// REST reference, rooms/config, max_sip_pstn_sessions_per_room).
const MostAtOnce = 4

// A Target is somebody to whom callers can be transferred.
type Target struct {
	Name        string        `yaml:"-"`           // its key under targets
	Description string        `yaml:"description"` // for people, and for a bot's model
	Numbers     []string      `yaml:"numbers"`     // E.164, or SIP URIs
	Strategy    string        `yaml:"strategy"`    // in_order or all_at_once
	RingTimeout time.Duration `yaml:"ring_timeout"`
	Hours       TargetHours   `yaml:"hours"`
	CallerID    string        `yaml:"caller_id"` // Daily's id of the number to call from; empty: Daily chooses
	Modes       []string      `yaml:"modes"`     // those that are allowed
	NoAnswer    NoAnswer      `yaml:"no_answer"`
	// BotLeaves has the bot leave once somebody has answered. Else it stays as a silent bridge, with which the legs hold
	// under every reading of Daily's rule.
	BotLeaves bool `yaml:"bot_leaves"`
}

// TargetHours are when a target can be reached.
type TargetHours struct {
	Hours    `yaml:",inline"`
	Timezone string `yaml:"timezone"` // of the IANA database; empty: UTC
}

// NoAnswer is what follows when none of a target's numbers was had.
type NoAnswer struct {
	Then    string `yaml:"then"`    // bot, target or end
	Target  string `yaml:"target"`  // of then: target
	Message string `yaml:"message"` // of then: end, said by the bot before
}

// Transfer says how callers are handed over.
type Transfer struct {
	AnnounceTimeout time.Duration `yaml:"announce_timeout"` // for the bot to say the announcement
	BriefTimeout    time.Duration `yaml:"brief_timeout"`    // for the bot to tell the summary
	MessageTimeout  time.Duration `yaml:"message_timeout"`  // for the bot to say the message before the end
	LostAfter       time.Duration `yaml:"lost_after"`       // after which a dial of which nothing is known is given up
	URL             string        `yaml:"url"`              // how bots reach transfer-service; see Config.TransferURL
}

func defaultTransfer() Transfer {
	return Transfer{
		AnnounceTimeout: 10 * time.Second, BriefTimeout: 60 * time.Second, MessageTimeout: 15 * time.Second, LostAfter: 15 * time.Second,
	}
}

// DefaultTarget is a Target with every default, and no number.
func DefaultTarget() Target {
	return Target{
		Strategy: InOrder, RingTimeout: 25 * time.Second, Modes: []string{ModeCold, ModeWarm},
		Hours: TargetHours{Hours: Hours{Days: []string{}}}, NoAnswer: NoAnswer{Then: ThenBot},
	}
}

// UnmarshalYAML starts from the defaults.
func (t *Target) UnmarshalYAML(n *yaml.Node) error {
	type plain Target
	*t = DefaultTarget()
	return n.Decode((*plain)(t))
}
