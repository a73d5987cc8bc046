// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

func TestWhatIsSaidIsKeptWithWhoHeardIt(t *testing.T) {
	s := start(t).scene(nil)
	say := func(by, text string) object {
		return s.control(200, "POST", "/sim/rooms/r/say", object{"by": by, "text": text})
	}
	say(s.call, "I want a person.") // a call's id will do
	s.want(200, "POST", "/rooms/r/update-permissions", s.names(`{"data":{"CALLER":{"canReceive":{"base":false},"canSend":false}}}`))
	if status, answer := s.send("POST", "/daily/r/say", "", object{"session_id": s.bot.id, "text": "He wants his money back."}); status != 200 || len(answer) != 0 {
		t.Fatalf("%d %v", status, answer)
	}
	say(s.operator, "I take it.")
	said := say(s.caller, "Is anybody there?")
	if len(said["heard_by"].([]any)) != 0 || len(said["missed"].([]any)) != 2 {
		t.Errorf("said %v", said)
	}
	_ = s.Hangup(s.call)
	s.bot.wait("dialin-stopped")
	s.want(200, "DELETE", "/rooms/r", nil)

	var heard []string // by the caller, of all that was said
	for _, said := range s.Heard("r") {
		if said.At.IsZero() || said.Room != "r" {
			t.Errorf("said %+v", said)
		}
		if slices.Contains(said.HeardBy, s.caller) {
			heard = append(heard, said.Text)
		}
	}
	if len(heard) != 0 {
		t.Errorf("the caller heard %q", heard)
	}
	kept := s.control(200, "GET", "/sim/rooms/r/heard", nil)
	if briefing := kept["data"].([]any)[1].(object); kept["total"] != 4.0 || briefing["by"] != s.bot.id ||
		briefing["heard_by"].([]any)[0] != s.operator || briefing["missed"].([]any)[0] != s.caller {
		t.Errorf("kept %v", kept)
	}
	if elsewhere := s.Heard("r2"); len(elsewhere) != 0 {
		t.Errorf("elsewhere %+v", elsewhere)
	}
}

func TestClientsAreToldWhatTheyHear(t *testing.T) {
	s := start(t).scene(nil)
	if _, err := s.Say("r", s.operator, "No."); err != nil {
		t.Fatal(err)
	}
	if heard := s.bot.wait("sim-said"); heard["sessionId"] != s.operator || heard["text"] != "No." {
		t.Fatalf("heard %v", heard)
	}
	s.want(200, "POST", "/rooms/r/update-permissions", s.names(`{"data":{"BOT":{"canReceive":{"base":false}}}}`))
	_, _ = s.Say("r", s.operator, "A secret.")
	_ = s.HangupDial(s.operator)
	for e := range s.bot.events {
		if e["event"] == "sim-said" {
			t.Errorf("heard %v", e)
		}
		if e["event"] == "dialout-stopped" {
			break
		}
	}
}

func TestAPhoneThatRingsNeitherSpeaksNorHears(t *testing.T) {
	w := start(t)
	w.does(callee, sim.Behaviour{Does: "no-answer"})
	bot := w.dialRoom("r", nil)
	id := w.dial("r", object{"phoneNumber": callee})
	w.is(id, "ringing")
	if _, err := w.Say("r", id, "Hello?"); !errors.Is(err, sim.ErrCannotSpeak) {
		t.Errorf("it spoke: %v", err)
	}
	said, err := w.Say("r", bot.id, "Hello?")
	if err != nil || len(said.HeardBy) != 0 || !slices.Equal(said.Missed, []string{id}) {
		t.Errorf("said %+v, %v", said, err)
	}
	if err := w.AnswerDial(id); err != nil {
		t.Fatal(err)
	}
	if hears := w.Hears("r"); !slices.Equal(hears[0].Hears, []string{id}) || !slices.Equal(hears[1].Hears, []string{bot.id}) ||
		hears[1].Kind != "pstn-dial-out" {
		t.Errorf("hears %+v", hears)
	}
}

func TestBadRequestsAboutHearing(t *testing.T) {
	w := start(t)
	w.does(callee, sim.Behaviour{Does: "no-answer"})
	w.room("empty", nil)
	bot := w.dialRoom("r", nil)
	id := w.dial("r", object{"phoneNumber": callee})
	w.is(id, "ringing")
	for phrase, c := range map[string]struct {
		method, path string
		body         object
		status       int
		info         string
	}{
		"the matrix of no room": {"GET", "/sim/rooms/nowhere/hears", nil, 404, "nowhere"},
		"said in no room":       {"POST", "/sim/rooms/nowhere/say", object{"by": bot.id}, 404, "not in the room"},
		"said in an empty room": {"POST", "/sim/rooms/empty/say", object{"by": bot.id}, 404, "not in the room"},
		"said by nobody":        {"POST", "/sim/rooms/r/say", object{"text": "boo"}, 404, "not in the room"},
		"said by who rings":     {"POST", "/sim/rooms/r/say", object{"by": id}, 400, "by: "},
		"an unknown field":      {"POST", "/sim/rooms/r/say", object{"who": bot.id}, 400, "who"},
		"a client elsewhere":    {"POST", "/daily/empty/say", object{"session_id": bot.id}, 404, "not in the room"},
	} {
		if answer := w.control(c.status, c.method, c.path, c.body); !strings.Contains(answer["info"].(string), c.info) {
			t.Errorf("%s: %v", phrase, answer)
		}
	}
	if empty := w.control(200, "GET", "/sim/rooms/empty/hears", nil); empty["total"] != 0.0 {
		t.Errorf("hears %v", empty)
	}
}
