// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

func TestKeyIsAskedForAtEveryDoor(t *testing.T) {
	w := start(t)
	for phrase, c := range map[string]struct {
		key    string
		status int
		code   string
	}{
		"no key":    {"", 400, "authorization-header-error"},
		"wrong key": {"wrong", 401, "authentication-error"},
		"right key": {sim.Defaults().APIKey, 200, ""},
	} {
		status, answer := w.send("GET", "/v1/rooms", c.key, nil)
		code, _ := answer["error"].(string)
		if status != c.status || code != c.code {
			t.Errorf("%s: %d %v", phrase, status, answer)
		}
	}
	if _, answer := w.send("GET", "/v1/rooms", "wrong", nil); len(answer) != 1 {
		t.Errorf("the body of a 401 is %v", answer)
	}
}

func TestRoomAsPipecatMakesIt(t *testing.T) {
	w := start(t)
	exp := float64(time.Now().Add(time.Hour).UnixMicro()) / 1e6
	status, room := w.rest("POST", "/rooms", fmt.Sprintf(`{"name":"pipecat-telephony-2ee2ad4d","privacy":"public","properties":{
		"exp":%f,"enable_chat":false,"enable_prejoin_ui":false,"enable_emoji_reactions":false,"eject_at_room_exp":true,
		"sip":{"display_name":"+15551230000","video":false,"sip_mode":"dial-in","num_endpoints":1},"start_video_off":true}}`, exp))
	if status != 200 {
		t.Fatalf("create: %d %v", status, room)
	}
	for _, field := range []string{"id", "name", "api_created", "privacy", "url", "created_at", "config"} {
		if room[field] == nil {
			t.Errorf("no %s in %v", field, room)
		}
	}
	config := room["config"].(object)
	if config["enable_chat"] != nil || config["enable_emoji_reactions"] != nil {
		t.Errorf("defaults are shown: %v", config)
	}
	if config["exp"] != exp || config["start_video_off"] != true || config["eject_at_room_exp"] != true {
		t.Errorf("what differs is not shown: %v", config)
	}
	endpoint := config["sip_uri"].(object)["endpoint"].(string)
	if strings.HasPrefix(endpoint, "sip:") || !strings.Contains(endpoint, "@") {
		t.Errorf("endpoint %q", endpoint)
	}
	if got := w.want(200, "GET", "/rooms/pipecat-telephony-2ee2ad4d", nil); got["id"] != room["id"] {
		t.Errorf("got %v", got)
	}
}

func TestEndpointsBySetting(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.SIPPrefix = true })
	room := w.want(200, "POST", "/rooms", object{"name": "r", "properties": object{
		"sip": object{"display_name": "x", "sip_mode": "dial-in", "num_endpoints": 3, "provider": "daily"},
	}})
	uri := room["config"].(object)["sip_uri"].(object)
	if uri["endpoint"] != "sip:r.0@trunkline-sim.sip-us.daily.co" || len(uri["extra_endpoints"].([]any)) != 2 {
		t.Fatalf("sip_uri %v", uri)
	}
}

func TestRoomsRefused(t *testing.T) {
	w := start(t)
	w.room("taken", nil)
	for phrase, c := range map[string]struct {
		body any
		info string
	}{
		"name taken":         {object{"name": "taken"}, "a room named taken already exists"},
		"name with a space":  {object{"name": "a b"}, "contains invalid characters (room names can contain A-Z, a-z, 0-9, '-', and '_')"},
		"name too long":      {object{"name": strings.Repeat("x", 129)}, "128"},
		"exp in the past":    {object{"name": "a", "properties": object{"exp": 1000.5}}, "past"},
		"privacy unheard of": {object{"name": "a", "privacy": "secret"}, "privacy"},
		"exp no number":      {object{"name": "a", "properties": object{"exp": "soon"}}, "exp"},
		"six endpoints":      {object{"name": "a", "properties": object{"sip": object{"display_name": "x", "sip_mode": "dial-in", "num_endpoints": 6}}}, "num_endpoints"},
		"sip without a name": {object{"name": "a", "properties": object{"sip": object{"sip_mode": "dial-in"}}}, "display_name"},
		"geo unheard of":     {object{"name": "a", "properties": object{"geo": "moon"}}, "geo"},
	} {
		status, answer := w.rest("POST", "/rooms", c.body)
		info, _ := answer["info"].(string)
		if status != 400 || answer["error"] != "invalid-request-error" || !strings.Contains(info, c.info) {
			t.Errorf("%s: %d %v", phrase, status, answer)
		}
	}
	if status, answer := w.rest("POST", "/rooms", "{"); status != 400 || answer["error"] != "json-parsing-error" {
		t.Errorf("no JSON: %d %v", status, answer)
	}
}

