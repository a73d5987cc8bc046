// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
)

// broker is a NATS server in this process, alone on its folder.
type broker struct {
	*server.Server
	lock *flock.Flock
}

// startBroker starts a server on loopback. Port 0 is a free one. What it has acknowledged survives a power cut, unless
// its files are synced only every so often. It holds each service to its rights; whoever comes without a key is a
// developer on the same machine, and may do everything.
func startBroker(dir string, port int, sync time.Duration, public map[string]string) (*broker, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store of NATS: %w", err)
	}
	// NATS takes no lock of its own: two servers on one folder would both acknowledge.
	lock := flock.New(filepath.Join(dir, "LOCK"))
	if ok, err := lock.TryLock(); err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("%s is in use by another process", dir), err)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	options := server.Options{
		ServerName: "trunkline", Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, SyncAlways: sync == 0,
		SyncInterval: cmp.Or(sync, 2*time.Minute), NoSigs: true, NoLog: true,
		JetStreamMaxStore: 1 << 40, // the disk is the limit; left out, it is what is free at the start
	}
	if err := options.ProcessConfigString(DeveloperConf(public)); err != nil {
		return nil, errors.Join(fmt.Errorf("users of NATS: %w", err), lock.Unlock())
	}
	s, err := server.NewServer(&options)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start NATS: %w", err), lock.Unlock())
	}
	s.Start()
	b := &broker{s, lock}
	if !s.ReadyForConnections(10*time.Second) || !s.JetStreamEnabled() {
		return nil, errors.Join(fmt.Errorf("NATS did not get ready on %s: is the port taken, or the folder not writable?", dir), b.stop())
	}
	return b, nil
}

func (b *broker) stop() error {
	b.Shutdown()
	b.WaitForShutdown()
	return b.lock.Unlock()
}
