// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// tasks is the simulator's one clock: what is due runs here, in order of time, one after the other.
// Slow work (an HTTP delivery) is put in a goroutine of its own, which run waits for.
type tasks struct {
	mu    sync.Mutex
	queue taskQueue
	seq   uint64
	wake  chan struct{}
	work  sync.WaitGroup
	ctx   context.Context // run's, for background work; only run's loop reads it
}

type task struct {
	at    time.Time
	seq   uint64
	fn    func()
	index int
}

func newTasks() *tasks { return &tasks{wake: make(chan struct{}, 1)} }

// after runs fn d from now on run's goroutine; fn must not block and must look at the state again.
func (t *tasks) after(d time.Duration, fn func()) *task {
	t.mu.Lock()
	t.seq++
	k := &task{at: time.Now().Add(d), seq: t.seq, fn: fn}
	heap.Push(&t.queue, k)
	first := k.index == 0
	t.mu.Unlock()
	if first {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
	return k
}

// background runs fn d from now in a goroutine of its own; its context ends with run.
func (t *tasks) background(d time.Duration, fn func(context.Context)) *task {
	return t.after(d, func() {
		ctx := t.ctx
		t.work.Go(func() { fn(ctx) })
	})
}

// stop forgets a task that has not begun; nil is no task.
func (t *tasks) stop(k *task) {
	if k == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if k.index >= 0 {
		heap.Remove(&t.queue, k.index)
	}
}

// run serves the clock until ctx ends and then waits for the background work.
func (t *tasks) run(ctx context.Context) {
	t.ctx = ctx
	defer t.work.Wait()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		fn, wait := t.next()
		if fn != nil {
			fn()
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-t.wake:
		case <-timer.C:
		}
	}
}

// next takes what is due, or tells how long to wait.
func (t *tasks) next() (fn func(), wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return nil, time.Hour
	}
	if wait := time.Until(t.queue[0].at); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&t.queue).(*task).fn, 0
}

type taskQueue []*task

func (q taskQueue) Len() int { return len(q) }
func (q taskQueue) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].seq < q[j].seq
	}
	return q[i].at.Before(q[j].at)
}

func (q taskQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *taskQueue) Push(x any) {
	k := x.(*task)
	k.index = len(*q)
	*q = append(*q, k)
}

func (q *taskQueue) Pop() any {
	old := *q
	k := old[len(old)-1]
	old[len(old)-1] = nil
	k.index = -1
	*q = old[:len(old)-1]
	return k
}
