// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

func serve(s *sim.Sim, r *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	s.Handler().ServeHTTP(answer, r)
	return answer
}

// signed is a token that we signed ourselves.
func signed(t *testing.T, key string, change func(*daily.MeetingToken)) string {
	t.Helper()
	token := daily.MeetingToken{
		Room: "r", DomainID: sim.Defaults().DomainID, UserID: "bot-1", UserName: "Bot", Owner: true,
		IssuedAt: time.Now(), Expires: time.Now().Add(time.Hour),
	}
	if change != nil {
		change(&token)
	}
	raw, err := token.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestTokensAtTheDoor(t *testing.T) {
	key := sim.Defaults().APIKey
	w := start(t)
	url, _ := w.room("r", nil)
	w.room("private", nil)
	w.want(200, "POST", "/rooms/private", object{"privacy": "private"})
	private := strings.TrimSuffix(url, "/r") + "/private"
	for phrase, c := range map[string]struct {
		url, token string
		status     int
		info       string
	}{
		"our own signature":       {url, signed(t, key, nil), 200, ""},
		"made by Daily":           {url, w.token(object{"room_name": "r"}), 200, ""},
		"for every room":          {private, w.token(object{}), 200, ""},
		"public without a token":  {url, "", 200, ""},
		"private without a token": {private, "", 403, "private"},
		"private with its token":  {private, w.token(object{"room_name": "private"}), 200, ""},
		"another key":             {url, signed(t, "other", nil), 403, "signature"},
		"another room":            {url, signed(t, key, func(m *daily.MeetingToken) { m.Room = "s" }), 403, "another room"},
		"another domain":          {url, signed(t, key, func(m *daily.MeetingToken) { m.DomainID = "x" }), 403, "domain"},
		"expired": {url, signed(t, key, func(m *daily.MeetingToken) {
			m.IssuedAt, m.Expires = time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
		}), 403, "exp"},
		"not yet valid":             {url, signed(t, key, func(m *daily.MeetingToken) { m.NotBefore = time.Now().Add(time.Minute) }), 403, "nbf"},
		"no token at all":           {url, "nonsense", 403, "JWT"},
		"a room that is not there":  {url + "x", "", 404, "not found"},
		"a token with its tail cut": {url, signed(t, key, nil)[:40], 403, "JWT"},
	} {
		bot, status, refusal := w.enter(c.url, c.token)
		info, _ := refusal["info"].(string)
		if status != c.status || !strings.Contains(info, c.info) {
			t.Errorf("%s: %d %v", phrase, status, refusal)
		}
		if bot != nil {
			bot.leave()
		}
	}
}

func TestTokenTellsWhoJoins(t *testing.T) {
	w := start(t)
	url, _ := w.room("r", nil)
	if _, status, refusal := w.enter(url, signed(t, sim.Defaults().APIKey, nil)); status != 200 {
		t.Fatalf("join: %d %v", status, refusal)
	}
	joined := w.hook.event("participant.joined").payload()
	if joined["user_id"] != "bot-1" || joined["user_name"] != "Bot" || joined["owner"] != true {
		t.Fatalf("payload %v", joined)
	}
}

func TestTokensMadeByDailyAreReadByUs(t *testing.T) {
	w := start(t)
	exp := time.Now().Add(time.Hour).Unix()
	raw := w.token(object{"room_name": "r", "exp": exp, "is_owner": true, "user_id": "u", "user_name": "n", "eject_at_token_exp": true})
	token, err := daily.ParseMeetingToken(sim.Defaults().APIKey, raw)
	if err != nil || token.Room != "r" || !token.Owner || token.UserID != "u" || token.UserName != "n" ||
		!token.EjectAtExpiry || token.Expires.Unix() != exp || token.DomainID != sim.Defaults().DomainID {
		t.Fatalf("token %+v %v", token, err)
	}
	props := w.want(200, "GET", "/meeting-tokens/"+raw, nil)
	if props["room_name"] != "r" || props["is_owner"] != true || props["exp"] != float64(exp) {
		t.Fatalf("properties %v", props)
	}
}

func TestTokensRefused(t *testing.T) {
	w := start(t)
	for phrase, props := range map[string]object{
		"exp in the past":  {"exp": 1000},
		"user id too long": {"user_id": strings.Repeat("x", 37)},
		"owner no boolean": {"is_owner": "yes"},
		"room no string":   {"room_name": 1},
		"exp no number":    {"exp": "soon"},
	} {
		if status, answer := w.rest("POST", "/meeting-tokens", object{"properties": props}); status != 400 {
			t.Errorf("%s: %d %v", phrase, status, answer)
		}
	}
	later := w.token(object{"nbf": time.Now().Add(time.Hour).Unix()})
	w.want(400, "GET", "/meeting-tokens/"+later, nil)
	w.want(200, "GET", "/meeting-tokens/"+later+"?ignoreNbf=true", nil)
	w.want(400, "GET", "/meeting-tokens/"+later+"x", nil)
}

func TestRoomFullAndNotYetOpen(t *testing.T) {
	w := start(t)
	url, _ := w.room("full", object{"max_participants": 1})
	w.bot(url)
	if _, status, refusal := w.enter(url, ""); status != 403 || !strings.Contains(refusal["info"].(string), "full") {
		t.Fatalf("join: %d %v", status, refusal)
	}
	url, _ = w.room("later", object{"nbf": time.Now().Add(time.Hour).Unix()})
	if _, status, refusal := w.enter(url, ""); status != 403 || !strings.Contains(refusal["info"].(string), "nbf") {
		t.Fatalf("join: %d %v", status, refusal)
	}
}

func TestSecondOfAUniqueUserPutsTheFirstOut(t *testing.T) {
	w := start(t)
	url, _ := w.room("r", object{"enforce_unique_user_ids": true})
	first, _, _ := w.enter(url, w.token(object{"user_id": "u"}))
	second, _, _ := w.enter(url, w.token(object{"user_id": "u"}))
	if names := first.rest(); !slices.Contains(names, "ejected") {
		t.Fatalf("the first saw %v", names)
	}
	if bots := w.Stats().Bots; bots.Live != 1 || bots.List[0].SessionID != second.id || bots.MaxLive != 1 {
		t.Fatalf("inside are %+v", bots)
	}
}

func TestJoinWithBadJSONIsRefusedWithTheField(t *testing.T) {
	w := start(t)
	w.room("r", nil)
	status, answer := w.send("POST", "/daily/r/join", "", `{"token":5}`)
	if status != 400 || !strings.Contains(answer["info"].(string), "token") {
		t.Fatalf("join: %d %v", status, answer)
	}
}

func TestStreamShowsWhoComesAndGoesAndStaysAlive(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.KeepAlive = ms(10) })
	url, _ := w.room("r", nil)
	first := w.bot(url)
	second := w.bot(url)
	if p := first.wait("participant-joined")["participant"].(object); p["sessionId"] != second.id || p["owner"] != true {
		t.Fatalf("joined %v", p)
	}
	second.leave()
	if p := first.wait("participant-left")["participant"].(object); p["sessionId"] != second.id {
		t.Fatalf("left %v", p)
	}
	first.wait("ping")
	first.wait("ping")
}
