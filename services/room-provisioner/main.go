// SPDX-License-Identifier: Apache-2.0

// Room-provisioner makes and clears Daily's rooms.
package main

import (
	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/services/room-provisioner/rooms"
)

func main() { app.Main(rooms.Service) }
