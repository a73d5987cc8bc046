// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// DrainWithin is how long a process that is told to drain takes at most, where nothing else is said.
const DrainWithin = time.Hour

// errDrained ends the process whose service has finished its work.
var errDrained = errors.New("drained")

// Drain tells a service to finish its work, and the process to end then. Other than at a signal, what else runs in the
// process goes on meanwhile.
type Drain struct {
	asked  chan struct{}
	once   sync.Once
	within time.Duration
}

func newDrain() *Drain { return &Drain{asked: make(chan struct{})} }

// Asked is closed when the process is told to drain.
func (d *Drain) Asked() <-chan struct{} { return d.asked }

// Within is how long it may take. It is known when it is asked for.
func (d *Drain) Within() time.Duration { return d.within }

func (d *Drain) ask(within time.Duration) {
	d.once.Do(func() {
		d.within = within
		close(d.asked)
	})
}

func (d *Drain) done() bool {
	select {
	case <-d.asked:
		return true
	default:
		return false
	}
}

// ServeHTTP takes the request of `trunkline drain`, which runs on the same machine: whoever only sees metrics from
// elsewhere, or a page in a browser, ends nothing.
func (d *Drain) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() || r.Header.Get("Origin") != "" {
		Refuse(w, http.StatusForbidden, "forbidden", "a process is told to drain on its own machine: trunkline drain")
		return
	}
	within := DrainWithin
	if text := r.FormValue("within"); text != "" {
		if within, err = time.ParseDuration(text); err != nil || within < 0 {
			Refuse(w, http.StatusBadRequest, "invalid-request", "within: must be a duration, such as 30m")
			return
		}
	}
	d.ask(within)
	Answer(w, http.StatusOK, map[string]string{"status": "draining"})
}
