// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/bot-scheduler/job"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// tell is an event in a bot's name.
func (w *world) tell(body job.Body, seq int, kind string, data any) {
	w.t.Helper()
	event := map[string]any{"seq": seq, "type": kind, "data": data}
	if status, word := w.ask(body.Trunkline.Token, "event", event); status != 200 {
		w.t.Errorf("%s: %d %s", kind, status, word)
	}
}

// body is what the bot was told that was started as the nth at a place. From then on the test asks its gateway.
func (w *world) body(p place, n int) (b job.Body) {
	w.t.Helper()
	w.poll("the bot to be started", func() bool { return len(p.hall.Started()) >= n })
	if err := json.Unmarshal(p.hall.Started()[n-1].Body, &b); err != nil {
		w.t.Fatal(err)
	}
	w.URLs["gateway"] = strings.TrimSuffix(b.DailyAPIURL, "/v1")
	return b
}

// contexts counts the conversations that are kept.
func (w *world) contexts() (n int) {
	w.t.Helper()
	kv, err := w.JS.KeyValue(w.t.Context(), "contexts")
	if err != nil {
		w.t.Fatal(err)
	}
	keys, err := kv.ListKeys(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for range keys.Keys() {
		n++
	}
	return n
}

// What a bot has told of the conversation outlives it and the scheduler, is on no record and in no log, and not there for
// longer than the call.
func TestTheConversationReachesTheBotThatTakesOver(t *testing.T) {
	said := func(text string) map[string]any {
		return map[string]any{"messages": []any{map[string]any{"role": "user", "content": text}}}
	}
	everywhere(t, nil, func(t *testing.T, w *world, p place) {
		if p.agent.Backend != config.Runner {
			t.Skip("the same for all")
		}
		begin := w.schedulers()
		end := begin()
		phone := w.connected(w.place(sim.CallSpec{From: caller}))
		w.expect(phone, "CallConnected")
		first := w.body(p, 1)
		if first.Trunkline.Context != nil {
			t.Errorf("the first bot is told of %s", first.Trunkline.Context)
		}
		w.tell(first, 1, "context", said("a first secret"))
		w.tell(first, 3, "context", said("my secret"))
		w.tell(first, 2, "context", said("a late secret"))
		token := first.Trunkline.Token
		w.refused(token, "event", map[string]any{"seq": 4, "type": "context", "data": "my secret"}, 400, "invalid-request-error")
		w.refused(token, "event", map[string]any{"seq": 5, "type": "context", "data": said(strings.Repeat("secret", 11<<10))}, 400, "invalid-request-error")
		end()
		begin()
		http.DefaultClient.CloseIdleConnections() // those to the first scheduler
		w.tell(first, 6, "bot.failed", map[string]any{"error": "no more words"})
		if m := w.expect(phone, "BotFailed.1").Data.(*callv1.BotFailed); m.GetReason() != "failed: no more words" {
			t.Errorf("given up: %v", m)
		}
		w.expectLong(phone, "BotReady.2")
		second := w.body(p, 2)
		var got struct {
			Messages []struct{ Content string }
		}
		if err := json.Unmarshal(second.Trunkline.Context, &got); err != nil || !second.Trunkline.Resumed || len(got.Messages) != 1 || got.Messages[0].Content != "my secret" {
			t.Errorf("the next bot is told of %s (%v)", second.Trunkline.Context, err)
		}
		w.refused(token, "event", map[string]any{"seq": 7, "type": "context", "data": said("too late")}, 409, "superseded")
		if n := w.contexts(); n != 1 {
			t.Errorf("%d conversations are kept", n)
		}
		if err := w.Sim.Hangup(phone.ID); err != nil {
			t.Fatal(err)
		}
		if phone = w.ended(phone); phone.Legs != 1 || len(phone.Rooms) != 1 {
			t.Errorf("%d legs in %v", phone.Legs, phone.Rooms)
		}
		w.cleared(phone)
		w.refused(second.Trunkline.Token, "event", map[string]any{"seq": 1, "type": "context", "data": said("too late")}, 410, "ended")
		w.poll("the conversation to be deleted", func() bool { return w.contexts() == 0 })
		story, err := w.bus.Story(t.Context(), w.id(phone))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range story.Events {
			if strings.Contains(fmt.Sprint(e.Data), "secret") {
				t.Errorf("what was said is on the record: %s", e.Key())
			}
		}
		if strings.Contains(w.logs.String(), "secret") {
			t.Error("what was said is in the logs")
		}
		w.clean()
	}, noScheduler)
}

// A bot that is known to be ready may claim its call all the same, and is the only one.
func TestABotClaimsAfterItHasJoined(t *testing.T) {
	for name, change := range map[string]func(*stack.Options){
		"Daily has told that it has joined": func(*stack.Options) {},
		"the bot has told it":               noDomainWebhook,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			agent := bot(4)
			agent.Command = []string{"/bin/sh", "-c", `cat > "$0/part-$1" && mv "$0/part-$1" "$0/$1" && exec "$2" sim bot < "$0/$1"`, dir, "{{.CallID}}-{{.Attempt}}", "{{.Self}}"}
			w := start(t, agent, change)
			phone := w.connected(w.place(sim.CallSpec{From: caller}))
			first := w.job(dir, phone, 1).Body
			w.tell(first, 1, "dialin.connected", nil) // so that the record knows without Daily
			w.tell(first, 2, "bot.failed", map[string]any{"error": strings.Repeat("x", 300)})
			if m := w.expect(phone, "BotFailed.1").Data.(*callv1.BotFailed); len(m.GetReason()) > 220 {
				t.Errorf("a reason of %d bytes", len(m.GetReason()))
			}
			second := w.job(dir, phone, 2).Body
			if !second.Trunkline.Resumed || second.Trunkline.Context != nil {
				t.Errorf("the job: %+v", second.Trunkline)
			}
			if w.Config.PublicURL == "" {
				w.tell(second, 1, "bot.joined", map[string]any{"sessionId": "its own"})
			}
			ready := w.expect(phone, "BotReady.2").Data.(*callv1.BotReady)
			if ready.GetSign() != callv1.Sign_SIGN_JOINED || ready.GetSession() == "" {
				t.Errorf("%v", ready)
			}
			token := second.Trunkline.Token
			for range 2 {
				if status, word := w.ask(token, "claim", map[string]string{"session_id": "a"}); status != 200 {
					t.Errorf("the claim: %d %s", status, word)
				}
			}
			w.refused(token, "claim", map[string]string{"session_id": "b"}, 409, "superseded")
			w.refused(token, "claim", map[string]string{"session_id": ready.GetSession()}, 409, "superseded")
			if err := w.Sim.Hangup(phone.ID); err != nil {
				t.Fatal(err)
			}
			w.tell(second, 2, "dialin.stopped", nil)
			if s := w.cleared(phone); len(s.Attempts) != 2 {
				t.Errorf("%d attempts\n%s", len(s.Attempts), w.told(phone))
			}
			w.idle()
		})
	}
}

