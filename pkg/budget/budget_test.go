// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/budget"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/daily"
)

// domain is a broker that several processes share, each with a connection of its own.
type domain struct {
	t      *testing.T
	server *bustest.Server
	limits config.Budget
}

func newDomain(t *testing.T, limits config.Budget) *domain {
	t.Helper()
	server := bustest.Start(t)
	server.Setup(bus.Needs{Service: "room-provisioner", Buckets: []jetstream.KeyValueConfig{budget.Bucket}})
	return &domain{t, server, limits}
}

func (d *domain) process() *budget.Budget {
	d.t.Helper()
	b, err := budget.New(d.t.Context(), d.server.Connect(), d.limits)
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

// window is Daily's, for requests and dials.
const window = 5 * time.Second

func TestProcessesTogetherKeepToTheLimit(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begin := make(chan struct{})
	var group sync.WaitGroup
	for phrase, c := range map[string]struct {
		limits config.Budget
		class  daily.Class
		most   int // in any window
		least  int // in the first window: the limit is there to be used
	}{
		"requests":               {config.Budget{RequestsPer5s: 20, DeletesPer30s: 50, DialsPer5s: 5}, daily.ClassForward, 20, 15},
		"requests that can wait": {config.Budget{RequestsPer5s: 30, DeletesPer30s: 50, DialsPer5s: 5}, daily.ClassJanitor, 30, 15},
		"dials":                  {config.Budget{RequestsPer5s: 20, DeletesPer30s: 50, DialsPer5s: 5}, daily.ClassDial, 5, 3},
		"two dials":              {config.Budget{RequestsPer5s: 20, DeletesPer30s: 50, DialsPer5s: 2}, daily.ClassDial, 2, 1},
		"a single dial":          {config.Budget{RequestsPer5s: 20, DeletesPer30s: 50, DialsPer5s: 1}, daily.ClassDial, 1, 1},
	} {
		d := newDomain(t, c.limits)
		processes := []*budget.Budget{d.process(), d.process(), d.process()}
		group.Go(func() {
			<-begin
			grants := drain(ctx, c.class, processes)
			for i := range grants {
				if n := within(grants[i:]); n > c.most {
					t.Errorf("%s: %d grants within %s, the limit is %d", phrase, n, window, c.most)
				}
			}
			if n := within(grants); n < c.least {
				t.Errorf("%s: %d grants in the first %s, there could be %d", phrase, n, window, c.most)
			}
			if c.most == 1 && len(grants) != 2 {
				t.Errorf("%s: %d grants in %s", phrase, len(grants), window+time.Second)
			}
		})
	}
	time.AfterFunc(window+time.Second, cancel)
	close(begin)
	group.Wait()
}

// drain has processes take what they get until the context ends, and says when they got it.
func drain(ctx context.Context, class daily.Class, processes []*budget.Budget) []time.Time {
	var mu sync.Mutex
	var grants []time.Time
	var group sync.WaitGroup
	for _, b := range processes {
		for range 4 {
			group.Go(func() {
				for b.Take(ctx, class) == nil {
					mu.Lock()
					grants = append(grants, time.Now())
					mu.Unlock()
				}
			})
		}
	}
	group.Wait()
	slices.SortFunc(grants, time.Time.Compare)
	return grants
}

// within counts the grants in a window from the first of them on.
func within(grants []time.Time) int {
	for n, at := range grants {
		if at.Sub(grants[0]) >= window {
			return n
		}
	}
	return len(grants)
}

func TestAForwardGetsThroughWhereTheJanitorHasToWait(t *testing.T) {
	d := newDomain(t, config.Budget{RequestsPer5s: 30, DeletesPer30s: 50, DialsPer5s: 5})
	ctx, cancel := context.WithCancel(t.Context())
	var janitors atomic.Int32
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	drained := make(chan struct{})
	for range 2 {
		b := d.process()
		for range 4 {
			group.Go(func() {
				for b.Take(ctx, daily.ClassJanitor) == nil {
					if janitors.Add(1) == 3 {
						close(drained)
					}
				}
			})
		}
	}
	<-drained
	forwards := d.process()
	before := janitors.Load()
	const calls = 8
	for range calls {
		if err := forwards.Take(t.Context(), daily.ClassForward); err != nil {
			t.Fatal(err)
		}
	}
	if n := janitors.Load() - before; n > calls/2 {
		t.Errorf("%d requests that can wait were granted while %d callers waited", n, calls)
	}
}

func TestEachAccountIsItsOwn(t *testing.T) {
	b := newDomain(t, config.Budget{RequestsPer5s: 1, DeletesPer30s: 1, DialsPer5s: 1}).process()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	for _, class := range []daily.Class{daily.ClassDial, daily.ClassDelete, daily.ClassRoom} {
		if err := b.Take(ctx, class); err != nil {
			t.Errorf("%s: %v", class, err)
		}
	}
}

func TestTheContextsEndIsTheEndOfTheWait(t *testing.T) {
	b := newDomain(t, config.Budget{RequestsPer5s: 1, DeletesPer30s: 1, DialsPer5s: 1}).process()
	if err := b.Take(t.Context(), daily.ClassDial); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := b.Take(ctx, daily.ClassDial); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drained: %v", err)
	}
	cancelled, stop := context.WithCancel(t.Context())
	stop()
	for _, class := range []daily.Class{daily.ClassDial, daily.ClassForward} {
		if err := b.Take(cancelled, class); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled before: %v", class, err)
		}
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestWithoutALimitNothingIsCountedAndNothingNeeded(t *testing.T) {
	b, err := budget.New(t.Context(), nil, config.Budget{Unlimited: true})
	if b != nil || err != nil {
		t.Fatalf("%v, %v", b, err)
	}
	for range 1000 {
		if err := b.Take(t.Context(), daily.ClassDial); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWithoutItsBucketThereIsNoBudget(t *testing.T) {
	if b, err := budget.New(t.Context(), bustest.Start(t).Setup(), config.Default().Daily.Budget); b != nil || err == nil {
		t.Errorf("%v, %v", b, err)
	}
}
