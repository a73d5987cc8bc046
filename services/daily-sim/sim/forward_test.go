// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

func TestSIPIsReadyOnlyAfterTheFirstJoinAndOncePerEndpoint(t *testing.T) {
	w := start(t)
	url, endpoint := w.room("r", object{"sip": object{"display_name": "x", "sip_mode": "dial-in", "num_endpoints": 2}})
	id := w.ring(sim.CallSpec{})
	if status, answer := w.forward(id, endpoint); status != 404 || answer["error"] != "not-found" {
		t.Fatalf("forward into an empty room: %d %v", status, answer)
	}
	bot := w.bot(url)
	one, two := bot.wait("dialin-ready"), bot.wait("dialin-ready")
	if one["sipEndpoint"] == two["sipEndpoint"] || one["provider"] == nil {
		t.Fatalf("endpoints %v %v", one, two)
	}
	ready := w.hook.until("/events", 2, ofType("dialin.ready"))
	if len(ready) != 2 || ready[0].object["id"] == ready[1].object["id"] || ready[0].payload()["sip_endpoint"] == nil {
		t.Fatalf("webhooks %s", ready)
	}
	if status, answer := w.forward(id, endpoint); status != 200 {
		t.Fatalf("forward: %d %v", status, answer)
	}
}

func TestLateJoinerHearsDialinReadyBySetting(t *testing.T) {
	for phrase, told := range map[string]bool{"told": true, "not told": false} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t, func(c *sim.Config) { c.DialinReadyForLateJoiner, c.KeepAlive = told, ms(20) })
			url, _ := w.room("r", nil)
			first := w.bot(url)
			first.wait("dialin-ready")
			second := w.bot(url)
			next := <-second.events
			if got := next["event"] == "dialin-ready"; got != told {
				t.Fatalf("the late joiner saw %v", next)
			}
			first.leave()
		})
	}
}

func TestForwardsRefused(t *testing.T) {
	w := start(t)
	url, endpoint := w.room("r", nil)
	w.bot(url).wait("dialin-ready")
	id := w.ring(sim.CallSpec{})
	gone := w.ring(sim.CallSpec{})
	if err := w.Hangup(gone); err != nil {
		t.Fatal(err)
	}
	domain := sim.Defaults().CallDomain
	for phrase, c := range map[string]struct {
		body   object
		status int
	}{
		"no callId":          {object{"callDomain": domain, "sipUri": endpoint}, 400},
		"no callDomain":      {object{"callId": id, "sipUri": endpoint}, 400},
		"no sipUri":          {object{"callId": id, "callDomain": domain}, 400},
		"callId no string":   {object{"callId": 7, "callDomain": domain, "sipUri": endpoint}, 400},
		"unknown call":       {object{"callId": "x", "callDomain": domain, "sipUri": endpoint}, 404},
		"another domain":     {object{"callId": id, "callDomain": "x", "sipUri": endpoint}, 404},
		"unknown endpoint":   {object{"callId": id, "callDomain": domain, "sipUri": "sip:nobody@nowhere"}, 404},
		"caller has hung up": {object{"callId": gone, "callDomain": domain, "sipUri": endpoint}, 404},
	} {
		if status, answer := w.rest("POST", "/dialin/pinlessCallUpdate", c.body); status != c.status || answer["error"] == nil {
			t.Errorf("%s: %d %v", phrase, status, answer)
		}
	}
	if c, _ := w.Call(id); c.State != sim.Holding {
		t.Fatalf("the call does not hold any longer: %+v", c)
	}
	if c, _ := w.Call(gone); c.Refused != 1 {
		t.Fatalf("call %+v", c)
	}
}

func TestEndpointMayCarryParameters(t *testing.T) {
	w := start(t)
	url, endpoint := w.room("r", nil)
	w.bot(url).wait("dialin-ready")
	id := w.ring(sim.CallSpec{})
	if status, answer := w.forward(id, endpoint+"?x-daily_display_name=Ann"); status != 200 {
		t.Fatalf("forward: %d %v", status, answer)
	}
}

func TestSecondForwardBySetting(t *testing.T) {
	for setting, want := range map[string]struct {
		status, legs, rooms int
	}{"404": {404, 1, 1}, "second-leg": {200, 2, 2}} {
		t.Run(setting, func(t *testing.T) {
			w := start(t, func(c *sim.Config) { c.SecondForward = setting })
			id, first := w.connected("a", nil, sim.CallSpec{})
			url, endpoint := w.room("b", nil)
			w.bot(url).wait("dialin-ready")
			status, answer := w.forward(id, endpoint)
			if status != want.status {
				t.Fatalf("second forward: %d %v", status, answer)
			}
			c := w.until(id, "with all its legs", func(c sim.Call) bool { return c.Legs == want.legs })
			if len(c.Rooms) != want.rooms {
				t.Fatalf("call %+v", c)
			}
			if legs := w.Stats().Legs; legs != want.legs {
				t.Fatalf("%d legs", legs)
			}
			if err := w.Hangup(id); err != nil {
				t.Fatal(err)
			}
			first.wait("dialin-stopped")
			if legs := w.Stats().Legs; legs != 0 {
				t.Fatalf("%d legs after the hangup", legs)
			}
		})
	}
}

