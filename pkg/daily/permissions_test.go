// SPDX-License-Identifier: Apache-2.0

package daily_test

import (
	"errors"
	"testing"

	"github.com/trunkline/trunkline/pkg/daily"
)

func TestUpdatePermissions(t *testing.T) {
	for phrase, c := range map[string]struct {
		ask  map[string]daily.Permissions
		sent string
	}{
		"one who hears nobody and is heard by nobody": {
			map[string]daily.Permissions{"leg-1": {CanSend: false, CanReceive: daily.CanReceive{Base: new(false)}}},
			`{"data":{"leg-1":{"canSend":false,"canReceive":{"base":false}}}}`,
		},
		"everybody but one": {
			map[string]daily.Permissions{
				daily.Everybody: {HasPresence: new(true)},
				"bot":           {HasPresence: new(false), CanAdmin: true},
			},
			`{"data":{"*":{"hasPresence":true},"bot":{"hasPresence":false,"canAdmin":true}}}`,
		},
		"exceptions, and their end": {
			map[string]daily.Permissions{
				"a": {CanReceive: daily.CanReceive{Base: new(true), ByUserID: map[string]bool{"u": false}, ByParticipantID: map[string]bool{"b": false}}},
				"c": {CanReceive: daily.CanReceive{ByParticipantID: map[string]bool{}}},
			},
			`{"data":{"a":{"canReceive":{"base":true,"byUserId":{"u":false},"byParticipantId":{"b":false}}},"c":{"canReceive":{"byParticipantId":{}}}}}`,
		},
	} {
		t.Run(phrase, func(t *testing.T) {
			client, s := serve(t, ok(``))
			if err := client.UpdatePermissions(t.Context(), "tl-abc-1", c.ask); err != nil {
				t.Fatal(err)
			}
			got := s.requests()[0]
			if got.method != "POST" || got.path != "/v1/rooms/tl-abc-1/update-permissions" || !sameJSON(t, []byte(got.body), []byte(c.sent)) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestUpdatePermissionsComesToAClearEnd(t *testing.T) {
	anyone := map[string]daily.Permissions{"s": {CanSend: true}}
	for phrase, c := range map[string]struct {
		room     string
		ask      map[string]daily.Permissions
		replies  []reply
		requests int
		wrong    error
	}{
		"after two broken ones": {"r", anyone, []reply{{does: hangUp}, {status: 503}, ok(`{}`)}, 3, nil},
		"nobody in the room":    {"r", anyone, []reply{{status: 404}}, 1, daily.ErrNotFound},
		"refused":               {"r", anyone, []reply{{status: 400}}, 1, daily.ErrRefused},
		"nobody named":          {"r", nil, []reply{ok(`{}`)}, 0, daily.ErrRefused},
		"an empty name":         {"r", map[string]daily.Permissions{"": {}}, []reply{ok(`{}`)}, 0, daily.ErrRefused},
		"a bad room":            {"no/room", anyone, []reply{ok(`{}`)}, 0, daily.ErrRefused},
	} {
		t.Run(phrase, func(t *testing.T) {
			client, s := serve(t, c.replies...)
			if err := client.UpdatePermissions(t.Context(), c.room, c.ask); !errors.Is(err, c.wrong) {
				t.Error(err)
			}
			if n := len(s.requests()); n != c.requests {
				t.Errorf("%d requests", n)
			}
		})
	}
}
