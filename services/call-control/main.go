// SPDX-License-Identifier: Apache-2.0

// Call-control decides what follows for each call, ends it, and knows every call.
package main

import (
	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/services/call-control/calls"
)

func main() { app.Main(calls.Service) }
