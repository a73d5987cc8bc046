// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/guard"
	transferv1 "github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1/transferv1connect"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/storm"
)

const transfers = "transfer-service"

// The phones that callers are transferred to.
const (
	firstPhone  = "+14155550181"
	secondPhone = "+14155550182"
)

var picksUp = sim.Behaviour{Does: sim.DoesAnswer, After: sim.Duration(300 * time.Millisecond)}

// mishap is a death on the way of a transfer, and what must become of it.
type mishap struct {
	part string
	at   string // a point at which the part dies by itself, or an event at which it is killed
	does sim.Behaviour
	k    uint32 // the number that has the caller in the end; 0: whichever it is
}

// handOverWithin is how long a transfer under a mishap may take.
const handOverWithin = 30 * time.Second

// deaths are all the steps of a transfer: transfer-service dies at the points of its own way, the others when they see one
// of the transfer's events.
func deaths() (all []mishap) {
	for _, point := range []string{
		"TransferAnnounced", "before.hold", "after.hold", "TransferHeld", "before.dial", "sent", "after.dial",
		"TransferAnswered", "before.seclude", "after.seclude", "TransferBriefing", "after.restore", "before.silence", "after.silence", "TransferCompleted",
	} {
		all = append(all, mishap{transfers, "transfer." + point, picksUp, 1})
	}
	// Nobody is called, and nobody can know: the next number is.
	all = append(all, mishap{transfers, "transfer.intended", picksUp, 0})
	for _, point := range []string{"TransferStopping", "before.hang_up", "after.hang_up", "TransferMissed"} {
		all = append(all, mishap{transfers, "transfer." + point, noAnswer, 2})
	}
	for _, part := range []string{control, scheduler} {
		for _, event := range []string{
			"TransferRequested.1", "TransferStarting.1.1", "TransferStarted.1.1", "TransferAnswered.1.1", "TransferBriefing.1.1", "TransferCompleted.1",
		} {
			all = append(all, mishap{part, event, picksUp, 0})
		}
	}
	return all
}

// Whoever dies wherever on the way of a transfer: the caller ends up with somebody, nobody is called twice, and when he hangs
// up nobody is left on the line.
func TestATransferLeavesTheCallerWithSomebodyWhoeverDies(t *testing.T) {
	t.Parallel() // it mostly waits
	for _, drop := range []string{"last-owner", "last-web"} {
		t.Run("legs drop after the "+drop, func(t *testing.T) {
			t.Parallel()
			w, client := transferring(t, drop, "")
			for i, m := range deaths() {
				t.Run(m.part+" at "+m.at, func(t *testing.T) {
					for _, wrong := range w.handOver(t, client, i, m) {
						t.Error(wrong)
					}
				})
			}
			w.cleared()
		})
	}
}

// A table that cannot fail proves nothing.
func TestATransferThatIsNotWrittenDownBeforeIsMissed(t *testing.T) {
	t.Parallel()
	w, client := transferring(t, "last-owner", guard.Intent)
	wrong := strings.Join(w.handOver(t, client, 0, mishap{transfers, "transfer.sent", picksUp, 1}), "\n")
	if !strings.Contains(wrong, "times into one room") {
		t.Errorf("the intent is broken, and nobody misses it: %s", wrong)
	}
}

// transferring is a world in which callers can be handed over.
func transferring(t *testing.T, drop string, broken guard.Guard) (*world, transferv1connect.TransferServiceClient) {
	w := watched(t, options{
		slots: 6, mortal: true, broken: broken, agent: "lease: 3s, kill_grace: 1s, targets: [supervisor]", policy: ", per_second: 100",
		more: fmt.Sprintf("targets: {supervisor: {numbers: [%q, %q], ring_timeout: 3s}}\ntransfer: {lost_after: 5s}", firstPhone, secondPhone),
		sim:  func(c *sim.Config) { c.LegsDrop = drop },
	})
	return w, transferv1connect.NewTransferServiceClient(http.DefaultClient, w.urls["transfer"], connect.WithInterceptors(w.Key(auth.TransfersWrite)))
}

