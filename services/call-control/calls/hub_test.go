// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"testing"

	"github.com/trunkline/trunkline/pkg/bus"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
)

func TestAHubHasWhatCameLast(t *testing.T) {
	h := newHub(10)
	put := func(seq uint64) {
		h.put(newTold(&bus.Event{Seq: seq, Data: &callv1.CallReceived{}}, nil, &controlv1.Call{}))
	}
	if next, _, ok := h.after(7); len(next) != 0 || !ok {
		t.Errorf("an empty hub has %d, %t", len(next), ok)
	}
	_, more, _ := h.after(0)
	var early []*told
	for i := range uint64(100) {
		put(2 * (i + 1)) // others are not told
		if i == 4 {
			early, _, _ = h.after(0)
		}
		for behind := range i + 1 {
			at := 2 * (i - behind)
			next, _, ok := h.after(at)
			if want := behind < 10; ok != want && (behind < 10 || behind > 20) {
				t.Fatalf("%d put, from %d on: %t", i+1, at, ok)
			} else if !ok {
				break
			}
			once, twice := next[0].answer(), next[0].answer()
			if len(next) != int(behind+1) || next[0].seq != at+2 || once != twice {
				t.Fatalf("%d put, from %d on there are %d", i+1, at, len(next))
			}
		}
	}
	select {
	case <-more:
	default:
		t.Error("who waits is not woken")
	}
	for i, old := range early {
		if old.seq != uint64(2*(i+1)) {
			t.Errorf("what was given out has become %d", old.seq)
		}
	}
	if next, more, ok := h.after(200); len(next) != 0 || more == nil || !ok {
		t.Error("there is something at the end")
	}
}
