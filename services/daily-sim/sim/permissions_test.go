// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

// The scene of a warm transfer: a caller, a bot and an operator in one room.
type scene struct {
	*world
	call, caller, operator string
	bot                    *client
}

func (w *world) scene(props object) scene {
	w.t.Helper()
	all := object{"enable_dialout": true}
	for k, v := range props {
		all[k] = v
	}
	id, bot := w.connected("r", all, sim.CallSpec{})
	operator := w.dial("r", object{"phoneNumber": callee})
	w.is(operator, "answered")
	return scene{world: w, call: id, caller: w.session(id), operator: operator, bot: bot}
}

// names puts people's names in place of their session ids.
func (s scene) names(text string) string {
	return strings.NewReplacer("CALLER", s.caller, "OPERATOR", s.operator, "BOT", s.bot.id).Replace(text)
}

// hearing is who hears whom, a line for each pair that is not deaf: "caller<bot" is the caller who hears the bot.
func (s scene) hearing() string {
	s.t.Helper()
	short := map[string]string{s.caller: "caller", s.operator: "operator", s.bot.id: "bot"}
	var pairs []string
	for _, one := range s.control(200, "GET", "/sim/rooms/r/hears", nil)["data"].([]any) {
		h := one.(object)
		for _, speaker := range h["hears"].([]any) {
			pairs = append(pairs, short[h["session_id"].(string)]+"<"+short[speaker.(string)])
		}
	}
	return strings.Join(pairs, " ")
}

const all = "bot<caller bot<operator caller<bot caller<operator operator<bot operator<caller"

func TestPermissionsDecideWhoHearsWhom(t *testing.T) {
	for phrase, c := range map[string]struct{ data, hearing string }{
		"nothing changes":                        {`{"CALLER":{}}`, all},
		"the caller is deaf":                     {`{"CALLER":{"canReceive":{"base":false}}}`, "bot<caller bot<operator operator<bot operator<caller"},
		"the caller is on hold":                  {`{"CALLER":{"canReceive":{"base":false},"canSend":false}}`, "bot<operator operator<bot"},
		"the caller may send no kind":            {`{"CALLER":{"canSend":[]}}`, "bot<operator caller<bot caller<operator operator<bot"},
		"the caller may send video":              {`{"CALLER":{"canSend":["video","screenAudio"]}}`, "bot<operator caller<bot caller<operator operator<bot"},
		"the caller may send audio":              {`{"CALLER":{"canSend":["audio"]}}`, all},
		"the caller may send by another name":    {`{"CALLER":{"canSend":["microphone"]}}`, all},
		"the caller does not hear the operator":  {`{"CALLER":{"canReceive":{"byParticipantId":{"OPERATOR":false}}}}`, "bot<caller bot<operator caller<bot operator<bot operator<caller"},
		"the caller hears the bot alone":         {`{"CALLER":{"canReceive":{"base":false,"byUserId":{"BOT":true}}}}`, "bot<caller bot<operator caller<bot operator<bot operator<caller"},
		"an id goes before a user id":            {`{"CALLER":{"canReceive":{"byUserId":{"BOT":false},"byParticipantId":{"BOT":{"audio":true}}}}}`, all},
		"kinds, of which audio counts":           {`{"CALLER":{"canReceive":{"base":{"audio":false,"video":true}}}}`, "bot<caller bot<operator operator<bot operator<caller"},
		"kinds without audio leave it as it was": {`{"CALLER":{"canReceive":{"base":{"video":false}}}}`, all},
		"the operator is hidden":                 {`{"OPERATOR":{"hasPresence":false}}`, "bot<caller caller<bot operator<bot operator<caller"},
		"nobody but who is named":                {`{"*":{"canReceive":{"base":false}},"OPERATOR":{}}`, "operator<bot operator<caller"},
		"who is not there does not matter":       {`{"x":{"canSend":false}}`, all},
	} {
		t.Run(phrase, func(t *testing.T) {
			s := start(t).scene(nil)
			if before := s.hearing(); before != all {
				t.Fatalf("at first %s", before)
			}
			s.want(200, "POST", "/rooms/r/update-permissions", s.names(`{"data":`+c.data+`}`))
			if now := s.hearing(); now != c.hearing {
				t.Errorf("%s, want %s", now, c.hearing)
			}
			s.want(200, "POST", "/rooms/r/update-permissions", s.names(`{"data":{"*":{
				"hasPresence":true,"canSend":true,"canReceive":{"base":true,"byUserId":{},"byParticipantId":null}}}}`))
			if now := s.hearing(); now != all {
				t.Errorf("in the end %s", now)
			}
		})
	}
}

