// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"slices"
	"sort"
	"strconv"
	"sync"

	"github.com/trunkline/trunkline/pkg/bus"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
)

// told is an event as it is told to those who watch.
type told struct {
	seq  uint64
	call *controlv1.Call // as it stands after the event
	was  *controlv1.Call // before it; nil if the event is the first
	// answer is made when somebody asks for it, once for all who watch. It must not be changed.
	answer func() *controlv1.WatchCallsResponse
}

func newTold(e *bus.Event, was, call *controlv1.Call) *told {
	return &told{e.Seq, call, was, sync.OnceValue(func() *controlv1.WatchCallsResponse {
		return &controlv1.WatchCallsResponse{Call: call, Event: describeEvent(e), Cursor: cursor(e.Seq)}
	})}
}

// cursor says that everything up to a sequence has been told.
func cursor(seq uint64) string { return strconv.FormatUint(seq, 36) }

const (
	hubKeeps = 4096 // events, at least
	hubGives = 64   // events at once
)

// hub has the latest events for all who watch. Each of them has a place of its own in it and takes what comes behind:
// who is slow keeps nobody waiting, and falls out when what comes next is no longer there.
type hub struct {
	keeps int

	mu    sync.RWMutex
	items []*told // by sequence
	gone  uint64  // the last that is no longer there
	more  chan struct{}
}

func newHub(keeps int) *hub { return &hub{keeps: keeps, more: make(chan struct{})} }

// put adds what is told of the next event.
func (h *hub) put(t *told) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.items) == 2*h.keeps {
		h.gone = h.items[h.keeps-1].seq
		h.items = slices.Clone(h.items[h.keeps:]) // what was given out stays as it is
	}
	h.items = append(h.items, t)
	close(h.more)
	h.more = make(chan struct{})
}

// after gives what comes behind a sequence, up to hubGives of it, and what is closed as soon as there is more. It is not
// ok if a part of that is no longer there.
func (h *hub) after(seq uint64) (next []*told, more <-chan struct{}, ok bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if seq < h.gone {
		return nil, nil, false
	}
	from := sort.Search(len(h.items), func(i int) bool { return h.items[i].seq > seq })
	to := min(from+hubGives, len(h.items))
	return h.items[from:to:to], h.more, true
}
