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
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
	"github.com/trunkline/trunkline/services/trunkline/timeline"
)

// scene is one call. It checks by itself what has become of it.
type scene interface {
	name() string
	play(context.Context, *stack.Stack) played
}

const talk = sim.Duration(3 * time.Second)

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

	var scenes []scene
	for _, in := range dialIns {
		scenes = append(scenes, in)
	}
	for _, out := range dialOuts {
		scenes = append(scenes, out)
	}
	for _, over := range handovers {
		scenes = append(scenes, over)
	}
	played := make([]played, len(scenes))
	var group sync.WaitGroup
	for i, scene := range scenes {
		group.Go(func() { played[i] = scene.play(ctx, s) })
	}
	group.Wait()
	var errs []error
	for i, p := range played {
		fmt.Fprintf(out, "\n%d. %s\n\n", i+1, scenes[i].name())
		errs = append(errs, p.tell(out))
		for _, err := range p.errs {
			errs = append(errs, fmt.Errorf("%s: %w", scenes[i].name(), err))
		}
	}
	return errors.Join(errs...)
}

// played is what became of a scene.
type played struct {
	story  *controlv1.GetCallResponse
	policy *controlv1.ExplainPolicyResponse // of a call that was refused
	notes  []string
	errs   []error
}

func (p *played) wrong(format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf(format, args...))
}

func (p *played) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

func (p *played) tell(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(cells ...any) {
		for i, cell := range cells {
			fmt.Fprint(w, []string{"   ", "\t"}[min(i, 1)], cell)
		}
		fmt.Fprintln(w)
	}
	for _, note := range p.notes {
		fmt.Fprintf(out, "   %s\n", note)
	}
	if len(p.notes) > 0 {
		fmt.Fprintln(out)
	}
	if p.story != nil {
		timeline.Rows(p.story, row)
	}
	if p.policy != nil {
		timeline.Verdicts(p.policy, row)
	}
	return w.Flush()
}

// watch waits until the call is over and nothing of it is left.
func (p *played) watch(ctx context.Context, s *stack.Stack, id string) bool {
	client := s.Control()
	for {
		story, err := client.GetCall(ctx, &controlv1.GetCallRequest{Id: id})
		if err != nil {
			p.wrong("ask about call %s: %w", id, err)
			return false
		}
		if p.story = story; finished(story) {
			return true
		}
		select {
		case <-ctx.Done():
			p.wrong("the call was not cleared up")
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
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
