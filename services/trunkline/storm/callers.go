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

// Callers has people come, one after the other over a time, while something happens, and waits until all their calls
// have ended. It gives those who called; where Trunkline may call, half of those who come are called.
func (w *World) Callers(n int, lasts, hold, talk time.Duration, meanwhile func()) []sim.Call {
	var mu sync.Mutex
	var phones []sim.Call
	var group sync.WaitGroup
	group.Go(func() {
		for i := range n {
			group.Go(func() {
				if phone, ok := w.come(i, hold, talk); ok {
					mu.Lock()
					defer mu.Unlock()
					phones = append(phones, phone)
				}
			})
			time.Sleep(lasts / time.Duration(n))
		}
	})
	meanwhile()
	group.Wait()
	return w.over(phones, Soon)
}

// Crowd has as many people on the line at any time as it says, while something happens: whoever is done is followed by
// another. At least so many people come in all. It waits until all their calls have ended, and gives those who called.
func (w *World) Crowd(atOnce, atLeast int, hold, talk time.Duration, meanwhile func()) []sim.Call {
	ctx, stop := context.WithCancel(w.T.Context())
	defer stop()
	var mu sync.Mutex
	var phones []sim.Call
	came := 0
	next := func() (i int, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil && came >= atLeast {
			return 0, false
		}
		came++
		return came - 1, true
	}
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() {
			for {
				i, ok := next()
				if !ok {
					return
				}
				phone, phoned := w.come(i, hold, talk)
				if !phoned {
					continue
				}
				mu.Lock()
				phones = append(phones, phone)
				mu.Unlock()
				if phone.State != sim.Ended {
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

// come has the i-th person call, or be called, and waits until that is over. Only who calls has a phone to show.
func (w *World) come(i int, hold, talk time.Duration) (phone sim.Call, phoned bool) {
	if w.control != nil && i%2 == 1 {
		d, err := w.called(i/2, talk)
		if err != nil {
			w.T.Error(err)
			return phone, false
		}
		w.ended(d.ID, hold+talk+Soon) // Check tells of those that have not
		return phone, false
	}
	phone, err := w.Sim.PlaceCall(caller(i, hold, talk))
	if err != nil {
		w.T.Error(err)
		return phone, false
	}
	return w.over([]sim.Call{phone}, hold+talk+Soon)[0], true
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
