// SPDX-License-Identifier: Apache-2.0

// Ingress turns Daily's signed webhooks into events.
package main

import (
	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/services/ingress/webhooks"
)

func main() { app.Main(webhooks.Service) }
