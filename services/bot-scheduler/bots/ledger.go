// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trunkline/trunkline/pkg/bus"
	lease "github.com/trunkline/trunkline/services/bot-scheduler/slots"
)

// task is one attempt of a call that is owed a bot: it waits for a slot, or has one.
type task struct {
	CallID  string    `json:"call_id"`
	Attempt uint32    `json:"attempt"`
	Agent   string    `json:"agent"`
	Arrived time.Time `json:"arrived"` // the call: who came first is served first
	Owner   string    `json:"owner"`   // the process that took it on; others leave it alone for a while
	Taken   time.Time `json:"taken"`
	Trace   bus.Trace `json:"trace,omitempty"` // of the room's being ready
}

func (t task) key() string { return taskKey(t.CallID, t.Attempt) }

func taskKey(callID string, attempt uint32) string { return fmt.Sprintf("%s.%d", callID, attempt) }

// ledger is this process's view of the tasks and the slots. It follows the two buckets and saves asking them; what
// decides is always a write.
type ledger struct {
	changed chan struct{} // told, with room for one, when there may be something to do
	used    *prometheus.GaugeVec
	// Closed when all has been seen that was there at the start.
	tasksKnown, slotsKnown chan struct{}

	mu    sync.Mutex
	tasks map[string]*line  // by task
	idle  map[string]*line  // those without a slot
	seats map[string]string // task to slot
	slots map[string]string // slot to task; empty while it is being taken
	taken map[string]int    // slots held, by agent
}

// line is a task in the ledger.
type line struct {
	task
	owner  string // whose it is now
	taken  time.Time
	clear  bool // known to wait for a slot; until then its call's story must be asked what it is idle for
	busy   bool // somebody in this process is at it
	failed bool // the last try went wrong
}

func newLedger(used *prometheus.GaugeVec) *ledger {
	return &ledger{
		changed: make(chan struct{}, 1), used: used, tasksKnown: make(chan struct{}), slotsKnown: make(chan struct{}),
		tasks: map[string]*line{}, idle: map[string]*line{}, seats: map[string]string{}, slots: map[string]string{}, taken: map[string]int{},
	}
}

// poke has the dispatcher look again.
func (l *ledger) poke() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// add enters a task. It is clear where its call's story has just been read.
func (l *ledger) add(t task, clear bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.tasks[t.key()]; known != nil {
		known.clear = known.clear || clear
		if known.owner != t.Owner && !clear { // handed back
			known.owner, known.taken = t.Owner, t.Taken
			l.poke()
		}
		return
	}
	entry := &line{task: t, owner: t.Owner, taken: t.Taken, clear: clear}
	l.tasks[t.key()] = entry
	if l.seats[t.key()] == "" {
		l.idle[t.key()] = entry
	}
	l.poke()
}

func (l *ledger) strike(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.tasks, key)
	delete(l.idle, key)
}

// taskKeys are the tasks that are entered.
func (l *ledger) taskKeys() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.tasks))
}

// slotKeys are the slots that are held, or being taken.
func (l *ledger) slotKeys() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.slots))
}

// seat notes which task a slot is leased to.
func (l *ledger) seat(slot, key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, held := l.slots[slot]; held {
		if before == key { // it may have been given another one in between, and have left that
			if l.seats[key] == "" {
				l.seats[key] = slot
			}
			delete(l.idle, key)
			return
		}
		l.leave(slot)
	}
	l.slots[slot], l.seats[key] = key, slot
	delete(l.idle, key)
	l.count(slot, 1)
}

// holds reports whether the slot is the task's.
func (l *ledger) holds(slot, key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.slots[slot] == key
}

// waiting gives the tasks of a process that have no slot.
func (l *ledger) waiting(owner string) (all []task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, entry := range l.idle {
		if entry.owner == owner {
			all = append(all, entry.task)
		}
	}
	return all
}

// seated gives the tasks that have a slot.
func (l *ledger) seated() (all []task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key := range l.seats {
		if entry := l.tasks[key]; entry != nil {
			all = append(all, entry.task)
		}
	}
	return all
}

// free notes that a slot is given back, or has run out. What became of its task is to be asked.
func (l *ledger) free(slot string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, held := l.slots[slot]; held {
		l.leave(slot)
	}
	l.poke()
}

func (l *ledger) leave(slot string) {
	key := l.slots[slot]
	delete(l.slots, slot)
	l.count(slot, -1)
	if key == "" || l.seats[key] != slot {
		return
	}
	delete(l.seats, key)
	if entry := l.tasks[key]; entry != nil {
		entry.clear = false
		l.idle[key] = entry
	}
}

func (l *ledger) count(slot string, by int) {
	agent := lease.Agent(slot)
	l.taken[agent] += by
	l.used.WithLabelValues(agent).Set(float64(l.taken[agent]))
}

// reserve keeps a slot that looks free for this process to take. At most size are held at once.
func (l *ledger) reserve(slot string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, held := l.slots[slot]; held {
		return false
	}
	l.slots[slot] = ""
	l.count(slot, 1)
	return true
}

// due gives the idle tasks that somebody is at or should be at, the earliest call first. Those of other processes are
// left to them for a while.
func (l *ledger) due(owner string, courtesy time.Duration) []*line {
	l.mu.Lock()
	defer l.mu.Unlock()
	due := make([]*line, 0, len(l.idle))
	for _, entry := range l.idle {
		if entry.owner == owner || time.Since(entry.taken) >= courtesy {
			due = append(due, entry)
		}
	}
	slices.SortFunc(due, func(a, b *line) int {
		return cmp.Or(a.Arrived.Compare(b.Arrived), cmp.Compare(a.key(), b.key()))
	})
	return due
}

// What is to be done about an idle task.
type step int

const (
	nothing       step = iota // somebody starts its bot, it has meanwhile been struck out or got a slot, or its line stands
	unknown                   // somebody asks what it is idle for: it may be the first who waits
	toSettle                  // ask what it is idle for
	toSettleAgain             // it has been asked for, in vain: that holds nobody up
	toStart                   // it waits, and its line moves
)

// begin says what is to be done about a task, and marks it as being worked on if there is something.
func (l *ledger) begin(entry *line, stands bool) step {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.idle[entry.key()] != entry:
		return nothing
	case entry.busy && !entry.clear && !entry.failed:
		return unknown
	case entry.busy || entry.clear && stands:
		return nothing
	case entry.clear:
		entry.busy = true
		return toStart
	}
	entry.busy = true
	if entry.failed {
		return toSettleAgain
	}
	return toSettle
}

// leaveInLine leaves a task as it was.
func (l *ledger) leaveInLine(entry *line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	entry.busy = false
}

// end says that nobody is at the task any more, and whether it is now known to wait for a slot. What went wrong is
// tried again with the next look.
func (l *ledger) end(entry *line, clear bool, err error) {
	l.mu.Lock()
	entry.busy, entry.clear, entry.failed = false, clear, err != nil
	l.mu.Unlock()
	if err == nil {
		l.poke()
	}
}
