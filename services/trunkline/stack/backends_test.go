// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/bot-scheduler/pipecatcloud/cloudtest"
	"github.com/trunkline/trunkline/services/bot-scheduler/pod/podtest"
	"github.com/trunkline/trunkline/services/bot-scheduler/remote"
	"github.com/trunkline/trunkline/services/bot-scheduler/remote/remotetest"
	"github.com/trunkline/trunkline/services/bot-scheduler/runner/runnertest"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/daily-sim/simbot"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// place is where bots run without a keeper.
type place struct {
	agent config.Agent
	hall  *remotetest.Hall
	tells bool // the bot's end, whether it wanted it, by itself or when asked
	doubt remotetest.Fault
}

// places are all of them, by backend. Their bots are simulated ones that behave as the flags of their attempt say.
var places = map[string]func(t *testing.T) place{
	config.Runner: func(t *testing.T) place {
		s := runnertest.Start(t)
		return place{agent: at(config.Runner, s.URL), hall: &s.Hall, doubt: remotetest.Fault{Status: 500}}
	},
	config.Pod: func(t *testing.T) place {
		s := podtest.Start(t)
		return place{agent: at(config.Pod, s.URL), hall: &s.Hall, tells: true, doubt: remotetest.Fault{Status: 504}}
	},
	config.PipecatCloud: func(t *testing.T) place {
		s := cloudtest.Start(t, "at-cloud")
		p := place{agent: at(config.PipecatCloud, s.URL+"/v1"), hall: &s.Hall, tells: true, doubt: remotetest.Fault{Drops: true}}
		p.agent.CloudAgent = "at-cloud"
		return p
	},
}

func at(backend, url string) config.Agent {
	a := bot(2)
	a.Command, a.Backend, a.URL = nil, backend, url
	a.ReadyTimeout = 3 * time.Second
	return a
}

// everywhere tries something at each place. Where there are no flags for an attempt, its bot is one that works.
func everywhere(t *testing.T, flags map[int]string, try func(t *testing.T, w *world, p place), change ...func(*stack.Options)) {
	t.Parallel() // it mostly waits
	for name, begin := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := begin(t)
			p.hall.Run = func(ctx context.Context, j remote.Job) int {
				data, err := json.Marshal(j)
				if err != nil {
					t.Error(err)
				}
				_, attempt, _ := call.ParseRoom(j.RoomURL[strings.LastIndexByte(j.RoomURL, '/')+1:])
				return simbot.Main(ctx, bytes.NewReader(data), strings.Fields(flags[int(attempt)]))
			}
			try(t, start(t, p.agent, append([]func(*stack.Options){settlesWithin(2 * time.Second), func(o *stack.Options) {
				o.Given = config.Secrets{PipecatCloudKey: cloudtest.Key, PipecatCloudPrivateKey: cloudtest.PrivateKey}
			}}, change...)...), p)
		})
	}
}

// attempts counts those of a call.
func (w *world) attempts(phone sim.Call) int { return len(w.state(phone).Attempts) }

// exitedAs waits for the exit of an attempt's bot.
func (w *world) exitedAs(phone sim.Call, attempt int) *callv1.BotExited {
	w.t.Helper()
	return w.expectLong(phone, "BotExited."+strconv.Itoa(attempt)).Data.(*callv1.BotExited)
}

// expectLong waits for an event of the call for as long as proofs may take.
func (w *world) expectLong(phone sim.Call, key string) (e *bus.Event) {
	w.t.Helper()
	w.poll(key+" of\n"+w.told(phone), func() (found bool) {
		var err error
		e, err = w.bus.Find(w.t.Context(), w.id(phone), key)
		return err == nil && e != nil
	})
	return e
}

func TestABotElsewhereTakesACall(t *testing.T) {
	everywhere(t, nil, func(t *testing.T, w *world, p place) {
		phone := w.connected(w.place(sim.CallSpec{From: caller}))
		w.expect(phone, "BotStarted.1")
		if err := w.Sim.Hangup(phone.ID); err != nil {
			t.Fatal(err)
		}
		w.sound(phone)
		if n := len(p.hall.Started()); n != 1 || p.hall.Live() != 0 {
			t.Errorf("%d bots were started, %d live", n, p.hall.Live())
		}
	})
}

// A bot that goes as it wants ends its call, where its place tells so. Elsewhere it cannot be told from one that is lost.
func TestABotElsewhereThatLeaves(t *testing.T) {
	everywhere(t, map[int]string{1: "--leave-after=1s"}, func(t *testing.T, w *world, p place) {
		phone := w.connected(w.place(sim.CallSpec{From: caller}))
		exit := w.exitedAs(phone, 1)
		if p.tells {
			phone = w.ended(phone)
			if s := w.cleared(phone); exit.GetStatus() != 0 || s.Ended.Data.GetReason() != "bot_ended" || len(s.Attempts) != 1 {
				t.Errorf("%v, %v\n%s", exit, s.Ended, w.told(phone))
			}
		} else {
			w.expect(phone, "BotReady.2")
			if err := w.Sim.Hangup(phone.ID); err != nil {
				t.Fatal(err)
			}
			w.ended(phone)
		}
		w.cleared(phone)
		w.clean()
	})
}

