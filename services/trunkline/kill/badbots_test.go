// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/call"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/storm"
)

// A bot's token speaks for its own call alone.
func TestABotThatAsksForAnothersCallerDoesNotGetHim(t *testing.T) {
	w := watched(t, options{slots: 3})
	first := w.Connected(w.Place(sim.CallSpec{}))
	w.change("bot-scheduler", "sim, bot", `sim, bot, "--ask-for-call=`+first.ID+`"`)

	second := w.Connected(w.Place(sim.CallSpec{}))
	if refused := w.awaitLogged("bot-scheduler", "sim-bot: ask for the caller: "); !strings.HasPrefix(refused, "403 ") {
		t.Errorf("the bot was answered: %s", refused)
	}
	for _, phone := range []sim.Call{first, second} { // each with his own bot, once
		now, _ := w.Sim.Call(phone.ID)
		own := call.RoomName(w.ID(phone), 1)
		if now.State != sim.Connected || now.Legs != 1 || now.Forwards != 1 || now.Refused != 0 || !slices.Equal(now.Rooms, []string{own}) {
			t.Errorf("%s, %d legs in %v, forwarded %d times and refused %d times", now.State, now.Legs, now.Rooms, now.Forwards, now.Refused)
		}
	}
	w.HangUp(first, second)
	w.cleared()
}

func TestNoProcessOutlivesABadBot(t *testing.T) {
	for name, flags := range map[string]string{
		"it leaves a child":                           `, "--leave-child"`,
		"it ignores SIGTERM and the caller's leaving": `, "--ignore-sigterm", "--outstay"`,
		"it does all of this":                         `, "--ignore-sigterm", "--outstay", "--leave-child"`,
	} {
		t.Run(name, func(t *testing.T) {
			w := watched(t, options{slots: 1, flags: flags, agent: "linger: 500ms, kill_grace: 1s"})
			phone := w.Connected(w.Place(sim.CallSpec{}))
			here := living(w.dir)
			if len(here) != 2 {
				t.Fatalf("there are %v, want a bot and its keeper", here)
			}
			if strings.Contains(flags, "child") {
				pid, err := strconv.Atoi(w.awaitLogged("bot-scheduler", "sim-bot: child "))
				if err != nil || !exists(pid) {
					t.Fatalf("the child %d: %v", pid, err)
				}
				here = append(here, proc{pid: pid})
			}
			w.HangUp(phone)
			w.cleared()
			for _, p := range here {
				if exists(p.pid) {
					t.Errorf("%s is still there", p)
				}
			}
			exited := w.Expect(phone, "BotExited.1").Data.(*callv1.BotExited)
			if killed := strings.Contains(exited.GetReason(), "killed"); killed != strings.Contains(flags, "ignore") {
				t.Errorf("it exited with %s", exited)
			}
		})
	}
}

// Nobody reports the exit of a bot that has died with its keeper. Its empty room is no sign that the caller has gone.
func TestACallerWhoseBotDiesWithItsKeeperIsNotTakenToHaveGone(t *testing.T) {
	w := watched(t, options{slots: 2, flags: `, "--never-ask"`, agent: "lease: 4s, kill_grace: 1s"})
	phone := w.Place(sim.CallSpec{})
	w.Expect(phone, "DialinReady.1")
	bot, ok := botOf(w.ID(phone), 1)
	if !ok {
		t.Fatal("there is no bot")
	}
	signal(t, syscall.SIGKILL, bot.parent) // the kernel sends the bot after it
	phone = w.Connected(phone)
	w.Expect(phone, "CallConnected")
	if second := call.RoomName(w.ID(phone), 2); phone.Legs != 1 || !slices.Equal(phone.Rooms, []string{second}) {
		t.Errorf("%d legs in %v\n%s", phone.Legs, phone.Rooms, w.Told(phone))
	}
	w.HangUp(phone)
	w.cleared()
}

// Whatever stood still, wakes up and goes on, finds that its place is taken.
func TestABotThatWakesUpLateNeverGetsTheCaller(t *testing.T) {
	const lease = 4 * time.Second
	for name, c := range map[string]struct {
		keeper bool // stands still, too
		agent  string
	}{
		"the bot stood still":                {false, "ready_timeout: 3s, lease: 30s, kill_grace: 20s"},
		"the bot and its keeper stood still": {true, "ready_timeout: 3s, lease: 4s, kill_grace: 3s"},
	} {
		t.Run(name, func(t *testing.T) {
			w := watched(t, options{slots: 2, flags: `, "--stand-still-attempts=1", "--ignore-sigterm"`, agent: c.agent})
			phone := w.Place(sim.CallSpec{})
			w.Expect(phone, "BotStarted.1")
			late, ok := botOf(w.ID(phone), 1)
			if !ok {
				t.Fatal("there is no bot")
			}
			w.awaitLogged("bot-scheduler", "sim-bot: standing still")
			asleep := []int{late.pid}
			began := time.Now()
			if c.keeper {
				signal(t, syscall.SIGSTOP, late.parent)
				asleep = append(asleep, late.parent)
			}

			phone = w.Connected(phone)
			w.Expect(phone, "CallConnected")
			if c.keeper {
				w.Expect(phone, "BotExited.1") // on the word of the lease alone
				if passed := time.Since(began); passed < lease-time.Second {
					t.Errorf("the slot was given away after %s", passed)
				}
			}
			signal(t, syscall.SIGCONT, asleep...)
			if !c.keeper {
				w.Poll(storm.Soon, "the late bot to be put out of its room, or refused what it asks for", func() string {
					logged := w.logged("bot-scheduler")
					for _, out := range []string{"sim-bot: ejected", "sim-bot: ask for the caller: 409 ", "sim-bot: join"} {
						if strings.Contains(logged, out) {
							return ""
						}
					}
					return logged
				})
			}
			w.Poll(storm.Soon, "the late bot's end", func() string {
				if exists(late.pid) || exists(late.parent) {
					return fmt.Sprint(living(w.dir))
				}
				return ""
			})
			now, _ := w.Sim.Call(phone.ID)
			if second := call.RoomName(w.ID(phone), 2); now.State != sim.Connected || now.Legs != 1 || now.Refused != 0 || !slices.Equal(now.Rooms, []string{second}) {
				t.Errorf("%s, %d legs in %v\n%s", now.State, now.Legs, now.Rooms, w.Told(phone))
			}
			if s := w.State(phone); s.Attempt(1).Forward != nil || s.Attempt(1).Ready != nil || len(s.Attempts) != 2 {
				t.Errorf("the late bot had a say\n%s", w.Told(phone))
			}
			if most := w.Sim.Stats().Bots.MaxLive; most > 2 {
				t.Errorf("%d bots were in rooms at once", most)
			}
			w.HangUp(phone)
			w.cleared()
		})
	}
}

func signal(t *testing.T, s syscall.Signal, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil {
			t.Fatal(err)
		}
	}
}

// change starts a part again with another configuration.
func (w *world) change(part, from, to string) {
	w.T.Helper()
	p := w.part(part)
	path := p.argv[len(p.argv)-1]
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), from) {
		w.T.Fatalf("no %q in %s: %v", from, path, err)
	}
	p.kill(syscall.SIGTERM)
	w.write(path, strings.Replace(string(text), from, to, 1))
	p.start()
	w.awaitReady()
}
