// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"fmt"
	"time"
)

// Verdict is what a rule says of a call that would ask now.
type Verdict struct {
	Rule    string
	Allowed bool
	// Until is when it may be asked again, if that is known.
	Until time.Time
	// Detail is for people, such as "12 of 50".
	Detail string
}

// Look tells what each rule would say of a call to a number, and changes nothing. What it tells may be of a moment ago.
func (a *Admission) Look(ctx context.Context, agent, number string) ([]Verdict, error) {
	t, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	own := a.limits.Agents[agent]
	verdicts := append(
		t.look(newLimit("", "", a.limits.Concurrent, a.limits.PerSecond), a.now()).verdicts(),
		t.look(newLimit(agent, "agent_", own.Concurrent, own.PerSecond), a.now()).verdicts()...)

	v := Verdict{Rule: "per_number", Allowed: true, Detail: "no limit"}
	if !a.anyNumber() {
		d, _, err := a.readDials(ctx, numberKey(number))
		if err != nil {
			return nil, err
		}
		d.forget(a.now(), a.limits.Window)
		v.Until = d.until(a.limits.PerNumber, a.limits.Window)
		v.Allowed = v.Until.IsZero()
		v.Detail = fmt.Sprintf("%d of %d in %s", len(d), a.limits.PerNumber, a.limits.Window)
	}
	return append(verdicts, v), nil
}

func (s state) verdicts() []Verdict {
	concurrency := Verdict{Rule: s.concurrency(), Allowed: !s.full(), Detail: "no limit"}
	if s.concurrent > 0 {
		concurrency.Detail = fmt.Sprintf("%d of %d", s.held, s.concurrent)
	}
	rate := Verdict{Rule: s.pace(), Allowed: !s.short(), Detail: "no limit"}
	if s.perSecond > 0 {
		rate.Detail = fmt.Sprintf("%g per second", s.perSecond)
	}
	if s.short() {
		rate.Until = s.now.Add(s.refill(1 - s.Left))
	}
	verdicts := []Verdict{concurrency, rate}
	if rule, _ := s.rule(); !s.none() && s.waited() {
		for i := range verdicts {
			if v := &verdicts[i]; v.Rule == rule {
				v.Allowed, v.Until = false, s.Next
				v.Detail += ", and others wait"
			}
		}
	}
	return verdicts
}
