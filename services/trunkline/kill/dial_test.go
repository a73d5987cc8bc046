// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/guard"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/storm"
)

// misfortune is what may happen to a dial-out on its way, and what must become of it.
type misfortune struct {
	name    string
	point   string    // where a part dies; empty is nowhere
	part    string    // that dies there
	fault   sim.Fault // of Daily, once
	logs    string    // what call-control says when it is through with it
	does    sim.Behaviour
	dialled int
	outcome callv1.Outcome
	reason  string
}

const (
	control   = "call-control"
	scheduler = "bot-scheduler"
	completed = callv1.Outcome_OUTCOME_COMPLETED
)

var (
	answers  = sim.Behaviour{Does: sim.DoesAnswer, Talk: sim.Duration(time.Second)}
	talks    = sim.Behaviour{Does: sim.DoesAnswer, Talk: sim.Duration(6 * time.Second)} // until call-control is back
	noAnswer = sim.Behaviour{Does: sim.DoesNoAnswer}
)

// beforeTheDial are the points at which nobody has been called yet, and which are passed again.
var beforeTheDial = []misfortune{
	{name: "the call is on the record and its client does not know", point: "start.stored", part: control, does: answers, dialled: 1, outcome: completed, reason: "callee_hung_up"},
	{name: "the call has its turn", point: "turn.asked", part: control, does: answers, dialled: 1, outcome: completed, reason: "callee_hung_up"},
	{name: "the dial of the number is counted", point: "turn.claimed", part: control, does: answers, dialled: 1, outcome: completed, reason: "callee_hung_up"},
	{name: "the bot is about to be started", point: "bot.intended", part: scheduler, does: answers, dialled: 1, outcome: completed, reason: "callee_hung_up"},
	{name: "the bot is started", point: "bot.started", part: scheduler, does: answers, dialled: 1, outcome: completed, reason: "callee_hung_up"},
	{name: "the bot is ready and nobody knows", point: "bot.joined", part: scheduler, does: answers, dialled: 1, outcome: completed, reason: "callee_hung_up"},
	{name: "Daily may be asked", point: "dial.permitted", part: control, does: answers, dialled: 1, outcome: completed, reason: "callee_hung_up"},
	{name: "the dial's timer is set", point: "dial.guarded", part: control, does: answers, dialled: 1, outcome: completed, reason: "callee_hung_up"},
}

// fromTheDialOn are the points from which on somebody may have been called, and what Daily can do there.
var fromTheDialOn = []misfortune{
	// Nobody is called, and nobody can know.
	{name: "the dial is written down", point: "dial.intended", part: control, does: answers, outcome: callv1.Outcome_OUTCOME_FAILED, reason: "dial_lost"},
	{name: "Daily has dialled", point: "dial.dialled", part: control, does: talks, dialled: 1, outcome: completed, reason: "callee_hung_up"},
	{name: "the dial is on the record", point: "dial.recorded", part: control, does: talks, dialled: 1, outcome: completed, reason: "callee_hung_up"},
	{name: "we are about to hang up", point: "dial.stopping", part: control, does: noAnswer, dialled: 1, outcome: callv1.Outcome_OUTCOME_UNREACHED, reason: "no_answer"},
	{name: "we have hung up", point: "dial.stopped", part: control, does: noAnswer, dialled: 1, outcome: callv1.Outcome_OUTCOME_UNREACHED, reason: "no_answer"},
	{name: "Daily dials and answers 500", fault: sim.Fault{Kind: "status", Status: 500}, logs: "the dial is in doubt", does: answers, dialled: 1, outcome: completed, reason: "callee_hung_up"},
	{name: "Daily dials and is cut off", fault: sim.Fault{Kind: "drop"}, logs: "the dial is in doubt", does: answers, dialled: 1, outcome: completed, reason: "callee_hung_up"},
	{name: "Daily dials and answers too late", fault: sim.Fault{Kind: "slow", Delay: sim.Duration(12 * time.Second)}, logs: "the dial is in doubt", does: answers, dialled: 1, outcome: completed, reason: "callee_hung_up"},
}

// Whoever dies on the way, and whatever Daily answers: a person is called once for each attempt or not at all, and the
// record says what became of it.
func TestNobodyIsDialledTwiceWhoeverDiesWhereverOnTheWay(t *testing.T) {
	t.Parallel() // it mostly waits
	for joins, all := range map[string][]misfortune{
		"connected": slices.Concat(beforeTheDial, fromTheDialOn),
		"answered":  fromTheDialOn,
	} {
		t.Run("the leg joins when it is "+joins, func(t *testing.T) {
			t.Parallel()
			w := dialling(t, joins, "")
			for i, m := range all {
				t.Run(m.name, func(t *testing.T) {
					for _, wrong := range w.suffer(t, i, m) {
						t.Error(wrong)
					}
				})
			}
			w.cleared()
		})
	}
}

