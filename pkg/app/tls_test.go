// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/config"
)

func TestNATSOfAnotherAuthorityIsNotTrusted(t *testing.T) {
	mine, ca := certificate(t)
	_, another := certificate(t)
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{mine}, MinVersion: tls.VersionTLS13},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS did not get ready")
	}
	connect := func(ca string, within time.Duration) error {
		cfg := config.Default()
		cfg.NATS.URL, cfg.NATS.TLS.CA = "tls://"+s.Addr().String(), ca
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		nc, err := app.Connect(cfg, config.Secrets{}, "test", slog.New(slog.DiscardHandler), func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		return app.AwaitConnected(ctx, nc)
	}
	if err := connect(ca, 10*time.Second); err != nil {
		t.Error(err)
	}
	const why = "certificate signed by unknown authority"
	err = connect(another, time.Second)
	for within := 2 * time.Second; err != nil && !strings.Contains(err.Error(), why) && within < time.Minute; within *= 2 { // a busy machine takes longer to find out
		err = connect(another, within)
	}
	if err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("with another authority: %v", err)
	}
}

// certificate makes one for loopback that vouches for itself, and the file that holds it.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "nats"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, path
}
