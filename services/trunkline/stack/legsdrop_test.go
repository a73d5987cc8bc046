// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// Whoever it is after whom Daily drops the legs: a caller outlives his bot, for as long as rooms are made to let him.
func TestACallerOutlivesHisBotWhateverDropsLegs(t *testing.T) {
	for _, drop := range []string{"last-owner", "last-web"} {
		for _, owner := range []bool{true, false} {
			for _, late := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, the bot is an owner: %t, who is late hears dialin-ready: %t", drop, owner, late), func(t *testing.T) {
					t.Parallel()
					agent := bot(2, "--die-after=300ms")
					agent.Owner = owner
					w := start(t, agent, withSim(func(c *sim.Config) { c.LegsDrop, c.DialinReadyForLateJoiner = drop, late }))
					phone := w.connected(w.place(sim.CallSpec{From: caller}))
					w.expect(phone, "BotReady.2")
					if err := w.Sim.Hangup(phone.ID); err != nil {
						t.Fatal(err)
					}
					w.sound(phone)
					if s := w.state(phone); len(s.Attempts) != 2 || len(w.forwards(phone)) != 1 {
						t.Errorf("%d attempts, and the requests to forward %+v\n%s", len(s.Attempts), w.forwards(phone), w.told(phone))
					}
				})
			}
		}
	}
}

// A stock bot that is late hears dialin-ready too, and does what it always does then.
func TestAReplacementThatAsksForItsCallerHasHim(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	agent := bot(2)
	agent.Command = []string{
		"/bin/sh", "-c", `cat > "$0/part-$1" && mv "$0/part-$1" "$0/$1" && exec "$2" sim bot --die-after=300ms < "$0/$1"`,
		dir, "{{.CallID}}-{{.Attempt}}", "{{.Self}}",
	}
	w := start(t, agent, withSim(func(c *sim.Config) { c.DialinReadyForLateJoiner, c.SecondForward = true, "second-leg" }))
	phone := w.connected(w.place(sim.CallSpec{From: caller}))
	w.expect(phone, "BotReady.2")
	j := w.job(dir, phone, 2)
	asked := map[string]string{"callId": phone.ID, "callDomain": phone.CallDomain, "sipUri": w.state(phone).Attempt(2).Room.GetSipUri()}
	if status, word := w.ask(j.Body.DailyAPIKey, "dialin/pinlessCallUpdate", asked); status != http.StatusOK {
		t.Errorf("the second bot was answered %d %s", status, word)
	}
	if err := w.Sim.Hangup(phone.ID); err != nil {
		t.Fatal(err)
	}
	w.sound(phone)
	if requests := w.forwards(phone); len(requests) != 1 {
		t.Errorf("the requests to forward: %+v", requests)
	}
}

// Where a caller cannot wait for long enough, the record says what took him out.
func TestACallThatEndsForWantOfABotSaysSo(t *testing.T) {
	for _, drop := range []string{"last-owner", "last-web"} {
		t.Run(drop, func(t *testing.T) {
			t.Parallel()
			agent := bot(2, "--die-after=300ms", "--join-delay=6s")
			agent.Owner = true
			w := start(t, agent, withSim(func(c *sim.Config) { c.LegsDrop = drop }), func(o *stack.Options) {
				o.Config.Daily.MaxIdleTimeout = 3 * time.Second // the caller's, alone
			})
			phone := w.ended(w.connected(w.place(sim.CallSpec{From: caller})))
			s := w.cleared(phone)
			if phone.Why != "room-idle" || phone.Legs != 1 {
				t.Errorf("the caller had %d legs and ended because of %s", phone.Legs, phone.Why)
			}
			if got := s.Ended.Data; got.GetOutcome() != callv1.Outcome_OUTCOME_FAILED || got.GetReason() != "bot_lost" || got.GetDetail() == "" {
				t.Errorf("ended with %s\n%s", got, w.told(phone))
			}
			w.clean()
		})
	}
}
