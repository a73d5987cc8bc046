// SPDX-License-Identifier: Apache-2.0

package daily_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/daily"
)

func TestPresence(t *testing.T) {
	client, s := serve(t, ok(golden(t, "presence.json")))
	rooms, err := client.Presence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	people := rooms["tl-abc-1"]
	if len(rooms) != 2 || len(people) != 2 || len(rooms["lobby"]) != 0 {
		t.Fatalf("%+v", rooms)
	}
	want := daily.Participant{
		Room: "tl-abc-1", ID: "4c8dee53-fd51-445c-92d4-917701401d14", UserID: "bot-abc-1", UserName: "bot",
		MeetingSessionID: "16e9701a-93e0-4933-83c9-223e7c40d552", JoinTime: time.Date(2026, 9, 28, 10, 0, 2, 0, time.UTC),
	}
	if people[0] != want || people[1].UserID != "" {
		t.Errorf("%+v", people)
	}
	if got := s.requests()[0]; got.method != "GET" || got.path != "/v1/presence" {
		t.Errorf("%+v", got)
	}
}

func TestRoomPresence(t *testing.T) {
	client, s := serve(t, ok(golden(t, "room_presence.json")))
	people, err := client.RoomPresence(t.Context(), "tl-abc-1")
	if err != nil || len(people) != 1 || people[0].Room != "tl-abc-1" || people[0].UserID != "bot-abc-1" {
		t.Errorf("%+v, %v", people, err)
	}
	if got := s.requests()[0]; got.method != "GET" || got.path != "/v1/rooms/tl-abc-1/presence" {
		t.Errorf("%+v", got)
	}
}

func TestEject(t *testing.T) {
	many := func(n int, prefix string) (ids []string) {
		for i := range n {
			ids = append(ids, fmt.Sprint(prefix, i))
		}
		return ids
	}
	gone := reply{status: 404, body: golden(t, "not_found.json")}
	for phrase, c := range map[string]struct {
		ids, users []string
		replies    []reply
		ejected    int
		wrong      error
		sizes      string // ids and user ids of each request
	}{
		"two of three there":      {many(2, "s"), many(1, "u"), []reply{ok(`{"ejectedIds":["s0","s1"]}`)}, 2, nil, "[2+1]"},
		"a hundred at a time":     {many(250, "s"), many(101, "u"), []reply{ok(`{"ejectedIds":["x"]}`)}, 3, nil, "[100+100 100+1 50+0]"},
		"user ids alone":          {nil, many(101, "u"), []reply{ok(`{"ejectedIds":[]}`)}, 0, nil, "[0+100 0+1]"},
		"nobody asked for":        {nil, nil, []reply{ok(`{}`)}, 0, nil, "[]"},
		"no session":              {many(1, "s"), nil, []reply{gone}, 0, nil, "[1+0]"},
		"session ends in between": {many(300, "s"), nil, []reply{ok(`{"ejectedIds":["x"]}`), gone}, 1, nil, "[100+0 100+0]"},
		"after a 500":             {many(1, "s"), nil, []reply{{status: 500}, ok(`{"ejectedIds":["s0"]}`)}, 1, nil, "[1+0 1+0]"},
		"refused half way":        {many(101, "s"), nil, []reply{ok(`{"ejectedIds":["x"]}`), {status: 400}}, 1, daily.ErrRefused, "[100+0 1+0]"},
	} {
		t.Run(phrase, func(t *testing.T) {
			client, s := serve(t, c.replies...)
			ejected, err := client.Eject(t.Context(), "tl-abc-1", c.ids, c.users, true)
			if len(ejected) != c.ejected || !errors.Is(err, c.wrong) {
				t.Errorf("%v, %v", ejected, err)
			}
			sizes := []string{}
			for _, r := range s.requests() {
				var body struct {
					IDs     []string `json:"ids"`
					UserIDs []string `json:"user_ids"`
					Ban     bool     `json:"ban"`
				}
				if err := json.Unmarshal([]byte(r.body), &body); err != nil || !body.Ban || r.path != "/v1/rooms/tl-abc-1/eject" {
					t.Errorf("%+v: %v", r, err)
				}
				sizes = append(sizes, fmt.Sprint(len(body.IDs), "+", len(body.UserIDs)))
			}
			if got := fmt.Sprint(sizes); got != c.sizes {
				t.Errorf("sent %s, want %s", got, c.sizes)
			}
		})
	}
}

