// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/services/bot-scheduler/bots"
	"github.com/trunkline/trunkline/services/call-control/calls"
	"github.com/trunkline/trunkline/services/ingress/webhooks"
	"github.com/trunkline/trunkline/services/room-provisioner/rooms"
	"github.com/trunkline/trunkline/services/transfer-service/transfers"
)

// Services are all of Trunkline's services.
func Services() []app.Service {
	return []app.Service{webhooks.Service, rooms.Service, bots.Service, calls.Service, transfers.Service}
}

// Pick gives the services of these names; "all" is all of them.
func Pick(names ...string) ([]app.Service, error) {
	all := Services()
	if slices.Contains(names, "all") {
		return all, nil
	}
	var picked []app.Service
	for _, name := range names {
		i := slices.IndexFunc(all, func(s app.Service) bool { return s.Name == name })
		if i < 0 {
			known := make([]string, len(all))
			for i, s := range all {
				known[i] = s.Name
			}
			return nil, fmt.Errorf("there is no service %q; there are %s, and all", name, strings.Join(known, ", "))
		}
		picked = append(picked, all[i])
	}
	return picked, nil
}

// Needs is what all services need of the bus.
func Needs() []bus.Needs {
	var needs []bus.Needs
	for _, s := range Services() {
		needs = append(needs, s.Needs)
	}
	return needs
}
