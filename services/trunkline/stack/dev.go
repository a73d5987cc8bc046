// SPDX-License-Identifier: Apache-2.0

package stack

import (
	_ "embed"

	"github.com/trunkline/trunkline/pkg/config"
)

//go:embed dev.yaml
var devYAML []byte

// DevConfig is the configuration for a world of simulated bots.
func DevConfig() (*config.Config, error) { return config.Parse("dev.yaml", devYAML) }

// FreePorts has every service listen on a free port of loopback.
func FreePorts(cfg *config.Config) {
	const free = "127.0.0.1:0"
	cfg.Listen = config.Listen{Ingress: free, Gateway: free, Control: free, Admin: free}
}