func TestUpdatePermissionsRefused(t *testing.T) {
	w := start(t)
	s := w.scene(nil)
	w.room("empty", nil)
	for phrase, c := range map[string]struct {
		room, body string
		status     int
		info       string
	}{
		"no such room":            {"nowhere", `{"data":{"x":{}}}`, 404, "not found"},
		"an empty room":           {"empty", `{"data":{"x":{}}}`, 404, "not hosting"},
		"no data":                 {"r", `{}`, 400, "data"},
		"data is no object":       {"r", `{"data":[]}`, 400, "data"},
		"one is no object":        {"r", `{"data":{"x":true}}`, 400, "x"},
		"an unknown permission":   {"r", `{"data":{"x":{"canFly":true}}}`, 400, "canFly"},
		"presence is no boolean":  {"r", `{"data":{"x":{"hasPresence":"no"}}}`, 400, "hasPresence"},
		"an unknown kind":         {"r", `{"data":{"x":{"canSend":["smell"]}}}`, 400, "smell"},
		"kinds are a text":        {"r", `{"data":{"x":{"canAdmin":"participants"}}}`, 400, "canAdmin"},
		"canReceive is a boolean": {"r", `{"data":{"x":{"canReceive":false}}}`, 400, "canReceive"},
		"base is a text":          {"r", `{"data":{"x":{"canReceive":{"base":"no"}}}}`, 400, "base"},
		"by nobody":               {"r", `{"data":{"x":{"canReceive":{"byUserId":["u"]}}}}`, 400, "byUserId"},
		"by a text":               {"r", `{"data":{"x":{"canReceive":{"byParticipantId":{"u":"no"}}}}}`, 400, "byParticipantId"},
		"one of two is wrong":     {"r", `{"data":{"CALLER":{"canSend":false},"x":{"canSend":1}}}`, 400, "canSend"},
	} {
		status, answer := w.rest("POST", "/rooms/"+c.room+"/update-permissions", s.names(c.body))
		if info, _ := answer["info"].(string); status != c.status || !strings.Contains(info, c.info) || answer["error"] == nil {
			t.Errorf("%s: %d %v", phrase, status, answer)
		}
	}
	if now := s.hearing(); now != all {
		t.Errorf("something changed: %s", now)
	}
}

func TestWhatIsOpenAboutPermissionsIsSet(t *testing.T) {
	deaf := `{"data":{"CALLER":{"canReceive":{"base":false}}}}`
	for phrase, c := range map[string]struct {
		change  func(*sim.Permissions)
		data    string
		status  int
		hearing string
	}{
		"phones ignore them":     {func(p *sim.Permissions) { p.Legs = "ignored" }, deaf, 200, all},
		"phones cannot have any": {func(p *sim.Permissions) { p.Legs = "refused" }, deaf, 400, all},
		"bots can":               {func(p *sim.Permissions) { p.Legs = "refused" }, `{"data":{"BOT":{"canSend":false}}}`, 200, "bot<caller bot<operator caller<operator operator<caller"},
		"an unknown id":          {func(p *sim.Permissions) { p.UnknownID = "refused" }, `{"data":{"x":{},"CALLER":{"canSend":false}}}`, 404, all},
	} {
		t.Run(phrase, func(t *testing.T) {
			s := start(t, func(cfg *sim.Config) { c.change(&cfg.Permissions) }).scene(nil)
			s.want(c.status, "POST", "/rooms/r/update-permissions", s.names(c.data))
			if now := s.hearing(); now != c.hearing {
				t.Errorf("%s, want %s", now, c.hearing)
			}
		})
	}
}

func TestPermissionsAtTheDoor(t *testing.T) {
	deaf, mute := object{"canReceive": object{"base": false}}, object{"canSend": false}
	for phrase, c := range map[string]struct {
		room, token, dial object // permissions
		owner             bool
		legs              string
		guest, operator   bool // who hears
	}{
		"none":                                 {nil, nil, nil, false, "", true, true},
		"the room's":                           {deaf, nil, nil, false, "", false, false},
		"the room's are not for owners":        {deaf, nil, nil, true, "", true, false},
		"the token's go before the room's":     {deaf, object{"canReceive": object{"base": true}}, nil, false, "", true, false},
		"the token's add to the room's":        {deaf, object{"canSend": true}, nil, false, "", false, false},
		"the dial-out's go before the room's":  {deaf, nil, object{"canReceive": object{"base": true}}, false, "", false, true},
		"the dial-out's":                       {nil, nil, deaf, false, "", true, false},
		"where phones ignore them":             {deaf, nil, deaf, false, "ignored", false, true},
		"an owner's token can take them":       {nil, deaf, nil, true, "", false, true},
		"what is only about sending is no ear": {mute, mute, mute, false, "", true, true},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t, func(cfg *sim.Config) {
				if c.legs != "" {
					cfg.Permissions.Legs = c.legs
				}
			})
			props := object{"enable_dialout": true}
			if c.room != nil {
				props["permissions"] = c.room
			}
			url, _ := w.room("r", props)
			speaker := w.bot(url)
			guest, _, _ := w.enter(url, w.token(object{"is_owner": c.owner, "permissions": c.token}))
			id := w.dial("r", object{"phoneNumber": callee, "permissions": c.dial})
			w.is(id, "answered")
			said, err := w.Say("r", speaker.id, "hello")
			if err != nil {
				t.Fatal(err)
			}
			heard := strings.Join(said.HeardBy, " ")
			if strings.Contains(heard, guest.id) != c.guest || strings.Contains(heard, id) != c.operator {
				t.Errorf("heard by %s, missed by %s", heard, said.Missed)
			}
		})
	}
	w := start(t)
	w.want(400, "POST", "/rooms", object{"properties": object{"permissions": object{"canSend": 1}}})
	w.want(400, "POST", "/meeting-tokens", object{"properties": object{"permissions": object{"canReceive": true}}})
	w.dialRoom("r", nil)
	w.want(400, "POST", "/rooms/r/dialOut/start", object{"phoneNumber": callee, "permissions": object{"canReceive": 1}})
}

