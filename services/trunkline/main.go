// SPDX-License-Identifier: Apache-2.0

// Trunkline is every service, an embedded NATS, the Daily simulator and the command line in one binary.
package main

import (
	"github.com/trunkline/trunkline/services/bot-scheduler/keeper"
	"github.com/trunkline/trunkline/services/trunkline/cli"
)

func main() {
	keeper.RunIfAsked()
	cli.Main()
}