// A bot that leaves when its caller is handed over ends no call, and by its word its slot is free.
func TestABotThatSaysThatItLeaves(t *testing.T) {
	everywhere(t, map[int]string{1: "--outstay", 2: "--outstay"}, func(t *testing.T, w *world, p place) {
		phone := w.connected(w.place(sim.CallSpec{From: caller}))
		w.expect(phone, "CallConnected")
		d, room := w.desk(phone), w.state(phone).Forwarded.Data.GetRoom()
		session := d.calls(room, true)
		d.joins(session)
		began := time.Now()
		w.tell(w.body(p, 1), 1, "bot.left", nil)
		if m := w.exitedAs(phone, 1); m.GetStatus() != 0 || m.GetReason() != "it has reported its end" && !p.tells {
			t.Errorf("%v after %s", m, time.Since(began))
		}
		w.wait("the bot to be out of the room", func() bool { return len(w.Sim.Hears(room)) == 2 })
		if !d.talk(room, session) {
			t.Errorf("who hears whom: %+v", w.Sim.Hears(room))
		}
		if err := w.Sim.Hangup(phone.ID); err != nil {
			t.Fatal(err)
		}
		if s := w.cleared(phone); s.Ended.Data.GetReason() != "caller_hung_up" || len(s.Attempts) != 1 {
			t.Errorf("ended with %s\n%s", s.Ended.Data, w.told(phone))
		}
		d.dialEnded(session)
	}, withTarget(true))
}

// One that leaves its caller alone is replaced.
func TestABotThatLeavesItsCallerIsReplaced(t *testing.T) {
	everywhere(t, nil, func(t *testing.T, w *world, p place) {
		phone := w.connected(w.place(sim.CallSpec{From: caller}))
		w.expect(phone, "CallConnected")
		w.tell(w.body(p, 1), 1, "bot.left", nil)
		w.expectLong(phone, "BotReady.2")
		w.exitedAs(phone, 1)
		if err := w.Sim.Hangup(phone.ID); err != nil {
			t.Fatal(err)
		}
		if phone = w.ended(phone); phone.Legs != 1 || len(phone.Rooms) != 1 {
			t.Errorf("%d legs in %v", phone.Legs, phone.Rooms)
		}
		w.cleared(phone)
		w.clean()
	})
}
