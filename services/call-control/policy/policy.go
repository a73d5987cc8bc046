// SPDX-License-Identifier: Apache-2.0

// Package policy judges who may be called, and when. It asks nobody and changes nothing: the same question has the same
// answer wherever it is asked, as long as the do-not-call list stays the same.
//
// How often a number is called, how many calls there are at once, and how fast they begin is not known here.
package policy

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
	_ "time/tzdata" // where people are must be known on machines that have no time zones of their own

	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/hours"
	"github.com/trunkline/trunkline/pkg/phone"
)

// Decision is what becomes of a call, numbered as in the API. The zero value is none, and does not allow anything.
type Decision int

// The decisions.
const (
	Allow Decision = iota + 1
	Wait           // not now
	Refuse
)

// Verdict is what one rule says.
type Verdict struct {
	Rule     string
	Decision Decision
	Detail   string    // for people; it holds no whole number
	Until    time.Time // of a wait; zero where nobody knows
}

// Policy judges dial-outs. Its methods may be called at once.
type Policy struct {
	rules  config.Policy
	region string
	hours  hours.Hours
	zones  sync.Map // time zones that were asked for, by name
	list   atomic.Pointer[list]
	read   os.FileInfo // of the file that list is; for Watch alone
}

// New reads the do-not-call list, in which numbers without a country code belong to region. Without a list that can be
// read there is no Policy: it would let everybody be called.
func New(cfg config.Policy, region string) (*Policy, error) {
	h, err := hours.New(cfg.Hours)
	if err != nil {
		return nil, fmt.Errorf("policy.hours: %w", err)
	}
	p := &Policy{rules: cfg, region: region, hours: h}
	var none list
	p.list.Store(&none)
	if cfg.DoNotCall == "" {
		return p, nil
	}
	l, info, err := readList(cfg.DoNotCall, region)
	if err != nil {
		return nil, fmt.Errorf("policy.do_not_call: %w", err)
	}
	p.list.Store(&l)
	p.read = info
	return p, nil
}

// Judge gives every rule's verdict on a call to the number at that time, in the order of Rules.
func (p *Policy) Judge(number string, at time.Time) []Verdict {
	return p.judge(number, at, func(rule) bool { return true })
}

// JudgeTarget gives the verdicts on a call to somebody to whom callers are transferred: those of every rule but the hours,
// for a target has its own.
func (p *Policy) JudgeTarget(number string, at time.Time) []Verdict {
	return p.judge(number, at, func(r rule) bool { return !r.timed })
}

func (p *Policy) judge(number string, at time.Time, asked func(rule) bool) (verdicts []Verdict) {
	n := parse(number)
	for i, r := range rules {
		if !asked(r) {
			continue
		}
		v := Verdict{Decision: Refuse, Detail: "cannot be told: there is no number"}
		if i == 0 || n.parsed != nil {
			v = r.judge(p, n, at)
		}
		v.Rule, v.Detail = r.name, phone.MaskAll(v.Detail)
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// Decide gives the verdict that counts: the first refusal, else the wait that lasts longest, else that the call is
// allowed. Without a verdict nothing is.
func Decide(verdicts []Verdict) Verdict {
	decided := Verdict{Decision: Allow}
	for _, v := range verdicts {
		switch v.Decision {
		case Allow:
		case Wait:
			if decided.Decision == Allow || v.Until.After(decided.Until) {
				decided = v
			}
		default:
			return v
		}
	}
	if len(verdicts) == 0 {
		return Verdict{Decision: Refuse, Detail: "no rule was asked"}
	}
	return decided
}
