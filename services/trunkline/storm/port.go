// SPDX-License-Identifier: Apache-2.0

package storm

import (
	"fmt"
	"math/rand"
	"net"
	"sync"
)

// FreePort finds a port that nobody listens on, below those that the system gives to outgoing connections: one of these
// could take it before its part does.
func FreePort() int {
	for {
		port := 15000 + rand.Intn(15000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)) //nolint:noctx // it listens at once or not at all
		if err != nil {
			continue
		}
		l.Close()
		if _, given := portsGiven.LoadOrStore(port, true); !given {
			return port
		}
	}
}

// portsGiven are those that another part has been given.
var portsGiven sync.Map
