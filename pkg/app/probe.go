// SPDX-License-Identifier: Apache-2.0

package app

import (
	"cmp"
	"context"

	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/probe"
)

// healthCommand is the one word that a service's binary takes: it asks the process that serves how it is, for the health
// check of a container.
const healthCommand = "health"

// Health asks the process that runs with this configuration, as [HealthAt] does. The address goes before the file's
// listen.admin.
func Health(ctx context.Context, path, admin string) error {
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	return HealthAt(ctx, cmp.Or(admin, cfg.Listen.Admin))
}

// HealthAt asks the process whose admin port this is whether its services can do their work.
func HealthAt(ctx context.Context, admin string) error {
	return probe.Get(ctx, probe.URL(admin)+"/readyz")
}