// A table that cannot fail proves nothing.
func TestADialThatIsNotWrittenDownBeforeIsMissed(t *testing.T) {
	t.Parallel()
	w := dialling(t, "connected", guard.Intent)
	m := fromTheDialOn[slices.IndexFunc(fromTheDialOn, func(m misfortune) bool { return m.point == "dial.dialled" })]
	wrong := strings.Join(w.suffer(t, 0, m), "\n")
	if !strings.Contains(wrong, "dialled 2 times") {
		t.Errorf("the intent is broken, and nobody misses it: %s", wrong)
	}
}

// dialling is a world in which people are called.
func dialling(t *testing.T, joins string, broken guard.Guard) *world {
	w := watched(t, options{
		slots: 4, mortal: true, broken: broken, agent: "lease: 3s, kill_grace: 1s",
		policy: ", per_second: 100, max_concurrent: 4", dialout: "ring_timeout: 2s, lost_after: 3s, retries: []",
		sim: func(c *sim.Config) { c.Dialout.Joins = joins },
	})
	w.MayCall(w.urls["control"])
	return w
}

// suffer has somebody called under a misfortune, and gives what is wrong with what became of it.
func (w *world) suffer(t *testing.T, i int, m misfortune) (wrong []string) {
	t.Helper()
	before := w.T
	w.T = t
	defer func() { w.T = before }()
	to := fmt.Sprintf("+1415557%04d", i)
	if err := w.Sim.SetCallee(sim.Callee{Number: to, Dials: []sim.Behaviour{m.does}}); err != nil {
		t.Fatal(err)
	}
	died := func() {}
	if m.point != "" {
		died = w.diesAt(m.part, m.point)
	}
	if m.fault.Kind != "" {
		m.fault.Class, m.fault.When, m.fault.Times = "dial", "after", 1
		if err := w.Sim.SetFaults(sim.Faults{REST: []sim.Fault{m.fault}}); err != nil {
			t.Fatal(err)
		}
	}
	asked := make(chan storm.DialOut, 1)
	go func() {
		d, err := w.CallOut(&controlv1.StartCallRequest{
			IdempotencyKey: m.name, To: to, Agent: "agent",
			Retry: &controlv1.RetryPolicy{Causes: []*controlv1.Retry{{Cause: "error", Delay: durationpb.New(time.Second), Limit: 1}}},
		})
		if err != nil {
			t.Error(err)
		}
		asked <- d
	}()
	died()
	d := <-asked
	phone := d.ID
	w.Poll(time.Minute, "the end of the call", func() string {
		if s := w.state(phone); s.Ended == nil {
			return "there is only\n" + w.Story(phone)
		}
		return ""
	})
	if m.logs != "" {
		w.Poll(storm.Soon, fmt.Sprintf("%q in the log of %s", m.logs, control), func() string {
			for line := range strings.Lines(w.logged(control)) {
				if strings.Contains(line, m.logs) && strings.Contains(line, phone) {
					return ""
				}
			}
			return "not there"
		})
	}
	s := w.state(phone)
	if end := s.Ended.Data; end.GetOutcome() != m.outcome || end.GetReason() != m.reason {
		wrong = append(wrong, fmt.Sprintf("ended with %s, and not with %s for %s\n%s", end, m.outcome, m.reason, w.Story(phone)))
	}
	if n := w.Sim.Stats().Dialled[to]; n != m.dialled {
		wrong = append(wrong, fmt.Sprintf("dialled %d times, and not %d\n%s", n, m.dialled, w.Story(phone)))
	}
	wrong = append(wrong, w.Twice(d)...)
	if left := w.Await(storm.Soon, w.Left); left != "" {
		wrong = append(wrong, "not cleared up: "+left)
	}
	return wrong
}

func (w *world) state(callID string) *call.State {
	w.T.Helper()
	story, err := w.Bus.Story(w.T.Context(), callID)
	if err != nil {
		w.T.Fatal(err)
	}
	return call.Read(story)
}

// diesAt has a part die when it comes to a point. What it gives waits for that, and starts the part again.
func (w *world) diesAt(part, point string) (died func()) {
	w.T.Helper()
	p, mark := w.part(part), filepath.Join(w.dir, point)
	alive := p.env
	p.kill(syscall.SIGKILL)
	p.env = append(slices.Clone(alive), "TRUNKLINE_DIE_AT="+point, "TRUNKLINE_DIE_MARK="+mark)
	p.start()
	w.awaitReady()
	return func() {
		w.T.Helper()
		w.Poll(storm.Soon, part+" to die at "+point, func() string {
			if _, err := os.Stat(mark); err != nil || p.alive() {
				return "it lives"
			}
			return ""
		})
		p.kill(syscall.SIGKILL)
		p.env = alive
		p.start()
	}
}
