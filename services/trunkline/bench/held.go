// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"
)

// Callers are held connected until so many are, and then others call at this rate, for so long.
const (
	connectAtOnce = 32
	probeRate     = 50
	probeLong     = 4 * time.Second
)

// heldCalls measures what calls in progress cost: memory, and the time of those that come meanwhile.
func (f *Figures) heldCalls(ctx context.Context, p place) (err error) {
	b, err := start(ctx, p, allServices)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.end()) }()
	if _, err := b.offer(ctx, 50, time.Second); err != nil { // what is made once is made
		return err
	}
	time.Sleep(time.Second)
	empty, held := memory(), 0
	for _, n := range p.held {
		if err := b.hold(ctx, n-held); err != nil {
			return err
		}
		held = n
		time.Sleep(b.Config.Agents[agentName].ReadyTimeout) // the deadlines of the last to come are over
		h := Held{Calls: n, Bytes: (memory() - empty) / int64(n)}
		if h.Open, err = b.offer(ctx, probeRate, probeLong); err != nil {
			return err
		}
		f.Held = append(f.Held, h)
	}
	return nil
}

// hold has n callers connected who do not hang up.
func (b *bed) hold(ctx context.Context, n int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(connectAtOnce)
	for range n {
		group.Go(func() error {
			c, err := b.place(ctx, false)
			if err != nil {
				return err
			}
			return await(ctx, "connected", c.connected)
		})
	}
	return group.Wait()
}

// memory is what this process cannot do without, in bytes.
func memory() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what has finalizers or lies in pools goes with the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
