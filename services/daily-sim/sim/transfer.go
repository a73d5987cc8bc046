// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"time"
)

// The states of a transfer, apart from Answered and Ended.
const (
	Triggered = "triggered" // accepted; the phone is still in its room
	Initiated = "initiated" // the phone has left its room, and the other side rings
)

// Transfer is one time that a phone was sent out of its room. A request that was refused is none.
type Transfer struct {
	Seq  int    `json:"seq"`
	Room string `json:"room"`
	// SessionID is that of the phone in the room; Call is the call that it belongs to, if it is one that called, or that
	// went on into another room.
	SessionID string `json:"session_id"`
	Call      string `json:"call,omitempty"`
	// To is the number, the SIP URI without its parameters, or the SIP URI of another room, ToRoom.
	To     string `json:"to"`
	ToRoom string `json:"to_room,omitempty"`
	// Dial is the phone that rings outside.
	Dial string `json:"dial,omitempty"`
	// Refer tells sipRefer from sipCallTransfer; By is rest or bot.
	Refer bool           `json:"refer"`
	By    string         `json:"by"`
	Asked map[string]any `json:"asked"`
	State string         `json:"state"`
	// Why it ended: why the dial did, or why the phone left the other room; caller-hung-up (who was transferred),
	// unreachable (no such endpoint, busy, or nobody in the other room), declined (a REFER; the phone stays), room-ended.
	// If it never left its room, why it left that.
	Why         string     `json:"why,omitempty"`
	StartedAt   time.Time  `json:"started_at"`
	InitiatedAt *time.Time `json:"initiated_at"`
	AnsweredAt  *time.Time `json:"answered_at"`
	EndedAt     *time.Time `json:"ended_at"`
}

type transfer struct {
	Transfer
	ask     transferAsk
	from    string       // from_endpoint
	session *session     // that it left
	moved   *participant // who is sent away
	call    *call        // whose call it is, nil for a called person outside
	target  *dial        // the phone that rings, nil for another room
}

// outside tells that the phone is in no room, and lives as long as the transfer.
func (t *transfer) outside() bool { return t.State != Triggered && t.ToRoom == "" }

// Transfers tells about all transfers, oldest first.
func (s *Sim) Transfers() []Transfer {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Transfer{}
	for _, t := range s.transfers {
		list = append(list, t.Transfer)
	}
	return list
}
