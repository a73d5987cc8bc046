// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/storm"
)

// Two of each service on three NATS servers: whatever goes of them, one after the other, nobody is let down.
func TestNobodyIsLetDownByACluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{nodes: 3, each: 2, slots: slots(), sim: storm.BadDay("second-leg", 1)})
	nobody := func(sim.Call) bool { return false }

	w.under("every service is rolled", func(*testing.T) {
		stopped := map[string]time.Time{} // when the bots of a bot-scheduler went with it
		var began time.Time
		phones := w.crowd(func() {
			began = time.Now()
			for _, b := range w.boxes[3:] {
				w.awaitCalls()
				b.stop()
				stopped[b.name] = time.Now()
				b.start()
				w.Poll(time.Minute, b.name+" to be back", b.unready)
			}
			w.T.Logf("rolled in %.1f s", time.Since(began).Seconds())
		})
		w.checked(phones, func(c sim.Call) bool {
			for _, b := range w.of("bot-scheduler") {
				if c.ConnectedAt != nil && c.ConnectedAt.Before(stopped[b.name]) && c.EndedAt.After(began) {
					return true
				}
			}
			return false
		})
	})
	w.under("the stream's leader is killed", func(*testing.T) {
		w.checked(w.crowd(func() {
			w.awaitCalls()
			leader := w.leader()
			leader.kill()
			began := time.Now()
			w.Poll(time.Minute, "another leader", func() string {
				if now := w.leader(); now == nil || now == leader {
					return "none"
				}
				return ""
			})
			w.T.Logf("%s led; another leads %.2f s after it was killed", leader, time.Since(began).Seconds())
			w.served(w.leader(), killed)
			leader.start()
			w.awaitReplicas()
		}), nobody)
	})
	w.under("two of three are gone for less than the lease", func(*testing.T) {
		w.checked(w.crowd(func() { w.minority(short) }), nobody)
	})
	w.under("the servers are rolled one by one", func(*testing.T) {
		w.checked(w.crowd(func() {
			for _, b := range w.of("nats") {
				w.awaitCalls()
				b.stop()
				b.start()
				w.awaitReplicas()
			}
		}), nobody)
	})
	w.under("two of three are gone for longer than the lease", func(*testing.T) {
		w.checked(w.crowd(func() { w.minority(lease + 2*time.Second) }), func(c sim.Call) bool { return true })
	})
}

// minority kills two servers of three, and starts them again after a while.
func (w *world) minority(lasts time.Duration) {
	w.T.Helper()
	w.awaitCalls()
	nodes := w.of("nats")[1:]
	for _, b := range nodes {
		b.kill()
	}
	time.Sleep(lasts)
	for _, b := range nodes {
		b.start()
	}
	w.awaitReplicas()
	w.served(nodes[0], killed)
}

// leader is the server that leads the stream of the calls, or nil.
func (w *world) leader() *box {
	info := w.stream()
	if info == nil || info.Cluster == nil || info.Cluster.Leader == "" {
		return nil
	}
	return w.box(info.Cluster.Leader)
}

func (w *world) stream() *jetstream.StreamInfo {
	ctx, cancel := context.WithTimeout(w.T.Context(), time.Second)
	defer cancel()
	stream, err := w.JS.Stream(ctx, bus.Stream)
	if err != nil {
		return nil
	}
	return stream.CachedInfo()
}

// awaitReplicas waits until all servers have all of the calls.
func (w *world) awaitReplicas() {
	w.T.Helper()
	w.Poll(time.Minute, "the replicas", func() string {
		for _, b := range w.of("nats") {
			if why := b.unready(); why != "" {
				return why
			}
		}
		info := w.stream()
		if info == nil || info.Cluster == nil || len(info.Cluster.Replicas) < 2 {
			return "no leader"
		}
		for _, r := range info.Cluster.Replicas {
			if !r.Current || r.Offline {
				return fmt.Sprint(r)
			}
		}
		return ""
	})
}
