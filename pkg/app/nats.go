// SPDX-License-Identifier: Apache-2.0

package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/config"
)

// pingEvery is how often NATS is asked whether it is there. Twice that after it went without a word, another server is
// sought: well within a lease.
const pingEvery = 2 * time.Second

// ErrRefused is what NATS does not let a process do.
var ErrRefused = errors.New("NATS refuses")

// Connect connects to NATS and stays connected: it tries for ever, also the first time. Nothing is buffered while it is
// away, so that a publish fails at once instead of appearing to work. What NATS does not let the process publish or
// subscribe to is told to refused, which names the subject: the client would only wait for an answer in vain.
func Connect(cfg *config.Config, secrets config.Secrets, name string, log *slog.Logger, refused func(error)) (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name(name), nats.CustomInboxPrefix(bus.InboxPrefix(name)),
		nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond), nats.RetryOnFailedConnect(true), nats.ReconnectBufSize(-1),
		nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("NATS is away", "err", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("NATS is back") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Error("NATS", "err", err)
			if errors.Is(err, nats.ErrPermissionViolation) {
				refused(fmt.Errorf("%w: %s has not the rights that it needs: %w", ErrRefused, name, err))
			}
		}),
		nats.ClosedHandler(func(nc *nats.Conn) {
			if err := nc.LastError(); err != nil { // the client has given up, or we have ended and nobody listens
				refused(fmt.Errorf("%w the connection of %s: %w", ErrRefused, name, err))
			}
		}),
	}
	if cfg.NATS.Credentials != "" {
		options = append(options, nats.UserCredentials(cfg.NATS.Credentials))
	}
	if seed := secrets.NATSNKey.Reveal(); seed != "" {
		key, err := nkeys.FromSeed([]byte(seed))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", config.EnvNATSNKey, err)
		}
		public, err := key.PublicKey()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", config.EnvNATSNKey, err)
		}
		options = append(options, nats.Nkey(public, key.Sign))
	}
	if ca := cfg.NATS.TLS.CA; ca != "" {
		options = append(options, nats.RootCAs(ca))
	}
	if cert := cfg.NATS.TLS.Cert; cert != "" {
		options = append(options, nats.ClientCert(cert, cfg.NATS.TLS.Key))
	}
	nc, err := nats.Connect(cfg.NATS.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return nc, nil
}

// AwaitConnected waits until the connection is there.
func AwaitConnected(ctx context.Context, nc *nats.Conn) error {
	var why error
	for !nc.IsConnected() {
		why = cmp.Or(nc.LastError(), why) // such as a certificate that is not trusted; the client only tries again
		select {
		case <-ctx.Done():
			return fmt.Errorf("connect to NATS: %w", errors.Join(context.Cause(ctx), why))
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}