func TestABotElsewhereThatDiesIsReplacedInItsRoom(t *testing.T) {
	everywhere(t, map[int]string{1: "--die-after=500ms"}, func(t *testing.T, w *world, p place) {
		phone := w.connected(w.place(sim.CallSpec{From: caller}))
		w.expectLong(phone, "BotReady.2")
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

// A bot that stays when its call is over is stopped where that can be done, and put out everywhere. Its slot is held
// until it is gone, and as long as presence shows it although it is.
func TestABotElsewhereThatStaysIsSentAway(t *testing.T) {
	everywhere(t, map[int]string{1: "--outstay"}, func(t *testing.T, w *world, p place) {
		phone := w.connected(w.place(sim.CallSpec{From: caller}))
		if err := w.Sim.Hangup(phone.ID); err != nil {
			t.Fatal(err)
		}
		w.exitedAs(phone, 1)
		if n := p.hall.Live(); n != 0 {
			t.Errorf("%d bots live when the slot is free\n%s", n, w.told(phone))
		}
		w.sound(phone)
	}, withSim(func(c *sim.Config) {
		c.PresenceLagMin, c.PresenceLagMax = sim.Duration(2*time.Second), sim.Duration(2*time.Second)
	}))
}

// Who wakes up when another has its place does not get near the caller.
func TestABotElsewhereThatWakesUpLateIsPutOut(t *testing.T) {
	everywhere(t, map[int]string{1: "--join-delay=5s"}, func(t *testing.T, w *world, p place) {
		phone := w.connected(w.place(sim.CallSpec{From: caller}))
		if n := w.attempts(phone); n != 2 {
			t.Errorf("%d attempts", n)
		}
		w.exitedAs(phone, 1)
		w.poll("the late one to be gone", func() bool { return p.hall.Live() == 1 })
		if err := w.Sim.Hangup(phone.ID); err != nil {
			t.Fatal(err)
		}
		w.sound(phone)
	})
}

// Nobody knows whether the bot was started, and it was: it shows itself, and no second one is started.
func TestAStartInDoubtThatHappened(t *testing.T) {
	everywhere(t, nil, func(t *testing.T, w *world, p place) {
		p.doubt.Acts = true
		p.hall.Fail(p.doubt)
		phone := w.connected(w.place(sim.CallSpec{From: caller}))
		if n := len(p.hall.Started()); n != 1 || w.attempts(phone) != 1 {
			t.Errorf("%d bots were started in %d attempts", n, w.attempts(phone))
		}
		if err := w.Sim.Hangup(phone.ID); err != nil {
			t.Fatal(err)
		}
		w.ended(phone)
		w.expect(phone, "RoomReleased")
		if p.agent.Backend != config.PipecatCloud { // whose sessions are waited for that may yet begin
			w.exitedAs(phone, 1)
			w.clean()
		}
	})
}

// Nobody knows whether the bot was started, and it was not: another attempt is made, and the slot of the first is held
// until it is certain.
func TestAStartInDoubtThatDidNotHappen(t *testing.T) {
	everywhere(t, nil, func(t *testing.T, w *world, p place) {
		p.hall.Fail(p.doubt)
		phone := w.connected(w.place(sim.CallSpec{From: caller}))
		if n := len(p.hall.Started()); n != 1 || w.attempts(phone) != 2 {
			t.Errorf("%d bots were started in %d attempts\n%s", n, w.attempts(phone), w.told(phone))
		}
		if err := w.Sim.Hangup(phone.ID); err != nil {
			t.Fatal(err)
		}
		w.ended(phone)
		w.exitedAs(phone, 2)
		if p.agent.Backend != config.PipecatCloud {
			w.exitedAs(phone, 1)
			w.clean()
		}
	})
}

func TestACallWaitsWhereThereIsNoCapacity(t *testing.T) {
	everywhere(t, nil, func(t *testing.T, w *world, p place) {
		if p.agent.Backend == config.Pod {
			t.Skip("a pod takes every bot")
		}
		p.hall.Fail(
			remotetest.Fault{Status: 429, Body: `{"error":"Service maximum agent instances reached","code":"PCC-AGENT-AT-CAPACITY"}`},
			remotetest.Fault{Status: 429, Body: `{"status":429,"code":"429","message":"Rate limit exceeded. Please try again later"}`},
		)
		phone := w.connected(w.place(sim.CallSpec{From: caller}))
		if n := w.attempts(phone); n != 3 {
			t.Errorf("%d attempts\n%s", n, w.told(phone))
		}
		if e := w.exitedAs(phone, 1); !strings.Contains(e.GetReason(), "no capacity yet") {
			t.Error(e)
		}
		if err := w.Sim.Hangup(phone.ID); err != nil {
			t.Fatal(err)
		}
		w.sound(phone)
	})
}

// A bot that never comes is stopped where that can be done. Where it cannot, it is not waited for for ever.
func TestABotElsewhereThatNeverComesIsStopped(t *testing.T) {
	everywhere(t, map[int]string{1: "--never-join"}, func(t *testing.T, w *world, p place) {
		phone := w.connected(w.place(sim.CallSpec{From: caller}))
		if n := w.attempts(phone); n != 2 {
			t.Errorf("%d attempts", n)
		}
		w.exitedAs(phone, 1)
		if n := p.hall.Live(); p.agent.Backend == config.PipecatCloud && n != 1 {
			t.Errorf("%d bots live", n)
		}
		if err := w.Sim.Hangup(phone.ID); err != nil {
			t.Fatal(err)
		}
		w.sound(phone)
	})
}
