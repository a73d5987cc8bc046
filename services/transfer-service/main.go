// SPDX-License-Identifier: Apache-2.0

// Command transfer-service hands callers over to people.
package main

import (
	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/services/transfer-service/transfers"
)

func main() { app.Main(transfers.Service) }
