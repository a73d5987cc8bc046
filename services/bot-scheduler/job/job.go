// SPDX-License-Identifier: Apache-2.0

// Package job is what a bot is told on its standard input, as one JSON document. docs/bots.md describes it.
package job

import "encoding/json"

// Job is one call for one bot. It satisfies Pipecat's runner arguments (room_url, token, session_id, body) and, in the
// body, what a bot made with Pipecat's create_transport reads.
type Job struct {
	RoomURL   string `json:"room_url"`
	Token     string `json:"token"` // Daily's meeting token
	SessionID string `json:"session_id"`
	Body      Body   `json:"body"`
}

// Body is Pipecat's DailyDialinRequest and a block of our own.
type Body struct {
	DialinSettings *DialinSettings `json:"dialin_settings,omitempty"`
	// DialoutSettings are for a bot that dials by itself: DialoutSettings, or a list of DialoutListed.
	DialoutSettings any       `json:"dialout_settings,omitempty"`
	DailyAPIKey     string    `json:"daily_api_key"` // good for this call and attempt alone, at the gateway
	DailyAPIURL     string    `json:"daily_api_url"` // the gateway
	Trunkline       Trunkline `json:"trunkline"`
}

// DialinSettings has the capitals where Pipecat has them.
type DialinSettings struct {
	CallID     string            `json:"call_id"`
	CallDomain string            `json:"call_domain"`
	From       *string           `json:"From"` // null for an anonymous caller
	To         string            `json:"To"`
	SIPHeaders map[string]string `json:"sip_headers,omitempty"`
}

// Trunkline is what a bot needs to talk back.
type Trunkline struct {
	URL     string `json:"url"`
	Token   string `json:"token"`
	CallID  string `json:"call_id"`
	Attempt uint32 `json:"attempt"`
	Agent   string `json:"agent"`
	// Resumed: the caller is in the room already, and another bot has been lost.
	Resumed bool `json:"resumed"`
	// Context is what the bots before this one have last told of the conversation.
	Context json.RawMessage `json:"context,omitempty"`
	// Of a dial-out: who is being called, and what was said about the call by who asked for it.
	To       string         `json:"to,omitempty"`
	Metadata map[string]any `json:"metadata,omitempty"`
	// TransferURL is where callers are handed over, for agents that have targets.
	TransferURL string `json:"transfer_url,omitempty"`
	// Bridge: the caller talks to a person. The bot is there to hold the room, and neither speaks nor hears.
	Bridge bool `json:"bridge,omitempty"`
}

// DialoutSettings is what the bots of Pipecat's examples read.
type DialoutSettings struct {
	PhoneNumber string `json:"phone_number"`
	CallerID    string `json:"caller_id,omitempty"`
}

// DialoutListed is an item of what bots read that are made for Pipecat Cloud.
type DialoutListed struct {
	PhoneNumber string `json:"phoneNumber"`
	CallerID    string `json:"callerId,omitempty"`
}
