// SPDX-License-Identifier: Apache-2.0

// Daily-sim is Daily in a box: REST, phones, webhooks and faults.
package main

import "github.com/trunkline/trunkline/services/daily-sim/sim"

func main() { sim.Main() }