func TestPinlessCallUpdate(t *testing.T) {
	for phrase, body := range map[string]string{"ok as a bool": `{"ok":true}`, "ok as a string": `{"ok":"true"}`} {
		t.Run(phrase, func(t *testing.T) {
			client, s := serve(t, ok(body))
			if err := client.PinlessCallUpdate(t.Context(), "call", "domain", "sip:a@b"); err != nil {
				t.Fatal(err)
			}
			got := s.requests()[0]
			if got.method != "POST" || got.path != "/v1/dialin/pinlessCallUpdate" ||
				!sameJSON(t, []byte(got.body), []byte(`{"callId":"call","callDomain":"domain","sipUri":"sip:a@b"}`)) {
				t.Errorf("%+v", got)
			}
		})
	}
	t.Run("nothing is sent half", func(t *testing.T) {
		client, s := serve(t, ok(`{"ok":true}`))
		for _, args := range [][3]string{{"", "d", "s"}, {"c", "", "s"}, {"c", "d", ""}} {
			err := client.PinlessCallUpdate(t.Context(), args[0], args[1], args[2])
			if !errors.Is(err, daily.ErrRefused) || daily.Doubtful(err) || len(s.requests()) != 0 {
				t.Errorf("%v: %v", args, err)
			}
		}
	})
}

func TestDomain(t *testing.T) {
	client, s := serve(t, ok(golden(t, "domain.json")))
	domain, err := client.Domain(t.Context())
	if want := (daily.Domain{Name: "acme", ID: "30f866c3-9123-452a-8723-ff58322d09c5"}); err != nil || domain != want {
		t.Errorf("%+v, %v", domain, err)
	}
	if got := s.requests()[0]; got.method != "GET" || got.path != "/v1/" {
		t.Errorf("%+v", got)
	}
	client.APIKey = "another"
	if _, err := client.Domain(t.Context()); !errors.Is(err, daily.ErrRefused) {
		t.Errorf("got %v", err)
	}
}

func TestWebhooks(t *testing.T) {
	hook := golden(t, "webhook.json")
	check := func(t *testing.T, w daily.Webhook, err error) {
		t.Helper()
		if err != nil || w.UUID != "0b4e4c7c-5eaf-46fe-990b-a3752f5684f5" || w.State != daily.WebhookActive ||
			w.RetryType != daily.RetryExponential || len(w.EventTypes) != 2 || w.BasicAuth != "" || w.HMAC == "" {
			t.Errorf("%+v, %v", w, err)
		}
	}
	for phrase, list := range map[string]string{
		"a bare list": `[` + hook + `]`,
		"a page":      `{"total_count":1,"data":[` + hook + `]}`,
	} {
		t.Run(phrase, func(t *testing.T) {
			client, _ := serve(t, ok(list))
			hooks, err := client.ListWebhooks(t.Context())
			if len(hooks) != 1 {
				t.Fatalf("%v, %v", hooks, err)
			}
			check(t, hooks[0], err)
		})
	}
	spec := daily.WebhookSpec{URL: "https://calls.example.com/daily-events", EventTypes: []string{"participant.left"}, RetryType: daily.RetryExponential}
	t.Run("create", func(t *testing.T) {
		client, s := serve(t, ok(hook))
		w, err := client.CreateWebhook(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		check(t, *w, err)
		got := s.requests()[0]
		want := `{"url":"https://calls.example.com/daily-events","eventTypes":["participant.left"],"retryType":"exponential"}`
		if got.method != "POST" || got.path != "/v1/webhooks" || got.body != want {
			t.Errorf("%+v", got)
		}
	})
	t.Run("update", func(t *testing.T) {
		client, s := serve(t, ok(hook))
		w, err := client.UpdateWebhook(t.Context(), "0b4e4c7c", spec)
		if err != nil {
			t.Fatal(err)
		}
		check(t, *w, err)
		if got := s.requests()[0]; got.method != "POST" || got.path != "/v1/webhooks/0b4e4c7c" {
			t.Errorf("%+v", got)
		}
		if _, err := client.UpdateWebhook(t.Context(), "", spec); !errors.Is(err, daily.ErrRefused) {
			t.Errorf("no uuid: %v", err)
		}
	})
}
