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

const leases = "KV_slots" // their stream

// leaseOfCluster is the default. It has to be longer than it takes NATS to elect another leader, which is up to 9 s.
const leaseOfCluster = 15 * time.Second

// Two of each service on three NATS servers, with TLS: whatever goes of them, one after the other, nobody is let down.
func TestNobodyIsLetDownByACluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{nodes: 3, each: 2, slots: slots(), lease: leaseOfCluster, tls: true, sim: storm.BadDay("second-leg", 1)})
	nobody := func(sim.Call) bool { return false }

	w.under("every service is rolled", func(*testing.T) {
		w.checked(w.crowd(func() {
			began := time.Now()
			for _, b := range w.boxes[w.nodes:] {
				w.awaitCalls()
				told := time.Now()
				b.stop()
				w.T.Logf("%-18s stopped in %5.2f s", b, time.Since(told).Seconds())
				b.start()
				w.Poll(time.Minute, b.name+" to be back", b.unready)
			}
			w.T.Logf("rolled in %.1f s", time.Since(began).Seconds())
		}), nobody)
	})
	w.under("the stream's leader is killed", func(*testing.T) {
		w.checked(w.crowd(func() {
			w.awaitCalls()
			leader := w.leads(bus.Stream)
			leader.kill()
			began := time.Now()
			w.Poll(time.Minute, "another leader", func() string {
				if now := w.leader(bus.Stream); now == nil || now == leader {
					return "none"
				}
				return ""
			})
			w.T.Logf("%s led; another leads %.2f s after it was killed", leader, time.Since(began).Seconds())
			w.served(w.leads(bus.Stream), killed)
			leader.start()
			w.awaitReplicas()
		}), nobody)
	})
	for _, f := range []fault{frozen, cutOff} {
		w.under("the leader of the leases is "+f.name+" for longer than a lease", func(*testing.T) { w.silent(f) })
	}
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
		var gone, back time.Time
		phones := w.crowd(func() {
			gone = time.Now()
			w.minority(w.lease + 2*time.Second)
			back = time.Now()
		})
		w.checked(phones, func(c sim.Call) bool { return c.StartedAt.Before(back) && c.EndedAt.After(gone) })
	})
}

// silent has the server go without a word that renews the leases. Two of three live: who talks all the while keeps the bot.
func (w *world) silent(f fault) {
	w.T.Helper()
	old := w.PlaceMany(w.Slots/3, sim.CallSpec{})
	for i, phone := range old {
		old[i] = w.Connected(phone)
	}
	phones := w.crowd(func() {
		w.awaitCalls()
		leader := w.leads(leases)
		f.begin(leader)
		time.Sleep(w.lease + 2*time.Second)
		f.end(leader)
		w.awaitReplicas()
		w.served(leader, f)
	})
	w.HangUp(old...)
	w.checked(append(phones, old...), func(sim.Call) bool { return false })
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

// leads waits for the server that leads a stream.
func (w *world) leads(stream string) (leader *box) {
	w.T.Helper()
	w.Poll(time.Minute, "a leader of "+stream, func() string {
		if leader = w.leader(stream); leader == nil {
			return "none"
		}
		return ""
	})
	return leader
}

// leader is the server that leads a stream, or nil.
func (w *world) leader(stream string) *box {
	info := w.stream(stream)
	if info == nil || info.Cluster == nil || info.Cluster.Leader == "" {
		return nil
	}
	return w.box(info.Cluster.Leader)
}

func (w *world) stream(name string) *jetstream.StreamInfo {
	ctx, cancel := context.WithTimeout(w.T.Context(), time.Second)
	defer cancel()
	stream, err := w.JS.Stream(ctx, name)
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
		for _, name := range []string{bus.Stream, leases, "KV_jobs"} {
			info := w.stream(name)
			if info == nil || info.Cluster == nil || len(info.Cluster.Replicas) < 2 {
				return name + " has no leader"
			}
			for _, r := range info.Cluster.Replicas {
				if !r.Current || r.Offline {
					return fmt.Sprint(name, *r)
				}
			}
		}
		return ""
	})
}