func TestEndpointServesOneCallerAtATimeAndThenTheNext(t *testing.T) {
	w := start(t)
	url, endpoint := w.room("r", nil)
	w.bot(url).wait("dialin-ready")
	one, two := w.ring(sim.CallSpec{}), w.ring(sim.CallSpec{})
	if status, _ := w.forward(one, endpoint); status != 200 {
		t.Fatalf("first caller: %d", status)
	}
	if status, _ := w.forward(two, endpoint); status != 404 {
		t.Fatalf("busy endpoint: %d", status)
	}
	w.untilState(one, sim.Connected)
	if err := w.Hangup(one); err != nil {
		t.Fatal(err)
	}
	if status, _ := w.forward(two, endpoint); status != 200 {
		t.Fatalf("free endpoint: %d", status)
	}
}

func TestAllowRoomStartLetsTheCallerInFirst(t *testing.T) {
	w := start(t)
	url, endpoint := w.room("r", object{"sip": object{
		"display_name": "x", "sip_mode": "dial-in", "dialin_config": object{"allow_room_start": true},
	}})
	id := w.ring(sim.CallSpec{})
	if status, answer := w.forward(id, endpoint); status != 200 {
		t.Fatalf("forward: %d %v", status, answer)
	}
	w.untilState(id, sim.Connected)
	w.bot(url).leave()
	if c := w.untilState(id, sim.Ended); c.Why != "room-idle" {
		t.Fatalf("call %+v", c)
	}
}

func TestCallerIsLostWhenTheRoomIsGoneOnArrival(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.ConnectDelay = ms(200) })
	url, endpoint := w.room("r", nil)
	bot := w.bot(url)
	bot.wait("dialin-ready")
	id := w.ring(sim.CallSpec{})
	if status, answer := w.forward(id, endpoint); status != 200 {
		t.Fatalf("forward: %d %v", status, answer)
	}
	if c, _ := w.Call(id); c.State != sim.Forwarded || c.ForwardedAt == nil || c.Live != 0 {
		t.Fatalf("call %+v", c)
	}
	bot.leave()
	if c := w.untilState(id, sim.Ended); c.Why != "not-connected" || c.Legs != 0 {
		t.Fatalf("call %+v", c)
	}
}

func TestCallerWhoHangsUpOnTheForward(t *testing.T) {
	w := start(t)
	url, endpoint := w.room("r", nil)
	w.bot(url).wait("dialin-ready")
	id := w.ring(sim.CallSpec{HangupOnForward: true})
	if status, _ := w.forward(id, endpoint); status != 200 {
		t.Fatalf("forward: %d", status)
	}
	if c := w.untilState(id, sim.Ended); c.Why != "hung-up" || c.Legs != 0 || c.ConnectedAt != nil {
		t.Fatalf("call %+v", c)
	}
}

func TestHoldsEnd(t *testing.T) {
	for why, spec := range map[string]sim.CallSpec{
		"gave-up":      {Hold: ms(30)},
		"hold-timeout": {Hold: ms(60000)},
	} {
		t.Run(why, func(t *testing.T) {
			w := start(t, func(c *sim.Config) { c.MaxHold = ms(100) })
			id := w.ring(spec)
			c := w.untilState(id, sim.Ended)
			if c.Why != why || c.Held.Std() < 30*time.Millisecond || len(c.Rooms) != 0 {
				t.Fatalf("call %+v", c)
			}
		})
	}
}

func TestTalkEndsByTheCallersHangup(t *testing.T) {
	w := start(t)
	id, bot := w.connected("r", nil, sim.CallSpec{Talk: ms(50)})
	bot.wait("dialin-stopped")
	c := w.untilState(id, sim.Ended)
	if c.Why != "hung-up" || c.EndedAt.Sub(*c.ConnectedAt) < 50*time.Millisecond {
		t.Fatalf("call %+v", c)
	}
}

func TestLegsDropWhenNobodyLooksAfterThem(t *testing.T) {
	for _, c := range []struct {
		phrase, rule string
		leaver       string // who leaves while the other, a guest or an owner, stays
		drops        bool
	}{
		{"last owner leaves, a guest stays", "last-owner", "owner", true},
		{"last owner leaves, a guest stays, by the other rule", "last-web", "owner", false},
		{"a guest leaves, the owner stays", "last-owner", "guest", false},
		{"all leave", "last-web", "both", true},
		{"all leave, by the owner's rule", "last-owner", "both", true},
	} {
		t.Run(c.phrase, func(t *testing.T) {
			w := start(t, func(cfg *sim.Config) { cfg.LegsDrop = c.rule })
			url, endpoint := w.room("r", nil)
			owner := w.bot(url)
			owner.wait("dialin-ready")
			guest, _, _ := w.enter(url, "")
			id := w.ring(sim.CallSpec{})
			if status, _ := w.forward(id, endpoint); status != 200 {
				t.Fatalf("forward: %d", status)
			}
			w.untilState(id, sim.Connected)
			gone := 1
			if c.leaver != "guest" {
				owner.leave()
			}
			if c.leaver != "owner" {
				guest.leave()
			}
			if c.leaver == "both" {
				gone = 2
			}
			if err := w.WaitFor(w.ctx(), func() bool { return w.Stats().Bots.Live == 2-gone }); err != nil {
				t.Fatal(err)
			}
			if c.drops {
				if call := w.untilState(id, sim.Ended); call.Why != "room-idle" {
					t.Fatalf("call %+v", call)
				}
				w.hook.event("dialin.stopped")
			} else if call, _ := w.Call(id); call.State != sim.Connected {
				t.Fatalf("call %+v", call)
			}
		})
	}
}

