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

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trunkline/trunkline/pkg/bus"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/storm"
)

// Calls that are to be placed later are nobody's memory: everything may go away meanwhile.
func TestScheduledCallsArePlacedInTimeThoughEverythingWasAway(t *testing.T) {
	const calls, over, latest = 200, 20 * time.Second, 2 * time.Second
	w := watched(t, options{
		slots: 60, agent: "lease: 10s", budget: "requests_per_5s: 2000, deletes_per_30s: 500, dials_per_5s: 100",
		policy: ", per_second: 100, max_concurrent: 1000", sim: dailyKeeps(2000, 100),
	})
	w.MayCall(w.urls["control"])
	if err := w.Sim.SetCallee(sim.Callee{Number: "*", Dials: []sim.Behaviour{answers}}); err != nil {
		t.Fatal(err)
	}
	begin := time.Now().Add(15 * time.Second) // by then all of them have been asked for, and everything is back
	due := func(i int) time.Time { return begin.Add(over * time.Duration(i) / calls) }
	asked := w.ask(calls, func(i int) *controlv1.StartCallRequest {
		return &controlv1.StartCallRequest{NotBefore: timestamppb.New(due(i))}
	})
	for _, p := range slices.Backward(w.parts) {
		p.kill(syscall.SIGKILL)
	}
	for _, p := range w.parts {
		p.start()
	}
	w.awaitReady()
	back := time.Now()
	t.Logf("everything was back %.1f s before the first call was due", begin.Sub(back).Seconds())

	w.over(asked)
	var lateness, ours, starts []time.Duration
	for i, d := range asked {
		dials := w.DialsOf(d)
		if len(dials) != 1 {
			t.Errorf("call %s was dialled %d times\n%s", d.ID, len(dials), w.Story(d.ID))
			continue
		}
		from := due(i)
		if from.Before(back) {
			from = back
		}
		if early := due(i).Sub(dials[0].StartedAt); early > 0 {
			t.Errorf("call %s was dialled %s early", d.ID, early)
		}
		late, start := dials[0].StartedAt.Sub(from), w.took(d, &callv1.BotStarting{Attempt: 1}, &callv1.BotReady{Attempt: 1})
		lateness, ours, starts = append(lateness, late), append(ours, late-start), append(starts, start)
	}
	t.Logf("dialled late by %s; of which %s was the start of a bot, and %s the rest", figures(lateness), figures(starts), figures(ours))
	switch worst := slices.Max(lateness); {
	case worst <= latest:
	case storm.Busy(): // ten bots a second are more than what is left of it can start in time
		t.Logf("dialled up to %s late; that counts on a machine that is not busy with other things", worst)
	default:
		t.Errorf("dialled up to %s late", worst)
	}
	w.cleared()
}

// What Daily allows is for all together, and so is what policy allows.
func TestThreeTogetherKeepToThePace(t *testing.T) {
	t.Parallel()
	const calls, window, dialled, begun = 40, 5 * time.Second, 10, 15
	w := watched(t, options{
		slots: calls, agent: "lease: 10s", budget: "requests_per_5s: 2000, deletes_per_30s: 500, dials_per_5s: 10",
		policy: ", per_second: 3, max_concurrent: 1000", sim: dailyKeeps(2000, dialled),
	})
	w.MayCall(w.urls["control"])
	w.another(control, "control")
	w.another(control, "control")
	if err := w.Sim.SetCallee(sim.Callee{Number: "*", Dials: []sim.Behaviour{answers}}); err != nil {
		t.Fatal(err)
	}
	asked := w.ask(calls, func(int) *controlv1.StartCallRequest { return &controlv1.StartCallRequest{} })
	w.over(asked)

	var dials, begins []time.Time
	for _, d := range asked {
		for _, dial := range w.DialsOf(d) {
			dials = append(dials, dial.StartedAt)
		}
		story, err := w.Bus.Story(t.Context(), d.ID)
		if err != nil {
			t.Fatal(err)
		}
		e := story.Find(bus.Key(&callv1.AttemptRequested{Attempt: 1}))
		begins = append(begins, e.Time)
	}
	if len(dials) != calls {
		t.Errorf("%d people were dialled %d times", calls, len(dials))
	}
	if n := most(dials, window); n > dialled {
		t.Errorf("%d dials within %s, and %d are allowed", n, window, dialled)
	}
	if n := most(begins, window); n > begun {
		t.Errorf("%d calls were begun within %s, and %d are allowed", n, window, begun)
	}
	for request, byStatus := range w.Sim.Stats().Requests {
		if n := byStatus[429]; n > 0 {
			t.Errorf("%s was refused %d times for its pace", request, n)
		}
	}
	t.Logf("%d dials within %s, %d within any %s; %d begun within any", len(dials), spread(dials).Round(time.Millisecond), most(dials, window), window, most(begins, window))
	w.cleared()
}

