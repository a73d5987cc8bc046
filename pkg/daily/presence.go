// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"context"
	"net/http"
	"time"
)

// Participant is somebody in a room: a bot, a person, a phone leg.
type Participant struct {
	Room             string    `json:"room"`
	ID               string    `json:"id"`     // the session id, as in webhooks
	UserID           string    `json:"userId"` // from the meeting token; "" for others
	UserName         string    `json:"userName"`
	MeetingSessionID string    `json:"mtgSessionId"`
	JoinTime         time.Time `json:"joinTime"`
}

// Presence is who is in which room of the domain (Daily REST reference, presence). It lags up to 15 seconds as
// documented, 25 as measured, and asking more often than every 15 seconds tells no more.
func (c *Client) Presence(ctx context.Context) (map[string][]Participant, error) {
	rooms, err := call[map[string][]Participant](ctx, c, request{
		op: "presence", class: ClassJanitor, repeatable: true,
		method: http.MethodGet, path: "/presence",
	})
	for room, people := range rooms {
		name(people, room)
	}
	return rooms, err
}

// RoomPresence is who is in one room, with the same lag and now and then a ghost (Daily REST reference,
// rooms/get-room-presence).
func (c *Client) RoomPresence(ctx context.Context, room string) ([]Participant, error) {
	path, err := roomPath("room presence", room)
	if err != nil {
		return nil, err
	}
	reply, err := call[struct {
		Data []Participant `json:"data"`
	}](ctx, c, request{
		op: "room presence", class: ClassJanitor, repeatable: true,
		method: http.MethodGet, path: path + "/presence",
	})
	name(reply.Data, room)
	return reply.Data, err
}

func name(people []Participant, room string) {
	for i := range people {
		people[i].Room = room
	}
}
