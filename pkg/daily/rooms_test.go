// SPDX-License-Identifier: Apache-2.0

package daily_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/daily"
)

func wanted() daily.CreateRoom {
	return daily.CreateRoom{
		Name:    "tl-abc-1",
		Privacy: "private",
		Properties: daily.RoomProperties{
			Exp:            1790600000,
			EjectAtRoomExp: true,
			EnableDialout:  true,
			DialoutConfig:  &daily.DialoutConfig{MaxIdleTimeoutSec: 60},
			SIP: &daily.SIP{
				DisplayName:  "caller",
				Mode:         daily.SIPDialIn,
				DialinConfig: &daily.DialinConfig{MaxIdleTimeoutSec: 60},
			},
			Geo:           "eu-central-1",
			Permissions:   &daily.Permissions{HasPresence: new(true), CanSend: []string{"audio"}, CanAdmin: false},
			StartVideoOff: true,
			EnableChat:    new(false),
		},
	}
}

func TestCreateRoom(t *testing.T) {
	client, s := serve(t, ok(golden(t, "room.json")))
	room, err := client.CreateRoom(t.Context(), wanted())
	if err != nil {
		t.Fatal(err)
	}
	if room.ID != "d61cd7b2-a273-42b4-89bd-be763fd562c1" || room.Name != "tl-abc-1" || room.Privacy != "private" ||
		room.URL != "https://acme.daily.co/tl-abc-1" || !room.CreatedAt.Equal(time.Date(2026, 9, 28, 10, 0, 0, 123e6, time.UTC)) {
		t.Errorf("%+v", room)
	}
	if want := time.UnixMilli(1790600000500); !room.Expires().Equal(want) {
		t.Errorf("expires %v, want %v", room.Expires(), want)
	}
	request := s.requests()[0]
	if request.method != http.MethodPost || request.path != "/v1/rooms" {
		t.Errorf("%+v", request)
	}
	if want := golden(t, "create_room_request.json"); !sameJSON(t, []byte(request.body), []byte(want)) {
		t.Errorf("sent %s, want %s", request.body, want)
	}
}

func TestAnEmptyRequestSaysNothing(t *testing.T) {
	client, s := serve(t, ok(golden(t, "room.json")))
	if _, err := client.CreateRoom(t.Context(), daily.CreateRoom{}); err != nil {
		t.Fatal(err)
	}
	if got := s.requests()[0].body; got != "{}" {
		t.Errorf("sent %s", got)
	}
}

func TestEnsureRoom(t *testing.T) {
	room, duplicate, missing := ok(golden(t, "room.json")), reply{status: 400, body: golden(t, "duplicate.json")}, reply{status: 404, body: golden(t, "not_found.json")}
	for phrase, c := range map[string]struct {
		replies []reply
		existed bool
		methods string
		wrong   error
	}{
		"new":                                  {[]reply{room}, false, "POST", nil},
		"there already":                        {[]reply{duplicate, room}, true, "POST GET", nil},
		"made by an attempt without an answer": {[]reply{{does: hangUp}, duplicate, room}, true, "POST POST GET", nil},
		"there, and the look at it shaky":      {[]reply{duplicate, {status: 500}, room}, true, "POST GET GET", nil},
		"a bad request for another reason":     {[]reply{duplicate, missing}, false, "POST GET", daily.ErrRefused},
		"a wrong key":                          {[]reply{{status: 401}}, false, "POST", daily.ErrRefused},
		"a look refused":                       {[]reply{duplicate, {status: 403}}, false, "POST GET", daily.ErrRefused},
	} {
		t.Run(phrase, func(t *testing.T) {
			client, s := serve(t, c.replies...)
			room, existed, err := client.EnsureRoom(t.Context(), wanted())
			if !errors.Is(err, c.wrong) || existed != c.existed || (room != nil) != (c.wrong == nil) {
				t.Errorf("%+v, %v, %v", room, existed, err)
			}
			var methods []string
			for _, r := range s.requests() {
				methods = append(methods, r.method)
			}
			if got := strings.Join(methods, " "); got != c.methods {
				t.Errorf("%s, want %s", got, c.methods)
			}
		})
	}
}

func TestTheOriginalErrorIsTold(t *testing.T) {
	client, _ := serve(t, reply{status: 400, body: `{"error":"invalid-request-error","info":"exp is in the past"}`}, reply{status: 404})
	_, _, err := client.EnsureRoom(t.Context(), wanted())
	if err == nil || !strings.Contains(err.Error(), "exp is in the past") {
		t.Errorf("got %v", err)
	}
}

