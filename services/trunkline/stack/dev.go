// SPDX-License-Identifier: Apache-2.0

package stack

import (
	_ "embed"
	"time"

	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

//go:embed dev.yaml
var devYAML []byte

// DevConfig is the configuration for a world of simulated bots.
func DevConfig() (*config.Config, error) { return config.Parse("dev.yaml", devYAML) }

// DevPhones are the phones of that world. The last digits of a number tell what its phone does when it is called.
func DevPhones(cfg *sim.Config) {
	does := func(number string, b sim.Behaviour) sim.Callee {
		return sim.Callee{Number: number, Dials: []sim.Behaviour{b}}
	}
	cfg.Dialout.Callees = []sim.Callee{
		does("*0197", sim.Behaviour{Does: sim.DoesReject}),
		does("*0198", sim.Behaviour{Does: sim.DoesVoicemail}),
		does("*0199", sim.Behaviour{Does: sim.DoesNoAnswer}),
		does("*", sim.Behaviour{Talk: sim.Duration(5 * time.Second)}),
	}
}

// FreePorts has every service listen on a free port of loopback.
func FreePorts(cfg *config.Config) {
	const free = "127.0.0.1:0"
	cfg.Listen = config.Listen{Ingress: free, Gateway: free, Control: free, Transfer: free, Admin: free}
}