func TestGraceLetsAnotherBotTakeOver(t *testing.T) {
	grace := object{"sip": object{"display_name": "x", "sip_mode": "dial-in", "dialin_config": object{"max_idle_timeout_sec": 1}}}
	w := start(t)
	id, bot := w.connected("r", grace, sim.CallSpec{})
	meeting := w.want(200, "GET", "/meetings?room=r", nil)["data"].([]any)[0].(object)["id"]
	bot.leave()
	if err := w.WaitFor(w.ctx(), func() bool { return w.Stats().Bots.Live == 0 }); err != nil {
		t.Fatal(err)
	}
	if c, _ := w.Call(id); c.State != sim.Connected {
		t.Fatalf("call without a bot %+v", c)
	}
	second := w.bot(w.url + "/daily/r")
	left := time.Now()
	if now := w.want(200, "GET", "/meetings?room=r", nil)["data"].([]any)[0].(object)["id"]; now != meeting {
		t.Fatalf("meeting %v became %v", meeting, now)
	}
	second.leave()
	c := w.untilState(id, sim.Ended)
	if c.Why != "room-idle" || c.EndedAt.Sub(left) < 900*time.Millisecond {
		t.Fatalf("call %+v, the second bot came at %s", c, left)
	}
	if c.Alone.Std() < 900*time.Millisecond || c.Alone.Std() > c.EndedAt.Sub(*c.ConnectedAt) {
		t.Errorf("it was without a bot for %s", c.Alone)
	}
}

func TestEjectByIDAndByUserID(t *testing.T) {
	w := start(t)
	url, _ := w.room("r", nil)
	if answer := w.want(404, "POST", "/rooms/r/eject", object{"ids": []string{"x"}}); answer["error"] != "not-found" {
		t.Fatalf("no session: %v", answer)
	}
	enter := func(user string) *client {
		c, status, refusal := w.enter(url, w.token(object{"user_id": user, "is_owner": true}))
		if status != 200 {
			t.Fatalf("join: %d %v", status, refusal)
		}
		return c
	}
	a, b, c := enter("a"), enter("b"), enter("c")
	answer := w.want(200, "POST", "/rooms/r/eject", object{"ids": []string{a.id, "unknown"}, "user_ids": []string{"b"}, "ban": true})
	ejected := answer["ejectedIds"].([]any)
	if len(ejected) != 2 || !slices.Contains(ejected, any(a.id)) || !slices.Contains(ejected, any(b.id)) {
		t.Fatalf("answer %v", answer)
	}
	if names := a.rest(); !slices.Contains(names, "ejected") {
		t.Fatalf("a saw %v", names)
	}
	b.rest()
	if _, status, refusal := w.enter(url, w.token(object{"user_id": "b"})); status != 403 || !strings.Contains(refusal["info"].(string), "banned") {
		t.Fatalf("banned: %d %v", status, refusal)
	}
	if answer := w.want(200, "POST", "/rooms/r/eject", object{"ids": []string{"unknown"}}); len(answer["ejectedIds"].([]any)) != 0 {
		t.Fatalf("unknown ids: %v", answer)
	}
	if bots := w.Stats().Bots; bots.Live != 1 || bots.List[0].SessionID != c.id {
		t.Fatalf("inside are %+v", bots)
	}
	w.want(400, "POST", "/rooms/r/eject", object{})
	w.want(400, "POST", "/rooms/r/eject", object{"ids": make([]string, 101)})
	w.want(400, "POST", "/rooms/r/eject", object{"ids": []string{"x"}, "ban": "yes"})
	w.want(404, "POST", "/rooms/nobody/eject", object{"ids": []string{"x"}})
}

func TestEjectedCallerIsOut(t *testing.T) {
	w := start(t)
	id, bot := w.connected("r", nil, sim.CallSpec{})
	leg := w.hook.event("dialin.connected").payload()["session_id"]
	w.want(200, "POST", "/rooms/r/eject", object{"ids": []any{leg}})
	if c := w.untilState(id, sim.Ended); c.Why != "ejected" {
		t.Fatalf("call %+v", c)
	}
	bot.wait("dialin-stopped")
}
