// SPDX-License-Identifier: Apache-2.0

// Package demo plays calls on a Trunkline of its own and shows what became of them.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
	"github.com/trunkline/trunkline/services/trunkline/timeline"
)

// scene is one call, and how many attempts it should take.
type scene struct {
	title    string
	call     sim.CallSpec
	attempts uint32
}

const talk = sim.Duration(3 * time.Second)

var scenes = []scene{
	{"a plain inbound call", sim.CallSpec{From: "+14155550123", To: "+14155550100", Talk: talk}, 1},
	{"an anonymous caller", sim.CallSpec{To: "+14155550100", Talk: talk}, 1},
	{"a webhook that is delivered twice, the second time two seconds late", sim.CallSpec{
		From: "+14155550124", To: "+14155550100", Talk: talk,
		Webhook: sim.CallWebhook{Duplicates: 1, DuplicateAfter: sim.Duration(2 * time.Second)},
	}, 1},
	{"a call whose first bot dies before it is ready", sim.CallSpec{From: "+14155550125", To: "+14155550102", Talk: talk}, 2},
}

// Play starts a Trunkline in the folder, plays the scenes at once, and writes each call's timeline. The error says what
// did not go as it should.
func Play(ctx context.Context, dir string, out, logs io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cfg, err := stack.DevConfig()
	if err != nil {
		return err
	}
	stack.FreePorts(cfg)
	s, err := stack.Start(ctx, stack.Options{Dir: dir, Config: cfg, Log: app.NewLog(logs, cfg.Log)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()

	played := make([]played, len(scenes))
	var group sync.WaitGroup
	for i, scene := range scenes {
		group.Go(func() { played[i] = play(ctx, s, scene) })
	}
	group.Wait()
	var errs []error
	for i, p := range played {
		fmt.Fprintf(out, "\n%d. %s\n\n", i+1, scenes[i].title)
		if p.story != nil {
			w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
			timeline.Rows(p.story, func(cells ...any) {
				fmt.Fprintf(w, "   %v\t%v\t%v\t%v\n", cells...)
			})
			errs = append(errs, w.Flush())
		}
		for _, err := range p.wrong {
			errs = append(errs, fmt.Errorf("%s: %w", scenes[i].title, err))
		}
	}
	return errors.Join(errs...)
}

// played is what became of a scene.
type played struct {
	story *controlv1.GetCallResponse
	wrong []error
}

func play(ctx context.Context, s *stack.Stack, scene scene) (p played) {
	wrong := func(format string, args ...any) { p.wrong = append(p.wrong, fmt.Errorf(format, args...)) }
	phone, err := s.Sim.PlaceCall(scene.call)
	if err != nil {
		wrong("place the call: %w", err)
		return p
	}
	phone, err = s.Sim.WaitForCall(ctx, phone.ID, func(c sim.Call) bool { return c.State == sim.Ended })
	if err != nil {
		wrong("the call did not end: %w", err)
	}
	if phone.Legs != 1 || phone.Why != "hung-up" {
		wrong("the caller had %d legs and ended because of %q; wanted one leg, and a caller who hangs up", phone.Legs, phone.Why)
	}
	id := bus.CallID(phone.CallDomain, phone.ID)
	client := s.Control()
	for {
		p.story, err = client.GetCall(ctx, &controlv1.GetCallRequest{Id: id})
		if err != nil {
			wrong("ask about call %s: %w", id, err)
			return p
		}
		if finished(p.story) {
			break
		}
		select {
		case <-ctx.Done():
			wrong("the call was not cleared up")
			return p
		case <-time.After(50 * time.Millisecond):
		}
	}
	if c := p.story.GetCall(); c.GetOutcome() != callv1.Outcome_OUTCOME_COMPLETED || c.GetAttempts() != scene.attempts {
		wrong("the call ended as %s after %d attempts; wanted completed after %d", c.GetOutcome(), c.GetAttempts(), scene.attempts)
	}
	return p
}

// finished reports whether a call is over and nothing of it is left.
func finished(story *controlv1.GetCallResponse) bool {
	started, exited, released := 0, 0, false
	for _, e := range story.GetEvents() {
		switch {
		case e.GetData().MessageIs(&callv1.BotStarting{}):
			started++
		case e.GetData().MessageIs(&callv1.BotExited{}):
			exited++
		case e.GetData().MessageIs(&callv1.RoomReleased{}):
			released = true
		}
	}
	return released && started == exited
}
