// SPDX-License-Identifier: Apache-2.0

package simbot

import "strings"

// A bot is there for one phone: the first that came, or the one that has been there longest. Others may come and go, such
// as an operator's, and the bot stays. A bot that has called several is there for all of them.

// find looks for the phone among those whom the bot found in the room.
func (b *bot) find(people map[string]present) {
	var first present
	for _, p := range people {
		if !b.forKind(p.Kind) || b.operator(p.UserID) {
			continue
		}
		// Times are whole seconds: of two in the same one the caller is before who was called.
		if first.SessionID == "" || p.JoinedAt < first.JoinedAt || p.JoinedAt == first.JoinedAt && p.Kind == "sip-dial-in" {
			first = p
		}
	}
	b.leg = first.SessionID
	if b.leg != "" {
		b.meetsSomebody()
	}
}

// operator tells whether the user id is that of somebody whom Trunkline has called for a transfer.
func (b *bot) operator(userID string) bool {
	id := b.job.Body.Trunkline.CallID
	return id != "" && strings.HasPrefix(userID, id+"-t")
}

func (b *bot) meetsSomebody() {
	if !b.met {
		b.met = true
		close(b.there)
	}
}

// forKind tells whether a bot of this job can be there for a phone of a kind: one with a caller of its own for callers
// only.
func (b *bot) forKind(kind string) bool {
	return kind == "sip-dial-in" || b.job.out() && strings.HasSuffix(kind, "-dial-out")
}

// meet takes the first phone that comes for the bot's own.
func (b *bot) meet(e event) {
	if b.leg == "" && (e.Event == "dialin-connected" || b.job.out() && !b.operator(e.UserID)) {
		b.leg = e.Leg
	}
	if b.leg == e.Leg && e.Event != "dialout-connected" { // that one rings
		b.meetsSomebody()
	}
}

// forget makes room for the next one, when the phone has failed.
func (b *bot) forget(leg string) {
	if b.leg == leg {
		b.leg = ""
	}
}

// mine tells whether the phone that has stopped is the bot's own, or may be.
func (b *bot) mine(e event) bool {
	if e.Event == "dialout-stopped" && !b.job.out() {
		return false
	}
	for _, d := range b.dialouts {
		if d.session == e.Leg {
			return true
		}
	}
	return b.leg == "" && !b.operator(e.UserID) || b.leg == e.Leg
}