// handOver has two callers transferred under a mishap, one cold and one warm, and gives what is wrong with what became of
// them.
func (w *world) handOver(t *testing.T, client transferv1connect.TransferServiceClient, i int, m mishap) (wrong []string) {
	t.Helper()
	before := w.T
	w.T = t
	defer func() { w.T = before }()
	for number, does := range map[string]sim.Behaviour{firstPhone: m.does, secondPhone: picksUp} {
		if err := w.Sim.SetCallee(sim.Callee{Number: number, Dials: []sim.Behaviour{does}}); err != nil {
			t.Fatal(err)
		}
	}
	dials := len(w.Sim.Dials())
	died := func() {}
	if m.part == transfers {
		died = w.diesAt(m.part, m.at)
	}
	modes := []string{"cold", "warm"}
	phones := make([]sim.Call, len(modes))
	ids := make([]string, len(modes))
	for j, mode := range modes {
		phones[j] = w.talks(fmt.Sprintf("+1415556%04d", 10*i+j))
		ids[j] = w.ID(phones[j])
		go ask(t.Context(), client, ids[j], mode)
	}
	if m.part != transfers {
		w.Poll(storm.Soon, m.at, func() string {
			for j, mode := range modes {
				if story, err := w.Bus.Story(t.Context(), ids[j]); err == nil && story.Find(m.at) == nil && (mode == "warm" || m.at != "TransferBriefing.1.1") {
					return "not yet\n" + w.Story(ids[j])
				}
			}
			return ""
		})
		p := w.part(m.part)
		p.kill(syscall.SIGKILL)
		p.start()
	}
	died()
	for j := range modes {
		wrong = append(wrong, w.handedOver(ids[j], phones[j], m)...)
	}
	for _, d := range w.Sim.Dials()[dials:] {
		if n := len(slices.DeleteFunc(slices.Clone(w.Sim.Dials()[dials:]), func(o sim.Dial) bool { return o.Room != d.Room || o.To != d.To })); n > 1 {
			wrong = append(wrong, fmt.Sprintf("%s dialled %d times into one room", d.To, n))
		}
	}
	for _, phone := range phones {
		if err := w.Sim.Hangup(phone.ID); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	if left := w.Await(storm.Soon, w.Left); left != "" {
		wrong = append(wrong, "not cleared up: "+left)
	}
	if left := w.Await(storm.Soon, w.onTheLine); left != "" {
		wrong = append(wrong, left)
	}
	return wrong
}

// talks has somebody call and talk with a bot.
func (w *world) talks(from string) sim.Call {
	w.T.Helper()
	phone, err := w.Sim.PlaceCall(sim.CallSpec{From: from, To: "+14155550100"})
	if err != nil {
		w.T.Fatal(err)
	}
	w.Poll(storm.Soon, "caller and bot to be together", func() string {
		if s := w.state(w.ID(phone)); s.Connected == nil {
			return "there is only\n" + w.Story(s.ID)
		}
		return ""
	})
	return phone
}

// ask asks for a transfer until it is asked for.
func ask(ctx context.Context, client transferv1connect.TransferServiceClient, callID, mode string) {
	req := &transferv1.RequestTransferRequest{Call: callID, Target: "supervisor", Mode: mode, IdempotencyKey: "key", Summary: "the summary"}
	for ctx.Err() == nil {
		if _, err := client.RequestTransfer(ctx, req); err == nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// handedOver waits until the caller and who was to have him hear one another, and nobody else is in the room but a bot that
// is silent.
func (w *world) handedOver(callID string, phone sim.Call, m mishap) (wrong []string) {
	w.T.Helper()
	left := w.Await(handOverWithin, func() string {
		s := w.state(callID)
		t := s.Transfer()
		switch {
		case !t.Done():
			return "not handed over:\n" + w.Story(callID)
		case m.k > 0 && t.Completed.Data.GetK() != m.k:
			return fmt.Sprintf("handed over to number %d, not %d:\n%s", t.Completed.Data.GetK(), m.k, w.Story(callID))
		}
		return w.together(s, phone, s.OperatorSession(t.N, t.Completed.Data.GetK()))
	})
	if left != "" {
		wrong = append(wrong, left)
	}
	return wrong
}

// together tells why the caller and an operator do not hear one another, alone; or nothing.
func (w *world) together(s *call.State, phone sim.Call, operator string) string {
	hears := w.Sim.Hears(s.Forwarded.Data.GetRoom())
	pairs := 0
	for _, h := range hears {
		for _, speaker := range hears {
			talk := slices.Contains(h.Hears, speaker.SessionID)
			switch people := (h.Call == phone.ID || h.SessionID == operator) && (speaker.Call == phone.ID || speaker.SessionID == operator); {
			case talk && people:
				pairs++
			case talk && speaker.Kind == "web":
				return fmt.Sprintf("the bot can be heard:\n%+v\n%s", hears, w.Story(s.ID))
			}
		}
	}
	if pairs != 2 {
		return fmt.Sprintf("caller and operator do not hear one another:\n%+v\n%s", hears, w.Story(s.ID))
	}
	return ""
}

func (w *world) onTheLine() string {
	for _, d := range w.Sim.Dials() {
		if d.EndedAt == nil {
			return fmt.Sprintf("%s is still on the line in %s", d.To, d.Room)
		}
	}
	return ""
}
