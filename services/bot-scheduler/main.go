// SPDX-License-Identifier: Apache-2.0

// Bot-scheduler starts and watches bots.
package main

import (
	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/services/bot-scheduler/bots"
	"github.com/trunkline/trunkline/services/bot-scheduler/keeper"
)

func main() {
	keeper.RunIfAsked()
	app.Main(bots.Service)
}
