// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trunkline/trunkline/pkg/bus"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	transferv1 "github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// handover is a caller who is handed over to a person, and what should become of it. Where it is not told otherwise, a bot
// answers and asks for the transfer, and the caller hangs up when everything has been looked at.
type handover struct {
	title    string
	from, to string
	phones   []phone // who is called, in this order

	state   transferv1.State
	reason  string
	summary string // what the person is to hear, and the caller is not
	hangsUp bool   // while the person's phone rings
	noBot   bool   // is there
}

// phone is one of a target's, and whether it is answered.
type phone struct {
	number  string
	answers bool
}

var handovers = []handover{
	{
		title: "a caller is handed over, cold", from: "+14155550126", to: "+14155550103",
		phones: []phone{{"+14155550160", true}}, state: transferv1.State_STATE_COMPLETED,
	},
	{
		title: "the first number is not answered, the second is", from: "+14155550127", to: "+14155550104",
		phones: []phone{{"+14155550161", false}, {"+14155550162", true}}, state: transferv1.State_STATE_COMPLETED,
	},
	{
		title: "a caller is handed over, warm: the person is told first what it is about", from: "+14155550128", to: "+14155550105",
		phones: []phone{{"+14155550163", true}}, state: transferv1.State_STATE_COMPLETED, summary: "He wants his money back.",
	},
	{
		title: "nobody answers, and the caller is back with the bot", from: "+14155550129", to: "+14155550106",
		phones: []phone{{"+14155550199", false}}, state: transferv1.State_STATE_FAILED, reason: "no_answer",
	},
	{
		title: "the caller hangs up while the person's phone rings", from: "+14155550130", to: "+14155550107",
		phones: []phone{{"+14155550164", false}}, state: transferv1.State_STATE_CANCELLED, reason: "caller_hung_up", hangsUp: true,
	},
	{
		title: "no bot is to be had, and a person answers", from: "+14155550131", to: "+14155550108",
		phones: []phone{{"+14155550165", true}}, state: transferv1.State_STATE_COMPLETED, noBot: true,
	},
}

// stopsWithin is how long a person's phone may go on when the caller has hung up.
const stopsWithin = 2 * time.Second

func (h handover) name() string { return h.title }

func (h handover) play(ctx context.Context, s *stack.Stack) (p played) {
	for _, phone := range h.phones {
		does := sim.Behaviour{Does: sim.DoesNoAnswer}
		if phone.answers {
			does.Does = sim.DoesAnswer
		}
		if err := s.Sim.SetCallee(sim.Callee{Number: phone.number, Dials: []sim.Behaviour{does}}); err != nil {
			p.wrong("set what the phone does: %w", err)
			return p
		}
	}
	caller, err := s.Sim.PlaceCall(sim.CallSpec{From: h.from, To: h.to})
	if err != nil {
		p.wrong("place the call: %w", err)
		return p
	}
	id := bus.CallID(caller.CallDomain, caller.ID)
	caller, err = s.Sim.WaitForCall(ctx, caller.ID, func(c sim.Call) bool { return c.State == sim.Connected || c.State == sim.Ended })
	if err != nil || caller.State == sim.Ended {
		p.wrong("the caller got nobody, and is %s because of %q", caller.State, caller.Why)
		p.watch(ctx, s, id)
		return p
	}
	scene := handing{handover: h, played: &p, s: s, id: id, caller: caller, room: caller.Rooms[len(caller.Rooms)-1]}
	if h.hangsUp {
		scene.awaitRing(ctx)
	} else if scene.awaitEnd(ctx).GetState() == h.state { // else look tells
		scene.awaitSilence(ctx)
		scene.listen()
	}
	scene.hangUp(ctx)
	if !p.watch(ctx, s, id) {
		return p
	}
	scene.look(ctx)
	return p
}

// handing is a handover that is being played.
type handing struct {
	handover
	*played
	s      *stack.Stack
	id     string
	caller sim.Call
	room   string
}

// dials are those of the call's persons, in order.
func (h *handing) dials() []sim.Dial {
	return slices.DeleteFunc(h.s.Sim.Dials(), func(d sim.Dial) bool { return d.Room != h.room })
}

func (h *handing) awaitRing(ctx context.Context) {
	rings := func() bool {
		return slices.ContainsFunc(h.dials(), func(d sim.Dial) bool { return d.State == sim.Ringing })
	}
	if err := h.s.Sim.WaitFor(ctx, rings); err != nil {
		h.wrong("the person's phone did not ring: %w", err)
	}
}

// awaitEnd waits until the transfer is over, and gives it, or nil.
func (h *handing) awaitEnd(ctx context.Context) *transferv1.Transfer {
	client, revision := h.s.Transfers(), uint64(0)
	for {
		res, err := client.GetTransfer(ctx, &transferv1.GetTransferRequest{Call: h.id, AfterRevision: revision, Wait: durationpb.New(5 * time.Second)})
		if err != nil {
			h.wrong("ask about the transfer: %w", err)
			return nil
		}
		t := res.GetTransfer()
		switch t.GetState() {
		case transferv1.State_STATE_COMPLETED, transferv1.State_STATE_FAILED, transferv1.State_STATE_CANCELLED:
			return t
		}
		revision = t.GetRevision()
	}
}

