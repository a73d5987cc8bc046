// SPDX-License-Identifier: Apache-2.0

package transfers

import (
	"container/heap"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/daily"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// A small world by chance, in which nothing takes time but by its own clock: one call, a simulated Daily, processes that run
// the loop at once and die, people who do as they like. TRUNKLINE_SEED=n plays one such world and tells its story.
func TestTransfersInWorldsByChance(t *testing.T) {
	if seed, err := strconv.ParseUint(os.Getenv("TRUNKLINE_SEED"), 10, 64); err == nil {
		w := play(seed, true)
		t.Log("\n" + strings.Join(w.log, "\n"))
		for _, wrong := range w.wrong {
			t.Error(wrong)
		}
		return
	}
	seeds := uint64(3000)
	if testing.Short() {
		seeds /= 10
	}
	ends, bad, played, begun := map[string]int{}, 0, 0, time.Now()
	for seed := uint64(1); seed <= seeds && bad < 5 && time.Since(begun) < 8*time.Second; seed++ { // the race detector takes its time
		played++
		w := play(seed, false)
		for how := range w.ends {
			ends[how]++
		}
		if len(w.wrong) > 0 {
			bad++
			t.Errorf("TRUNKLINE_SEED=%d: %s", seed, strings.Join(w.wrong, "; "))
		}
	}
	t.Log(played, ends)
	for _, how := range []string{
		"completed", "moved", "cancelled", "caller_hung_up", "call_ended", NoAnswer, NotAnswered, HungUp, Declined, Refused, Lost, NotMoved, NoHold,
		"died", "in doubt", "bot lost", "decided on an older state",
	} {
		if bad == 0 && played > 1000 && ends[how] == 0 {
			t.Errorf("in none of %d worlds: %s", played, how)
		}
	}
}

// What the world does at a time.
type due struct {
	at time.Time
	by int // the order among those of one time, by chance
	do func()
}

type agenda []due

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at.Before(a[j].at) || a[i].at.Equal(a[j].at) && a[i].by < a[j].by
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(d any)   { *a = append(*a, d.(due)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// handset is somebody whom Daily has dialled.
type handset struct {
	n, k         uint32
	session      string
	up, answered bool
	silent       bool // Daily tells nothing of it but by presence
}

type world struct {
	*rand.Rand
	now    time.Time
	agenda agenda
	events []*bus.Event
	keys   map[string]bool
	states map[int]*call.State
	timers map[uint32]int // how often each was set

	caller   bool   // is there
	moving   bool   // Daily has begun to send him away
	hears    string // everybody, nobody, or the bot of an attempt
	muted    map[uint32]bool
	phones   []*handset
	asked    map[act]bool // of Daily
	attempts uint32
	troubled time.Time // until then requests fail and processes die

	ends  map[string]bool
	wrong []string

	telling bool
	log     []string
}

func play(seed uint64, telling bool) *world {
	w := &world{
		Rand: rand.New(rand.NewPCG(seed, 6)), now: noon, keys: map[string]bool{}, states: map[int]*call.State{}, timers: map[uint32]int{},
		caller: true, hears: "everybody", muted: map[uint32]bool{}, asked: map[act]bool{}, attempts: 1, ends: map[string]bool{}, telling: telling,
	}
	w.troubled = noon.Add(sec(w.Float64() * 150))
	for _, e := range talking() {
		w.publish(e.event)
	}
	w.people()
	for steps := 0; len(w.agenda) > 0; steps++ {
		if steps == 20000 {
			w.fail("it does not come to rest")
			return w
		}
		next := heap.Pop(&w.agenda).(due)
		w.now = next.at
		next.do()
	}
	w.atRest()
	return w
}

func (w *world) fail(format string, args ...any) {
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
	w.tell("WRONG: "+format, args...)
}

func (w *world) tell(format string, args ...any) {
	if !w.telling {
		return
	}
	w.log = append(w.log, fmt.Sprintf("%8.3f  ", w.now.Sub(noon).Seconds())+fmt.Sprintf(format, args...))
}

func (w *world) chance(p float64) bool { return w.Float64() < p }

// after does something later, in so many seconds.
func (w *world) after(seconds float64, do func()) {
	heap.Push(&w.agenda, due{w.now.Add(sec(seconds)), w.Int(), do})
}

// short is mostly no time, seldom a while.
func (w *world) short() float64 {
	if w.chance(0.05) {
		return w.Float64() * 5
	}
	return w.Float64() * 0.1
}

// state is the call as of its first n events.
func (w *world) state(n int) *call.State {
	s := w.states[n]
	if s == nil {
		s = call.Read(&bus.Story{CallID: id, Events: w.events[:n]})
		w.states[n] = s
	}
	return s
}

func (w *world) current() *call.State { return w.state(len(w.events)) }

// publish stores an event once, and has it handled.
func (w *world) publish(m proto.Message) {
	if w.keys[bus.Key(m)] {
		return
	}
	w.keys[bus.Key(m)] = true
	w.check(m)
	w.events = append(w.events, &bus.Event{CallID: id, Seq: uint64(len(w.events) + 1), Time: w.now, Data: m})
	w.tell("%s %v", bus.Key(m), m)
	handle, n := w.handler(m), len(w.events)
	if handle == nil {
		return
	}
	w.after(w.short(), func() { w.deliver(bus.Key(m), n, 0, handle) })
	if w.chance(0.1) {
		w.after(w.short(), func() { w.deliver(bus.Key(m), n, 0, handle) })
	}
}

// handler is what transfer-service does with an event, as its list of handlers has it.
func (w *world) handler(m proto.Message) func(*process) error {
	over := w.current().Ended != nil
	switch m := m.(type) {
	case *callv1.TransferCompleted, *callv1.TransferFailed, *callv1.TransferCancelled:
		at := w.now
		return func(p *process) error { return p.over(at) }
	case *callv1.LegConnected:
		if !m.GetDialled() {
			return nil
		}
	case *callv1.LegAnswered:
		if !m.GetDialled() {
			return nil
		}
	case *callv1.LegEnded:
		if !m.GetDialled() || over {
			return nil
		}
	case *callv1.BotReady:
		if !replacement(m) || over {
			return nil
		}
	case *callv1.TransferStarted, *callv1.LegSeen, *callv1.CallEnded:
	case *callv1.TransferRequested, *callv1.TransferAnnounced, *callv1.TransferMissed, *callv1.TransferAnswered, *callv1.TransferBriefed,
		*callv1.LegFailed, *callv1.LegLost, *callv1.LegTransfer, *callv1.BotFailed, *callv1.BotExited:
		if over {
			return nil
		}
	default:
		return nil
	}
	return (*process).advance
}

// process handles one thing.
type process struct {
	*world
	pause func(float64) // lets others go on; it may not come back
	skew  time.Duration
	story int // how much of the story has been read
}

type again struct{ after float64 }

func (again) Error() string { return "again" }

var (
	errDead   = errors.New("the process has died")
	errDaily  = errors.New("Daily did not do it")
	errDoubt  = errors.New("Daily gave no answer")
	errRefuse = errors.New("Daily would not")
)

// deliver has an event or a timer handled by a process of its own, until that has been done.
func (w *world) deliver(what string, story, failures int, handle func(*process) error) {
	if failures == 12 {
		w.fail("%s is a dead letter", what)
		return
	}
	var err error
	p := &process{world: w, skew: sec(w.Float64()*0.2 - 0.1), story: len(w.events)}
	for p.story > story && w.now.Sub(w.events[p.story-1].Time) < 100*time.Millisecond && w.chance(0.5) {
		p.story-- // a replica lags behind
	}
	run, _ := iter.Pull(func(yield func(float64) bool) {
		defer func() {
			if r := recover(); r != nil {
				if died, ok := r.(error); !ok || !errors.Is(died, errDead) {
					panic(r)
				}
				err = errDead
			}
		}()
		p.pause = func(seconds float64) {
			yield(seconds)
			if w.now.Before(w.troubled) && w.chance(0.03) {
				panic(errDead)
			}
		}
		err = handle(p)
	})
	var goOn func()
	goOn = func() {
		if pause, more := run(); more {
			w.after(pause, goOn)
			return
		}
		var later again
		switch {
		case err == nil:
		case errors.Is(err, errDead):
			w.ends["died"] = true
			w.tell("  died: %s", what)
			w.after(3, func() { w.deliver(what, story, failures, handle) })
		case errors.As(err, &later):
			w.after(min(later.after, 30), func() { w.deliver(what, story, failures, handle) })
		default:
			w.after(min(0.1*float64(int(1)<<failures), 30), func() { w.deliver(what, story, failures+1, handle) })
		}
	}
	goOn()
}

func (p *process) time() time.Time { return p.now.Add(p.skew) }

func (p *process) advance() error {
	until, err := p.follow()
	if err != nil || until.IsZero() {
		return err
	}
	p.pause(p.short())
	n := stepAt(id, until).N
	p.timers[n]++
	set, w := p.timers[n], p.world
	w.after(max(0, until.Sub(w.now).Seconds()), func() {
		if w.timers[n] == set { // it has not been moved since
			w.deliver("timer", 0, 0, (*process).timer)
		}
	})
	return nil
}

func (p *process) timer() error {
	until, err := p.follow()
	if err != nil || until.IsZero() {
		return err
	}
	return again{max(until.Sub(p.time()).Seconds(), 0.001)}
}

func (p *process) over(at time.Time) error {
	advanced := p.advance()
	restored := p.offHold(at)
	if advanced != nil {
		return advanced
	}
	return restored
}

func (p *process) offHold(at time.Time) error {
	p.story = len(p.events)
	if !heldBefore(p.state(p.story)) {
		return nil
	}
	if err := p.do(act{restore, 0, 0}, nil); err != nil {
		return again{1}
	}
	if left := at.Add(2 * permissionsWithin).Sub(p.time()); left > 0 {
		return again{left.Seconds()}
	}
	return nil
}

// follow is the loop of the driver.
func (p *process) follow() (time.Time, error) {
	done, failed := map[act]bool{}, false
	for loops := 0; ; loops++ {
		if loops > 100 {
			p.fail("a process goes round and round")
			return time.Time{}, nil
		}
		next := rules.Next(p.state(p.story), p.time(), done)
		switch {
		case next.decide != nil:
			p.decide(func(s *call.State) proto.Message { return rules.Next(s, p.time(), done).decide })
		case next.act.does != nothing:
			p.pause(p.short())
			idle := unwantedNow(p.state(p.story), next.act)
			err := p.do(next.act, done)
			switch done[next.act] = true; {
			case err != nil && idle:
				failed = true
			case errors.Is(err, errDaily), errors.Is(err, errDoubt):
				return time.Time{}, again{1}
			case err != nil:
				return time.Time{}, err
			}
			p.pause(p.short())
			p.story = len(p.events)
		case failed:
			return time.Time{}, again{1}
		default:
			return next.until, nil
		}
	}
}

// decide publishes on condition that nothing has happened since.
func (p *process) decide(choose func(*call.State) proto.Message) proto.Message {
	for {
		m := choose(p.state(p.story))
		if m == nil {
			return nil
		}
		p.pause(p.short())
		if p.story == len(p.events) {
			p.publish(m)
			p.story = len(p.events)
			return m
		}
		p.ends["decided on an older state"] = true
		p.story = len(p.events)
	}
}

// request asks Daily for something: it is done and answered, or not, or done late.
func (p *process) request(mayRefuse bool, effect func()) error {
	p.pause(p.short())
	took := effect
	effect = func() { p.tell("    done"); took() }
	if !p.now.Before(p.troubled) || p.chance(0.7) {
		effect()
		return nil
	}
	switch p.IntN(5) {
	case 0:
		effect()
	case 1:
		p.after(p.Float64()*permissionsWithin.Seconds(), effect)
		p.pause(p.Float64() * permissionsWithin.Seconds())
	case 2:
		p.pause(p.Float64() * permissionsWithin.Seconds())
	case 3:
		if mayRefuse {
			return errRefuse
		}
		return errDaily
	case 4:
		return errDaily
	}
	p.ends["in doubt"] = true
	return errDoubt
}

func (p *process) do(a act, done map[act]bool) error {
	w, v := p.world, view{rules, p.state(p.story), p.time(), nil}
	w.tell("  %s %d.%d", a.does, a.n, a.k)
	switch a.does {
	case dial, move:
		return p.try(a, done)
	case hangUp:
		session := v.OperatorSession(a.n, a.k)
		w.asked[a] = true
		return p.request(false, func() { w.hangUp(session) })
	case hold:
		err := errRefuse
		if v.caller() != "" {
			hears := fmt.Sprint("bot ", v.Current().N)
			err = p.request(true, func() { w.hears = hears })
		}
		if !errors.Is(err, errRefuse) {
			return err
		}
		n := v.Transfer().N
		p.decide(func(s *call.State) proto.Message {
			if t := s.Transfer(); s.Ended != nil || t.N != n || !t.UnderWay() || t.Held != nil {
				return nil
			}
			return &callv1.TransferFailed{N: n, Reason: NoHold}
		})
	case seclude:
		if len(v.callers(daily.Permissions{})) == 0 {
			return nil
		}
		err := p.request(true, func() { w.hears = "nobody" })
		if !errors.Is(err, errRefuse) {
			return err
		}
		n := v.Transfer().N
		p.decide(func(s *call.State) proto.Message { return unbriefed(s, n, "") })
	case restore:
		if len(v.callers(daily.Permissions{})) == 0 {
			return nil
		}
		return p.request(false, func() { w.hears = "everybody" })
	case silence:
		bot := v.bot().N
		return p.request(false, func() { w.muted[bot] = true })
	}
	return nil
}

// try dials, or sends the caller away, once, after it has been written down.
func (p *process) try(a act, done map[act]bool) error {
	w := p.world
	if p.chance(0.1) {
		return again{0.2} // policy or Daily's pace has it wait
	}
	intent := p.decide(func(s *call.State) proto.Message { return rules.intent(s, p.time(), a, done) })
	if intent == nil {
		return nil
	}
	p.pause(p.short())
	if p.asked[a] {
		p.fail("%s %d.%d is done twice", a.does, a.n, a.k)
	}
	p.asked[a] = true
	session := ""
	effect := func() { session = w.dials(a) }
	if a.does == move {
		effect = func() { w.moves(intent.(*callv1.TransferStarting).GetSessionId()) }
	}
	err := p.request(true, effect)
	switch {
	case err == nil && a.does == move, err == nil && session != "":
		p.pause(p.short())
		p.publish(&callv1.TransferStarted{N: a.n, K: a.k, SessionId: session})
	case errors.Is(err, errDoubt):
	default:
		p.decide(func(s *call.State) proto.Message {
			t := s.Transfer()
			if s.Ended != nil || t.N != a.n || !t.UnderWay() {
				return nil
			}
			if try := t.Try(a.k); try != nil && (try.Missed != nil || try.Answered != nil) {
				return nil
			}
			return &callv1.TransferMissed{N: a.n, K: a.k, Cause: Refused}
		})
	}
	return nil
}

// webhook has Daily tell something: soon, late or never.
func (w *world) webhook(m proto.Message) {
	switch delay := w.short(); {
	case w.chance(0.1):
		return
	case w.chance(0.1):
		w.after(w.Float64()*10, func() { w.publish(m) })
	default:
		w.after(delay, func() { w.publish(m) })
	}
}

// dials has a phone ring, whose owner does as he likes.
func (w *world) dials(a act) string {
	ph := &handset{n: a.n, k: a.k, session: fmt.Sprintf("op%d.%d", a.n, a.k), up: true, silent: w.chance(0.05)}
	w.phones = append(w.phones, ph)
	leg := func() *callv1.LegConnected {
		return &callv1.LegConnected{SessionId: ph.session, Room: "room", Attempt: 1, UserId: call.OperatorID(id, a.n, a.k), Dialled: true}
	}
	w.tells(ph, leg())
	w.after(8+w.Float64()*8, func() { // presence
		if s := w.current(); ph.up && s.Legs[ph.session] == nil {
			w.publish(&callv1.LegSeen{SessionId: ph.session, Room: "room", Attempt: 1, UserId: call.OperatorID(id, a.n, a.k)})
		}
	})
	w.after(1+w.Float64()*30, func() {
		switch {
		case !ph.up || w.chance(0.25): // nobody is at home
		case w.chance(0.2):
			if l := leg(); w.chance(0.5) {
				ph.up = false
				w.tells(ph, &callv1.LegFailed{SessionId: l.SessionId, Room: l.Room, Attempt: 1, UserId: l.UserId, Dialled: true, Reason: "busy"})
			} else {
				w.hangUp(ph.session)
			}
		default:
			ph.answered = true
			l := leg()
			w.tells(ph, &callv1.LegAnswered{SessionId: l.SessionId, Room: l.Room, Attempt: 1, UserId: l.UserId, Dialled: true})
			if w.chance(0.2) {
				w.after(w.Float64()*w.Float64()*20, func() { w.hangUp(ph.session) })
			}
		}
	})
	return ph.session
}

func (w *world) tells(ph *handset, m proto.Message) {
	if !ph.silent {
		w.webhook(m)
	}
}

// hangUp ends a leg, whoever did it.
func (w *world) hangUp(session string) {
	for _, ph := range w.phones {
		if ph.session != session || !ph.up {
			continue
		}
		ph.up = false
		l := &callv1.LegEnded{SessionId: ph.session, Room: "room", Attempt: 1, UserId: call.OperatorID(id, ph.n, ph.k), Dialled: true}
		w.tells(ph, l)
		w.after(20, func() {
			if leg := w.current().Legs[ph.session]; leg != nil && !leg.Gone {
				w.publish(&callv1.LegLost{SessionId: ph.session, Room: "room", Attempt: 1})
			}
		})
	}
}

// moves has the caller sent away, or not.
func (w *world) moves(session string) {
	if session == "" || !w.caller || w.chance(0.2) {
		return
	}
	w.moving = true
	for i, state := range []string{"triggered", "initiated"} {
		w.after(float64(i), func() { w.webhook(&callv1.LegTransfer{SessionId: session, State: state}) })
	}
	w.after(2, func() { w.callerLeaves() })
}

func (w *world) callerLeaves() {
	if !w.caller {
		return
	}
	w.caller = false
	w.tell("the caller has gone")
	w.webhook(&callv1.LegEnded{SessionId: "caller", Room: "room", Attempt: 1})
	w.after(20, func() { w.publish(&callv1.LegLost{SessionId: "caller", Room: "room", Attempt: 1}) })
}

// people are whoever is not transfer-service.
func (w *world) people() {
	var look func()
	look = func() { // call-control
		s := w.current()
		if s.Ended != nil {
			return
		}
		gone := len(s.Legs) > 0 && s.LegsAlive() == 0
		if gone && (s.Leaving() == nil || s.Leaving().Done()) || s.EndAsked != nil {
			w.publish(&callv1.CallEnded{Reason: "over"})
			w.caller = false
		}
		if w.now.Before(noon.Add(20 * time.Minute)) {
			w.after(0.5, look)
		}
	}
	look()
	w.transfer(1)
	if w.chance(0.25) {
		w.after(w.Float64()*60, w.callerLeaves)
	}
	if w.chance(0.1) {
		w.after(w.Float64()*60, func() { w.publish(&callv1.CallEnded{Reason: "max_duration"}); w.caller = false })
	}
	if w.chance(0.3) {
		w.after(w.Float64()*40, w.botDies)
	}
}

func (w *world) botDies() {
	if w.current().Ended != nil {
		return
	}
	w.ends["bot lost"] = true
	if n := w.attempts; w.chance(0.5) {
		w.publish(&callv1.BotFailed{Attempt: n})
	} else {
		w.publish(&callv1.BotExited{Attempt: n, Status: 1})
	}
	w.after(1, func() {
		if s := w.current(); s.Ended == nil && !s.Bridged() {
			w.attempts++
			n := w.attempts
			w.publish(&callv1.AttemptRequested{Attempt: n, Place: callv1.Place_PLACE_SAME_ROOM, Agent: "sales"})
			w.publish(&callv1.BotStarting{Attempt: n})
			w.after(w.Float64()*8, func() { w.publish(&callv1.BotReady{Attempt: n}) })
		}
	})
}

// transfer has transfer n asked for, by a bot that does as it likes.
func (w *world) transfer(n uint32) {
	modes := []string{config.ModeCold, config.ModeWarm, config.ModeWarm, config.ModeWarm, config.ModeBlind, config.ModeRefer}
	m := wants(modes[w.IntN(len(modes))])
	m.N = n
	for i := range 1 + w.IntN(3) {
		group := uint32(i + 1)
		if w.chance(0.5) && i > 0 {
			group = m.Numbers[i-1].GetGroup()
		}
		m.Numbers = append(m.Numbers, number(fmt.Sprint("+", i), group))
	}
	if w.chance(0.5) {
		m.Announcement = "One moment please."
	}
	m.Ends = w.chance(0.2)
	if s := w.current(); s.Ended != nil || s.Transfer().UnderWay() || s.Transfer().Done() {
		return
	}
	w.publish(m)
	rpc := func(seconds float64, choose func(*call.State, *call.Transfer) proto.Message) {
		w.after(seconds, func() {
			s := w.current()
			if t := s.Transfer(); s.Ended == nil && t.N == n && t.UnderWay() {
				if m := choose(s, t); m != nil {
					w.publish(m)
				}
			}
		})
	}
	if w.chance(0.7) {
		rpc(w.Float64()*12, func(_ *call.State, t *call.Transfer) proto.Message {
			return &callv1.TransferAnnounced{N: n}
		})
	}
	if w.chance(0.25) {
		rpc(w.Float64()*60, func(s *call.State, t *call.Transfer) proto.Message {
			if s.Leaving() == t {
				return nil
			}
			if n < 3 && w.chance(0.7) {
				w.after(w.short(), func() { w.transfer(n + 1) })
			}
			return &callv1.TransferCancelled{N: n, Reason: TakenBack}
		})
	}
	for range 4 {
		rpc(w.Float64()*90, func(s *call.State, t *call.Transfer) proto.Message {
			try := t.Answer()
			if try == nil || try.Briefing == nil || try.Briefed != nil {
				return nil
			}
			return &callv1.TransferBriefed{N: n, K: try.K, Declined: w.chance(0.2)}
		})
	}
	within := announceWithin + sec(200)
	for range m.GetNumbers() {
		within += 2*rules.LostAfter + rings + briefWithin
	}
	w.after(within.Seconds(), func() {
		if t := w.current().Transfers[n-1]; t.UnderWay() {
			w.fail("transfer %d has not come to an end within %s", n, within)
		}
	})
}

// check is what holds whenever something is put on record.
func (w *world) check(m proto.Message) {
	s := w.current()
	switch m := m.(type) {
	case *callv1.TransferAnswered:
		if s.Transfer().Answer() != nil {
			w.fail("a second one has answered")
		}
	case *callv1.TransferBriefing:
		if t := s.Transfer(); !t.UnderWay() || t.Held == nil {
			w.fail("a summary is told where the caller was not on hold")
		}
	case *callv1.TransferCompleted:
		w.over(s, m.GetN())
		w.ends[map[bool]string{false: "completed", true: "moved"}[m.GetMoved()]] = true
		if leg := s.Operator(m.GetN(), m.GetK()); !m.GetMoved() && (leg == nil || leg.Gone || leg.AnsweredAt.IsZero()) {
			w.fail("completed with somebody who is not there: %+v", leg)
		}
		for _, try := range s.Transfers[m.GetN()-1].Tries {
			if other := s.Operator(m.GetN(), try.K); try.K != m.GetK() && other != nil && !other.Gone && !w.asked[act{hangUp, m.GetN(), try.K}] {
				w.fail("completed with two: %s is there, too", other.Session)
			}
		}
		if m.GetMoved() && !w.moving && w.caller {
			w.fail("the caller is said to have been moved, and is here")
		}
	case *callv1.TransferFailed:
		w.over(s, m.GetN())
		w.ends[m.GetReason()] = true
	case *callv1.TransferCancelled:
		w.over(s, m.GetN())
		w.ends[m.GetReason()] = true
	}
}

func (w *world) over(s *call.State, n uint32) {
	if !s.Transfers[n-1].UnderWay() {
		w.fail("transfer %d comes to an end twice", n)
	}
}

// atRest is what holds when nothing happens any more.
func (w *world) atRest() {
	s := w.current()
	last := s.Transfer()
	for _, t := range s.Transfers {
		if t.UnderWay() {
			w.fail("transfer %d is at rest, and under way", t.N)
		}
	}
	for _, ph := range w.phones {
		t := s.Transfers[ph.n-1]
		if ph.up && (s.Ended != nil || !t.Done() || t.Completed.Data.GetK() != ph.k) {
			w.fail("%s is left on the line", ph.session)
		}
	}
	if s.Ended != nil || !w.caller {
		return
	}
	if w.hears != "everybody" {
		w.fail("the caller hears %s", w.hears)
	}
	switch bot := s.Current(); {
	case !last.Done() && w.muted[bot.N]:
		w.fail("the caller is back with a bot that is mute")
	case s.Bridged() && bot.Ready != nil && !bot.Over() && !w.muted[bot.N]:
		w.fail("a bot hears the caller talk with somebody else")
	}
}
