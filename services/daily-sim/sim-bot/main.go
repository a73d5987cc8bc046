// SPDX-License-Identifier: Apache-2.0

// Command sim-bot is a bot for the Daily simulator; see docs/daily-sim.md.
package main

import (
	"context"
	"os"

	"github.com/trunkline/trunkline/services/daily-sim/simbot"
)

func main() { os.Exit(simbot.Main(context.Background(), os.Stdin, os.Args[1:])) }