// dailyKeeps has the simulator keep to limits in any five seconds.
func dailyKeeps(requests, dials int) func(*sim.Config) {
	return func(c *sim.Config) {
		c.Budgets.Lifted, c.Budgets.Most.Limit, c.Budgets.Dial.Limit = false, requests, dials
	}
}

// ask has many people called, each of them once.
func (w *world) ask(n int, request func(i int) *controlv1.StartCallRequest) []storm.DialOut {
	w.T.Helper()
	asked := make([]storm.DialOut, n)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range asked {
		group.Go(func() (err error) {
			req := request(i)
			req.IdempotencyKey, req.To, req.Agent = fmt.Sprint("call ", i), fmt.Sprintf("+1415558%04d", i), "agent"
			asked[i], err = w.CallOut(req)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		w.T.Fatal(err)
	}
	return asked
}

// over waits until calls are over, each of them well.
func (w *world) over(asked []storm.DialOut) {
	w.T.Helper()
	for _, d := range asked {
		w.Poll(2*time.Minute, "the end of call "+d.ID, func() string {
			if w.state(d.ID).Ended == nil {
				return "there is only\n" + w.Story(d.ID)
			}
			return ""
		})
		if end := w.state(d.ID).Ended.Data; end.GetOutcome() != completed {
			w.T.Errorf("call %s ended with %s\n%s", d.ID, end, w.Story(d.ID))
		}
	}
}

// took is how long it was from one event of a call to another.
func (w *world) took(d storm.DialOut, from, to proto.Message) time.Duration {
	w.T.Helper()
	story, err := w.Bus.Story(w.T.Context(), d.ID)
	if err != nil {
		w.T.Fatal(err)
	}
	first, last := story.Find(bus.Key(from)), story.Find(bus.Key(to))
	if first == nil || last == nil {
		w.T.Fatalf("no %T or no %T\n%s", from, to, w.Story(d.ID))
	}
	return last.Time.Sub(first.Time)
}

func figures(all []time.Duration) string {
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	return fmt.Sprintf("%.2f s in the median, %.2f s at p99, %.2f s at the most", sorted[n/2].Seconds(), sorted[n*99/100].Seconds(), sorted[n-1].Seconds())
}

// most is the greatest number of times within any window.
func most(times []time.Time, window time.Duration) (n int) {
	slices.SortFunc(times, time.Time.Compare)
	for i, from := range times {
		end := i
		for end < len(times) && times[end].Sub(from) < window {
			end++
		}
		n = max(n, end-i)
	}
	return n
}

// spread is how long it is from the first to the last.
func spread(times []time.Time) time.Duration {
	if len(times) == 0 {
		return 0
	}
	return slices.MaxFunc(times, time.Time.Compare).Sub(slices.MinFunc(times, time.Time.Compare))
}

// another starts one more instance of a part, with doors of its own.
func (w *world) another(part string, doors ...string) {
	w.T.Helper()
	first := w.part(part)
	n := 2
	for w.urls[fmt.Sprintf("admin-%s-%d", part, n)] != "" {
		n++
	}
	config := first.argv[len(first.argv)-1]
	text, err := os.ReadFile(config)
	if err != nil {
		w.T.Fatal(err)
	}
	changed := string(text)
	for _, door := range append(doors, "admin-"+part) {
		port := fmt.Sprintf("127.0.0.1:%d", storm.FreePort())
		changed = strings.ReplaceAll(changed, strings.TrimPrefix(w.urls[door], "http://"), port)
		w.urls[fmt.Sprintf("%s-%d", door, n)] = "http://" + port
	}
	name := fmt.Sprintf("%s-%d", part, n)
	path := filepath.Join(w.dir, name+".yaml")
	w.write(path, changed)
	argv := append(slices.Clone(first.argv[:len(first.argv)-1]), path)
	p := newProcess(w.T, w.dir, name, first.env, argv...)
	w.parts = append(w.parts, p)
	p.start()
	w.awaitReady()
}