func TestRoomSeesPermissionsChange(t *testing.T) {
	s := start(t).scene(nil)
	update := func(data string) {
		s.want(200, "POST", "/rooms/r/update-permissions", s.names(data))
	}
	update(`{"data":{"CALLER":{"canSend":["video"]}}}`)
	p := s.bot.wait("participant-updated")["participant"].(object)
	if p["sessionId"] != s.caller || p["permissions"].(object)["canSend"].([]any)[0] != "video" {
		t.Fatalf("updated %v", p)
	}
	update(`{"data":{"CALLER":{"hasPresence":false}}}`)
	if left := s.bot.wait("participant-left"); left["reason"] != "hidden" || left["participant"].(object)["sessionId"] != s.caller {
		t.Fatalf("left %v", left)
	}
	late, _, _ := s.enter(s.url+"/daily/r", s.token(object{"permissions": object{"hasPresence": false}}))
	update(`{"data":{"CALLER":{"hasPresence":true}}}`)
	// The one who came hidden was told to nobody, so the next who joins is the caller.
	if joined := s.bot.wait("participant-joined"); joined["participant"].(object)["sessionId"] != s.caller {
		t.Fatalf("joined %v", joined)
	}
	late.leave()
	_ = s.Hangup(s.call)
	if left := s.bot.wait("participant-left"); left["participant"].(object)["sessionId"] != s.caller {
		t.Fatalf("left %v", left)
	}
}

func TestBotUpdatesParticipants(t *testing.T) {
	s := start(t).scene(nil)
	guest, _, _ := s.enter(s.url+"/daily/r", "")
	ask := func(by, participants string) (int, object) {
		return s.send("POST", "/daily/r/participants/update", "", s.names(`{"session_id":"`+by+`","remote_participants":`+participants+`}`))
	}
	if status, answer := ask(s.bot.id, `{"CALLER":{"permissions":{"canReceive":{"base":false}},"inputsEnabled":{"microphone":false}}}`); status != 200 {
		t.Fatalf("%d %v", status, answer)
	}
	if now := s.hearing(); strings.Contains(now, "caller") {
		t.Fatalf("hearing %s", now)
	}
	for phrase, c := range map[string]struct {
		by, participants string
		status           int
		info             string
	}{
		"no owner":            {guest.id, `{}`, 403, "owner"},
		"not in the room":     {"x", `{}`, 404, "session_id"},
		"an unknown field":    {s.bot.id, `{"CALLER":{"volume":3}}`, 400, "volume"},
		"a wrong permission":  {s.bot.id, `{"CALLER":{"permissions":{"canSend":3}}}`, 400, "canSend"},
		"a wrong input value": {s.bot.id, `{"CALLER":{"inputsEnabled":{"microphone":1}}}`, 400, "inputsEnabled"},
	} {
		if status, answer := ask(c.by, c.participants); status != c.status || !strings.Contains(answer["info"].(string), c.info) {
			t.Errorf("%s: %d %v", phrase, status, answer)
		}
	}
	s.want(200, "POST", "/rooms/r/update-permissions", object{"data": object{guest.id: object{"canAdmin": []string{"participants"}}}})
	if status, answer := ask(guest.id, `{"CALLER":{"permissions":{"canReceive":{"base":true}},"inputsEnabled":{"microphone":true}}}`); status != 200 {
		t.Fatalf("by an admin: %d %v", status, answer)
	}
	if now := s.hearing(); !strings.Contains(now, "caller<operator") || !strings.Contains(now, "operator<caller") {
		t.Fatalf("hearing %s", now)
	}
}

func TestTrunklinesClientUpdatesPermissions(t *testing.T) {
	s := start(t).scene(nil)
	client := daily.Client{BaseURL: s.url + "/v1", APIKey: sim.Defaults().APIKey, Retry: daily.Retry{First: ms(1).Std()}}
	if err := s.SetFaults(sim.Faults{REST: []sim.Fault{{Kind: "drop", When: "after", Times: 1}}}); err != nil {
		t.Fatal(err)
	}
	err := client.UpdatePermissions(s.ctx(), "r", map[string]daily.Permissions{
		s.caller: {CanSend: false, CanReceive: daily.CanReceive{Base: new(false)}},
	})
	if now := s.hearing(); err != nil || now != "bot<operator operator<bot" {
		t.Fatalf("%s, %v", now, err)
	}
	if err := client.UpdatePermissions(s.ctx(), "nowhere", map[string]daily.Permissions{daily.Everybody: {}}); !errors.Is(err, daily.ErrNotFound) {
		t.Error(err)
	}
}