// awaitSilence waits until the bot of a caller who was handed over can no longer be heard.
func (h *handing) awaitSilence(ctx context.Context) {
	silent := func() bool {
		hears := h.s.Sim.Hears(h.room)
		return !slices.ContainsFunc(hears, func(bot sim.Hearing) bool {
			return bot.Kind == "web" && slices.ContainsFunc(hears, func(p sim.Hearing) bool { return slices.Contains(p.Hears, bot.SessionID) })
		})
	}
	if h.state != transferv1.State_STATE_COMPLETED {
		return
	}
	if err := h.s.Sim.WaitFor(ctx, silent); err != nil {
		h.wrong("the bot can still be heard: %w", err)
	}
}

// listen checks who hears whom, now and, of what the bot has told, before.
func (h *handing) listen() {
	caller := h.caller.Sessions[len(h.caller.Sessions)-1]
	who, other := map[string]string{caller: "the caller"}, ""
	for _, d := range h.dials() {
		who[d.ID] = "the person at " + d.To
		if d.State == sim.Answered {
			other = d.ID
		}
	}
	for _, p := range h.s.Sim.Hears(h.room) {
		if p.Kind == "web" {
			who[p.SessionID] = "the bot"
			if h.noBot {
				h.wrong("a bot is there")
			}
			if h.state == transferv1.State_STATE_FAILED {
				other = p.SessionID
			}
		}
	}
	if other == "" {
		h.wrong("nobody is there to talk to the caller")
		return
	}
	for speaker, listener := range map[string]string{caller: other, other: caller} {
		said, err := h.s.Sim.Say(h.room, speaker, "Hello?")
		if err != nil {
			h.wrong("%s cannot speak: %w", who[speaker], err)
		} else if !slices.Contains(said.HeardBy, listener) {
			h.wrong("%s does not hear %s", who[listener], who[speaker])
		}
	}
	for _, p := range h.s.Sim.Hears(h.room) {
		h.note("%s hears %s", who[p.SessionID], names(who, p.Hears))
	}
	h.heard(caller, other, who)
}

// heard checks what the bot was to say to one of the two alone.
func (h *handing) heard(caller, other string, who map[string]string) {
	told := func(text, by string) bool {
		return slices.ContainsFunc(h.s.Sim.Heard(h.room), func(said sim.Said) bool {
			return said.Text == text && slices.Contains(said.HeardBy, by)
		})
	}
	if h.summary != "" {
		if !told(h.summary, other) || told(h.summary, caller) {
			h.wrong("the person was to hear %q, and the caller was not: %+v", h.summary, h.s.Sim.Heard(h.room))
		}
		for _, said := range h.s.Sim.Heard(h.room) {
			if said.Text == h.summary {
				h.note("%q was heard by %s, and not by %s", said.Text, names(who, said.HeardBy), names(who, said.Missed))
			}
		}
	}
	if h.state != transferv1.State_STATE_FAILED {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // the bot is told as we are
	defer cancel()
	text := "transfer failed: " + h.reason
	if err := h.s.Sim.WaitFor(ctx, func() bool { return told(text, caller) }); err != nil {
		h.wrong("the caller did not hear %q: %+v", text, h.s.Sim.Heard(h.room))
		return
	}
	h.note("%q was heard by the caller", text)
}

func names(who map[string]string, sessions []string) string {
	var list []string
	for _, id := range sessions {
		list = append(list, who[id])
	}
	if len(list) == 0 {
		return "nobody"
	}
	return strings.Join(list, " and ")
}

// hangUp lets the caller hang up, and wants everybody's phone to stop soon.
func (h *handing) hangUp(ctx context.Context) {
	hungUp := time.Now()
	if err := h.s.Sim.Hangup(h.caller.ID); err != nil {
		h.wrong("hang up: %w", err)
		return
	}
	stopped := func() bool {
		return !slices.ContainsFunc(h.dials(), func(d sim.Dial) bool { return d.State != sim.Ended })
	}
	if err := h.s.Sim.WaitFor(ctx, stopped); err != nil {
		h.wrong("the person's phone does not stop: %w", err)
	}
	for _, d := range h.dials() {
		if d.EndedAt != nil && d.EndedAt.Sub(hungUp) > stopsWithin {
			h.wrong("the phone of %s stopped %s after the caller had hung up", d.To, d.EndedAt.Sub(hungUp).Round(time.Millisecond))
		}
	}
}

// look checks what is written of it, when the call is over.
func (h *handing) look(ctx context.Context) {
	if c := h.story.GetCall(); c.GetOutcome() != callv1.Outcome_OUTCOME_COMPLETED {
		h.wrong("the call ended as %s, %s; wanted completed", c.GetOutcome(), c.GetReason())
	}
	if t := h.awaitEnd(ctx); t.GetN() != 1 || t.GetState() != h.state || t.GetReason() != h.reason {
		h.wrong("transfer %d ended as %s, %s; wanted transfer 1 to be %s, %s", t.GetN(), t.GetState(), t.GetReason(), h.state, h.reason)
	}
	var tried, wanted []string
	for _, d := range h.dials() {
		tried = append(tried, fmt.Sprint(d.To, " answered: ", d.AnsweredAt != nil))
	}
	for _, p := range h.phones {
		wanted = append(wanted, fmt.Sprint(p.number, " answered: ", p.answers))
	}
	if !slices.Equal(tried, wanted) {
		h.wrong("called were %q; wanted %q", tried, wanted)
	}
	if left := h.s.Sim.Hears(h.room); len(left) > 0 {
		h.wrong("somebody is left in the room: %+v", left)
	}
}
