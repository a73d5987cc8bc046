// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/trunkline/trunkline/pkg/bus"
)

// wholeCalls measures, in a closed loop, how many calls a second go from the webhook to CallEnded with the slot free
// again. Callers hang up when they are connected.
func (f *Figures) wholeCalls(ctx context.Context, p place) (err error) {
	b, err := start(ctx, p, allServices)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.end()) }()
	deadline, stop := context.WithTimeout(ctx, warmUp+measured)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	for range inFlight {
		group.Go(func() error {
			for deadline.Err() == nil {
				c, err := b.place(ctx, true)
				if err != nil {
					return err
				}
				if err := await(ctx, "over", c.over); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		time.Sleep(warmUp)
		endProfile, err := profile(p.Profiles)
		if err != nil {
			return err
		}
		began, before := time.Now(), b.whole.Load()
		<-deadline.Done()
		f.Whole.Rate = float64(b.whole.Load()-before) / time.Since(began).Seconds()
		return endProfile()
	})
	if err := group.Wait(); err != nil {
		return err
	}
	f.Whole.InFlight = inFlight
	return f.count(context.WithoutCancel(ctx), b)
}

// count sees how many messages a call is made of.
func (f *Figures) count(ctx context.Context, b *bed) error {
	streams := b.JS.ListStreams(ctx)
	for info := range streams.Info() {
		writes := float64(info.State.LastSeq) / float64(b.placed.Load())
		f.Whole.Writes += writes
		if info.Config.Name == bus.Stream {
			f.Whole.Events = int(math.Round(writes))
			stream, err := b.JS.Stream(ctx, bus.Stream)
			if err != nil {
				return err
			}
			for info := range stream.ListConsumers(ctx).Info() {
				if info.Config.AckPolicy == jetstream.AckExplicitPolicy {
					f.Whole.Consumes += float64(info.Delivered.Consumer) / float64(b.placed.Load())
				}
			}
		}
	}
	f.Whole.Failed = int(b.failed.Load())
	return streams.Err()
}

// profile writes what the time and the memory go to, until it is ended.
func profile(dir string) (end func() error, err error) {
	if dir == "" {
		return func() error { return nil }, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	cpu, err := os.Create(filepath.Join(dir, "cpu.pprof"))
	if err != nil {
		return nil, err
	}
	if err := allocations(filepath.Join(dir, "allocs-base.pprof")); err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, err
	}
	return func() error {
		pprof.StopCPUProfile()
		return errors.Join(cpu.Close(), allocations(filepath.Join(dir, "allocs.pprof")))
	}, nil
}

func allocations(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	runtime.GC()
	return errors.Join(pprof.Lookup("allocs").WriteTo(file, 0), file.Close())
}

// openLoops measures how long it takes from the webhook to the bot at fixed rates of calls, whatever becomes of them.
func (f *Figures) openLoops(ctx context.Context, p place) error {
	for _, o := range offered {
		err := func() (err error) {
			b, err := start(ctx, p, allServices)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, b.end(), os.RemoveAll(p.dir)) }()
			if o.rate > offered[0].rate { // no first connections in the figures; where calls are rare they belong in
				if _, err := b.offer(ctx, 50, time.Second); err != nil {
					return err
				}
			}
			a, err := b.offer(ctx, o.rate, o.long)
			f.Open = append(f.Open, a)
			return err
		}()
		if err != nil {
			return fmt.Errorf("%d/s: %w", o.rate, err)
		}
	}
	return nil
}

// offer places calls at a rate, each on its own, and waits until they are over.
func (b *bed) offer(ctx context.Context, rate int, long time.Duration) (Open, error) {
	n := int(float64(rate) * long.Seconds())
	placed := make([]*call, n)
	failedBefore := b.failed.Load()
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for i := range n {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		group.Go(func() (err error) {
			if placed[i], err = b.place(ctx, true); err != nil {
				return err
			}
			return await(ctx, "over", placed[i].over)
		})
	}
	if err := group.Wait(); err != nil {
		return Open{}, err
	}
	var answered, told []time.Duration
	first, last := int64(math.MaxInt64), int64(0)
	for _, c := range placed {
		answered = append(answered, time.Duration(c.answered.Load()-c.posted.Load()))
		told = append(told, time.Duration(c.told.Load()-c.posted.Load()))
		first, last = min(first, c.posted.Load()), max(last, c.told.Load())
	}
	return Open{
		Offered: rate, Sustained: float64(n-1) / time.Duration(last-first).Seconds(), Failed: int(b.failed.Load() - failedBefore),
		AnsweredP50: quantile(answered, .5), AnsweredP99: quantile(answered, .99), ToldP50: quantile(told, .5), ToldP99: quantile(told, .99),
	}, nil
}
