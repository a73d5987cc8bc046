// SPDX-License-Identifier: Apache-2.0

package sim

import "time"

type participant struct {
	id, userID, userName string
	owner                bool
	kind                 string
	joinedAt             time.Time
	ejectAt              time.Time
	ejector              *task
	events               chan event // web participants only
	leg                  *leg       // phones that called only
	aloneSince           time.Time  // of a leg: when the last bot left it, zero while one is there
	dial                 *dial      // phones that were called only
	session              *session
	attendance           *attendance
	left                 bool
	permissions          permissions
	muted                bool      // by somebody else
	transfer             *transfer // under way, and still in the room
}

func (p *participant) web() bool { return p.kind == kindWeb }

// alone is how long it has been without a bot by now.
func (p *participant) alone(now time.Time) Duration {
	if p.aloneSince.IsZero() {
		return 0
	}
	return Duration(now.Sub(p.aloneSince))
}

// webID is the user id that webhooks tell: Daily falls back to the session id.
func (p *participant) webID() string {
	if p.userID == "" {
		return p.id
	}
	return p.userID
}

// event is one line of the join protocol.
type event map[string]any

// farewell says how it ended and closes the participant's stream.
func (p *participant) farewell(why string) {
	switch why {
	case "left":
	case "room-deleted":
		p.say(event{"event": "room-ended", "type": "no-room"})
	case "expired":
		p.say(event{"event": "ejected", "type": "exp"})
	default:
		p.say(event{"event": "ejected", "type": "ejected"})
	}
	close(p.events)
}

// say queues one line; a reader that is a thousand lines behind loses what follows.
func (p *participant) say(e event) {
	select {
	case p.events <- e:
	default:
	}
}

func (p *participant) view() map[string]any {
	v := map[string]any{"sessionId": p.id, "userName": p.userName, "owner": p.owner, "joinedAt": p.joinedAt.Unix()}
	v["userId"], v["permissions"] = p.webID(), p.permissions.view()
	if !p.web() {
		v["participantType"] = p.kind
	}
	return v
}