func TestNamesThatAreNotRooms(t *testing.T) {
	client, s := serve(t, ok(golden(t, "room.json")))
	for _, name := range []string{"", ".", "..", "a/b", "a b", "a?b", "ä", strings.Repeat("a", 129)} {
		_, getErr := client.GetRoom(t.Context(), name)
		_, _, ensureErr := client.EnsureRoom(t.Context(), daily.CreateRoom{Name: name})
		_, presenceErr := client.RoomPresence(t.Context(), name)
		_, ejectErr := client.Eject(t.Context(), name, []string{"x"}, nil, false)
		for _, err := range []error{getErr, ensureErr, presenceErr, ejectErr} {
			if !errors.Is(err, daily.ErrRefused) {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestGetRoom(t *testing.T) {
	client, s := serve(t, reply{status: 404, body: golden(t, "not_found.json")})
	if _, err := client.GetRoom(t.Context(), "tl-abc-1"); !errors.Is(err, daily.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if got := s.requests()[0]; got.method != http.MethodGet || got.path != "/v1/rooms/tl-abc-1" {
		t.Errorf("%+v", got)
	}
}

func TestARoomWithoutAURLIsNoAnswer(t *testing.T) {
	client, _ := serve(t, ok(`{"name":"tl-abc-1"}`))
	if room, err := client.CreateRoom(t.Context(), wanted()); room != nil || !daily.Doubtful(err) {
		t.Errorf("%+v, %v", room, err)
	}
}

func TestSIPURI(t *testing.T) {
	for endpoint, want := range map[string]string{
		"":                         "",
		"sip:":                     "",
		"room.0@acme.example":      "sip:room.0@acme.example",
		"sip:room.0@acme":          "sip:room.0@acme",
		" SIP:room.0@acme\n":       "sip:room.0@acme",
		"sip:sip:room.0@acme":      "sip:room.0@acme",
		"sipper@acme.sip.daily.co": "sip:sipper@acme.sip.daily.co",
	} {
		var room daily.Room
		room.Config.SIPURI.Endpoint = endpoint
		if got := room.SIPURI(); got != want {
			t.Errorf("%q: %q, want %q", endpoint, got, want)
		}
	}
}

func TestListRooms(t *testing.T) {
	full := func(from int) reply {
		var rooms []daily.Room
		for i := range 100 {
			rooms = append(rooms, daily.Room{ID: fmt.Sprint("id-", from+i), Name: fmt.Sprint("room-", from+i)})
		}
		b, err := json.Marshal(map[string]any{"total_count": 250, "data": rooms})
		if err != nil {
			t.Fatal(err)
		}
		return ok(string(b))
	}
	rest := ok(`{"total_count":250,"data":[` + golden(t, "room.json") + `]}`)

	t.Run("page by page", func(t *testing.T) {
		client, s := serve(t, full(0), full(100), rest)
		var names []string
		for room, err := range client.ListRooms(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, room.Name)
		}
		if len(names) != 201 || names[0] != "room-0" || names[200] != "tl-abc-1" {
			t.Errorf("%d rooms: %v", len(names), names)
		}
		var queries []string
		for _, r := range s.requests() {
			queries = append(queries, r.query)
		}
		if got := strings.Join(queries, " "); got != "limit=100 limit=100&starting_after=id-99 limit=100&starting_after=id-199" {
			t.Errorf("asked %s", got)
		}
	})
	t.Run("no further than wanted", func(t *testing.T) {
		client, s := serve(t, full(0), full(100))
		for range client.ListRooms(t.Context()) {
			break
		}
		if n := len(s.requests()); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
	for phrase, replies := range map[string][]reply{
		"an error on the way":    {full(0), {status: 403}},
		"the same page for ever": {full(0), full(0)},
	} {
		t.Run(phrase, func(t *testing.T) {
			client, _ := serve(t, replies...)
			rooms, failed := 0, 0
			for _, err := range client.ListRooms(t.Context()) {
				if err != nil {
					failed++
				} else {
					rooms++
				}
			}
			if failed != 1 || rooms > 200 {
				t.Errorf("%d rooms, %d errors", rooms, failed)
			}
		})
	}
}

func TestDeleteRooms(t *testing.T) {
	names := make([]string, 1001)
	for i := range names {
		names[i] = fmt.Sprint("room-", i)
	}
	t.Run("a thousand at a time", func(t *testing.T) {
		client, s := serve(t, ok(`{"deleted_count":1000}`), ok(`{"deleted_count":1}`))
		deleted, err := client.DeleteRooms(t.Context(), names)
		if err != nil || deleted != 1001 {
			t.Errorf("%d, %v", deleted, err)
		}
		last := s.requests()[1]
		if last.method != http.MethodDelete || last.path != "/v1/batch/rooms" || last.body != `{"room_names":["room-1000"]}` {
			t.Errorf("%+v", last)
		}
	})
	t.Run("as far as it went", func(t *testing.T) {
		client, _ := serve(t, ok(`{"deleted_count":1000}`), reply{status: 400})
		if deleted, err := client.DeleteRooms(t.Context(), names); deleted != 1000 || !errors.Is(err, daily.ErrRefused) {
			t.Errorf("%d, %v", deleted, err)
		}
	})
	t.Run("nothing to do", func(t *testing.T) {
		client, s := serve(t, ok(`{}`))
		if deleted, err := client.DeleteRooms(t.Context(), nil); deleted != 0 || err != nil || len(s.requests()) != 0 {
			t.Errorf("%d, %v", deleted, err)
		}
	})
}
