// SPDX-License-Identifier: Apache-2.0

package transfers

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/hours"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// Targets are those to whom callers can be transferred, as configured.
type Targets struct {
	config  *config.Config
	opening map[string]opening
}

type opening struct {
	hours.Hours
	zone *time.Location
}

// NewTargets reads the hours of the targets.
func NewTargets(cfg *config.Config) (*Targets, error) {
	t := &Targets{cfg, map[string]opening{}}
	for name, target := range cfg.Targets {
		h, err := hours.New(target.Hours.Hours)
		if err != nil {
			return nil, fmt.Errorf("targets.%s.hours.%w", name, err)
		}
		zone, err := time.LoadLocation(cmp.Or(target.Hours.Timezone, "UTC"))
		if err != nil {
			return nil, fmt.Errorf("targets.%s.hours.timezone: %w", name, err)
		}
		t.opening[name] = opening{h, zone}
	}
	return t, nil
}

// open reports whether a target can be reached at a time.
func (t *Targets) open(name string, at time.Time) bool {
	o := t.opening[name]
	return o.Open(at.In(o.zone))
}

// next is when a target can be reached next, or zero if that is not near.
func (t *Targets) next(name string, at time.Time) time.Time {
	o := t.opening[name]
	return o.Next(at, o.zone)
}

// chain gives a target, and those that stand in for it when nobody answers, one after another.
func (t *Targets) chain(name, mode string) (chain []config.Target) {
	for seen := map[string]bool{}; !seen[name]; {
		target, ok := t.config.Targets[name]
		if !ok {
			break
		}
		seen[name] = true
		if slices.Contains(target.Modes, mode) {
			chain = append(chain, target)
		}
		name = target.NoAnswer.Target
	}
	return chain
}

// numbers gives whom to try for a target: those who can be reached at the time.
func (t *Targets) numbers(chain []config.Target, mode string, at time.Time) (numbers []*callv1.TransferNumber) {
	group := uint32(0)
	for _, target := range chain {
		if !t.open(target.Name, at) {
			continue
		}
		for i, to := range target.Numbers {
			if target.Strategy == config.InOrder || i%config.MostAtOnce == 0 || mode == config.ModeBlind || mode == config.ModeRefer {
				group++
			}
			numbers = append(numbers, &callv1.TransferNumber{
				To: to, Target: target.Name, RingTimeout: durationpb.New(target.RingTimeout), CallerId: target.CallerID, Group: group,
			})
		}
	}
	return numbers
}

// wanted makes a request of a target, or of a chain of them, as it is configured now.
func (x *Transfers) wanted(target, mode string, at time.Time) *callv1.TransferRequested {
	chain := x.Targets.chain(target, mode)
	m := &callv1.TransferRequested{
		Target: target, Mode: mode, Numbers: x.Targets.numbers(chain, mode, at), BotLeaves: x.Config.Targets[target].BotLeaves,
		AnnounceWithin: durationpb.New(x.Config.Transfer.AnnounceTimeout), BriefWithin: durationpb.New(x.Config.Transfer.BriefTimeout),
	}
	if len(chain) > 0 {
		last := chain[len(chain)-1].NoAnswer
		m.Ends, m.Message = last.Then == config.ThenEnd, last.Message
	}
	return m
}

// overflow is the transfer of a caller for whom no bot could be had. There is nobody to go back to: call-control ends the
// call when it fails.
func (x *Transfers) overflow(s *call.State) *callv1.TransferRequested {
	m := x.wanted(s.Received.GetOverflow(), config.ModeCold, x.Now())
	m.N, m.IdempotencyKey, m.RequestedBy, m.Ends, m.Message, m.BotLeaves = 1, "overflow", name, false, "", true
	return m
}