func TestOneOfManyCreatesOfANameWins(t *testing.T) {
	w := start(t)
	var all sync.WaitGroup
	statuses := make(chan int, 20)
	for range cap(statuses) {
		all.Go(func() {
			status, _ := w.rest("POST", "/rooms", object{"name": "one"})
			statuses <- status
		})
	}
	all.Wait()
	close(statuses)
	won := 0
	for status := range statuses {
		if status == 200 {
			won++
		} else if status != 400 {
			t.Errorf("status %d", status)
		}
	}
	if won != 1 {
		t.Fatalf("%d creates won", won)
	}
}

func TestRoomWithoutANameGetsOne(t *testing.T) {
	w := start(t)
	if room := w.want(200, "POST", "/rooms", nil); room["name"] == "" || room["privacy"] != "public" {
		t.Fatalf("room %v", room)
	}
}

func TestUpdateMergesAndNullUnsets(t *testing.T) {
	w := start(t)
	w.room("r", object{"enable_dialout": true, "geo": "us-east-1"})
	room := w.want(200, "POST", "/rooms/r", object{"privacy": "private", "properties": object{"geo": nil, "start_audio_off": true}})
	config := room["config"].(object)
	if room["privacy"] != "private" || config["geo"] != nil || config["enable_dialout"] != true || config["start_audio_off"] != true {
		t.Fatalf("room %v", room)
	}
	w.want(400, "POST", "/rooms/r", object{"properties": object{"exp": time.Now().Unix() - 1}})
	w.want(404, "POST", "/rooms/nobody", object{})
	room = w.want(200, "POST", "/rooms/r", object{"properties": object{"sip": nil}})
	if room["config"].(object)["sip_uri"] != nil {
		t.Fatalf("room %v", room)
	}
}

func TestDeleteKicksAllAndFreesTheName(t *testing.T) {
	w := start(t)
	id, bot := w.connected("r", nil, sim.CallSpec{})
	if answer := w.want(200, "DELETE", "/rooms/r", nil); answer["deleted"] != true || answer["name"] != "r" {
		t.Fatalf("answer %v", answer)
	}
	if names := bot.rest(); !slices.Contains(names, "room-ended") {
		t.Fatalf("the bot saw %v", names)
	}
	if c := w.untilState(id, sim.Ended); c.Why != "room-deleted" {
		t.Fatalf("call %+v", c)
	}
	if answer := w.want(404, "DELETE", "/rooms/r", nil); answer["error"] != "not-found" || answer["deleted"] != nil {
		t.Fatalf("answer %v", answer)
	}
	w.room("r", nil)
}

func TestBatchDelete(t *testing.T) {
	w := start(t)
	w.room("a", nil)
	w.room("b", nil)
	w.room("c", nil)
	answer := w.want(200, "DELETE", "/batch/rooms", object{"room_names": []string{"a", "b", "nobody"}})
	if answer["deleted_count"] != 2.0 {
		t.Fatalf("answer %v", answer)
	}
	if list := w.want(200, "GET", "/rooms", nil); list["total_count"] != 1.0 {
		t.Fatalf("left %v", list)
	}
	w.want(400, "DELETE", "/batch/rooms", object{"room_names": "a"})
}

func TestRoomsAreListedNewestFirstInPages(t *testing.T) {
	w := start(t)
	for _, name := range []string{"a", "b", "c"} {
		w.room(name, nil)
	}
	page := func(query string) (names []string, last string) {
		list := w.want(200, "GET", "/rooms?"+query, nil)
		if list["total_count"] != 3.0 {
			t.Fatalf("list %v", list)
		}
		for _, r := range list["data"].([]any) {
			names = append(names, r.(object)["name"].(string))
			last = r.(object)["id"].(string)
		}
		return names, last
	}
	first, last := page("limit=2")
	second, _ := page("limit=2&starting_after=" + last)
	oldest, _ := page("limit=1&ending_before=OLDEST")
	if got := fmt.Sprint(first, second, oldest); got != "[c b] [a] [a]" {
		t.Fatalf("pages %s", got)
	}
	w.want(400, "GET", "/rooms?limit=many", nil)
}

// soon is an expiry that is near, in whole milliseconds.
func soon(d time.Duration) float64 { return float64(time.Now().Add(d).UnixMilli()) / 1000 }

