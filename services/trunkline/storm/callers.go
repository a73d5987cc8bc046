// SPDX-License-Identifier: Apache-2.0

package storm

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

// Callers has people call, one after the other over a time, while something happens, and waits until all their calls
// have ended.
func (w *World) Callers(n int, lasts, hold, talk time.Duration, meanwhile func()) []sim.Call {
	phones := make([]sim.Call, n)
	var group sync.WaitGroup
	group.Go(func() {
		for i := range phones {
			var err error
			if phones[i], err = w.Sim.PlaceCall(caller(i, hold, talk)); err != nil {
				w.T.Error(err)
			}
			time.Sleep(lasts / time.Duration(n))
		}
	})
	meanwhile()
	group.Wait()
	return w.over(phones, hold+talk+Soon)
}

// Crowd has as many people on the line at any time as it says, while something happens: whoever is done is followed by
// another. At least so many people call in all. It waits until all their calls have ended.
func (w *World) Crowd(atOnce, atLeast int, hold, talk time.Duration, meanwhile func()) []sim.Call {
	ctx, stop := context.WithCancel(w.T.Context())
	defer stop()
	var mu sync.Mutex
	var phones []sim.Call
	next := func() (sim.Call, bool) {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil && len(phones) >= atLeast {
			return sim.Call{}, false
		}
		phone, err := w.Sim.PlaceCall(caller(len(phones), hold, talk))
		if err != nil {
			w.T.Error(err)
			return phone, false
		}
		phones = append(phones, phone)
		return phone, true
	}
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() {
			for {
				phone, ok := next()
				if !ok {
					return
				}
				if ended := w.over([]sim.Call{phone}, hold+talk+Soon); ended[0].State != sim.Ended {
					return
				}
			}
		})
	}
	func() {
		defer stop() // also where the test ends in it
		meanwhile()
	}()
	group.Wait()
	return w.over(phones, Soon)
}

func caller(i int, hold, talk time.Duration) sim.CallSpec {
	return sim.CallSpec{From: fmt.Sprintf("+1415555%04d", i%10000), To: "+14155550100", Hold: sim.Duration(hold), Talk: sim.Duration(talk)}
}

// over waits until calls have ended; Check tells of those that have not.
func (w *World) over(phones []sim.Call, patience time.Duration) []sim.Call {
	ctx, cancel := context.WithTimeout(w.T.Context(), patience)
	defer cancel()
	ended := slices.Clone(phones)
	for i, phone := range ended {
		ended[i], _ = w.Sim.WaitForCall(ctx, phone.ID, func(c sim.Call) bool { return c.State == sim.Ended })
	}
	return ended
}
