// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"net/http"
	"time"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
)

// Watched is the service's answering of those who watch, with figures of a test's choice.
type Watched struct {
	Keeps          int // events in memory, at least
	Idle, Patience time.Duration
	Stopping       chan struct{}
}

// View makes an empty view that keeps so many events.
func (w Watched) View(maxAge time.Duration) *View { return newView(maxAge, w.Keeps) }

// Handler answers for a view.
func (w Watched) Handler(b *bus.Bus, v *View) http.Handler {
	_, h := controlv1connect.NewCallServiceHandler(&rpc{Control: &Control{Bus: b}, view: v, watching: watching{w.Stopping, w.Idle, w.Patience}})
	return impatient(h)
}