func TestExpiredRoomVanishesAndIsCollected(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.CollectExpiredAfter = ms(200) })
	url, _ := w.room("r", object{"exp": soon(500 * time.Millisecond), "eject_at_room_exp": true})
	bot := w.bot(url)
	if names := bot.rest(); !slices.Contains(names, "ejected") {
		t.Fatalf("the bot saw %v", names)
	}
	w.want(404, "GET", "/rooms/r", nil)
	if list := w.want(200, "GET", "/rooms", nil); list["total_count"] != 0.0 {
		t.Fatalf("listed %v", list)
	}
	if _, status, _ := w.enter(url, ""); status != 404 {
		t.Fatalf("join: %d", status)
	}
	w.want(400, "POST", "/rooms", object{"name": "r"}) // the collector has not been there
	if err := w.WaitFor(w.ctx(), func() bool { return w.Stats().Rooms == 0 }); err != nil {
		t.Fatal(err)
	}
	w.room("r", nil)
}

func TestDeleteOfAnExpiredRoomSaysBoth(t *testing.T) {
	w := start(t)
	url, _ := w.room("r", object{"exp": soon(500 * time.Millisecond), "eject_at_room_exp": true})
	w.bot(url).rest()
	if answer := w.want(404, "DELETE", "/rooms/r", nil); answer["error"] != "not-found" || answer["deleted"] != true {
		t.Fatalf("answer %v", answer)
	}
}

func TestEjectionTimeIsFixedAtJoin(t *testing.T) {
	w := start(t)
	url, _ := w.room("r", object{"exp": soon(500 * time.Millisecond), "eject_at_room_exp": true})
	early := w.bot(url)
	w.want(200, "POST", "/rooms/r", object{"properties": object{"exp": time.Now().Add(time.Hour).Unix()}})
	late := w.bot(url)
	tokened, _, _ := w.enter(url, w.token(object{"exp": time.Now().Add(time.Hour).Unix(), "eject_after_elapsed": 0.1}))
	early.rest()
	tokened.rest()
	if bots := w.Stats().Bots; bots.Live != 1 || bots.List[0].SessionID != late.id {
		t.Fatalf("inside are %+v", bots)
	}
	joined := w.hook.until("/events", 3, ofType("participant.joined"))
	if joined[0].payload()["will_eject_at"] == nil {
		t.Fatalf("payload %v", joined[0].payload())
	}
}

func TestUnknownEndpointIs404InJSON(t *testing.T) {
	w := start(t)
	if answer := w.want(404, "GET", "/recordings-of-yore", nil); answer["error"] != "not-found" {
		t.Fatalf("answer %v", answer)
	}
	if answer := w.want(404, "PATCH", "/rooms", nil); answer["error"] != "not-found" {
		t.Fatalf("answer %v", answer)
	}
}

func TestPublicURLIsTheBaseOfRoomURLs(t *testing.T) {
	for phrase, c := range map[string]struct{ public, url, path string }{
		"with a path":    {"https://phones.example/rooms/", "https://phones.example/rooms/r", "/rooms"},
		"without a path": {"https://phones.example", "https://phones.example/r", ""},
	} {
		t.Run(phrase, func(t *testing.T) {
			cfg := sim.Defaults()
			cfg.PublicURL = c.public
			s := sim.New(cfg)
			r, err := http.NewRequest("POST", "/v1/rooms", strings.NewReader(`{"name":"r"}`))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+cfg.APIKey)
			answer := serve(s, r)
			var room object
			if err := json.Unmarshal(answer.Body.Bytes(), &room); err != nil || room["url"] != c.url {
				t.Fatalf("room %s %v", answer.Body, err)
			}
			r, err = http.NewRequest("POST", c.path+"/nobody/join", strings.NewReader(`{}`))
			if err != nil {
				t.Fatal(err)
			}
			if answer := serve(s, r); answer.Code != 404 || !strings.Contains(answer.Body.String(), "room nobody not found") {
				t.Fatalf("join: %d %s", answer.Code, answer.Body)
			}
		})
	}
}

func TestBotsThatMeetForAMomentHaveNotStayed(t *testing.T) {
	w := start(t)
	url, _ := w.room("r", nil)
	first := w.bot(url)
	w.bot(url)
	first.leave()
	if err := w.WaitFor(w.ctx(), func() bool { return w.Stats().Bots.MaxStayed > 0 }); err != nil {
		t.Fatal(err)
	}
	if bots := w.Stats().Bots; bots.MaxLive != 2 || bots.MaxStayed != 1 {
		t.Errorf("%d bots met, and %d stayed", bots.MaxLive, bots.MaxStayed)
	}
}
