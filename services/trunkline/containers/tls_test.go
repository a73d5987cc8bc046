// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"regexp"
	"time"
)

// certs are the files of TLS between the services and NATS: an authority, and a certificate for each side.
type certs struct {
	ofNATS        []mount
	ca, cert, key mount // of the services, and of the test
}

// makeCerts makes them. NATS is told of them as deploy/nats/tls.conf says: by taking its marks away.
func (w *world) makeCerts() *certs {
	w.T.Helper()
	text, err := os.ReadFile(shipped(w.T, "nats/tls.conf"))
	if err != nil {
		w.T.Fatal(err)
	}
	conf := regexp.MustCompile(`(?m)^#(tls|  |})`).ReplaceAllString(string(text), "$1")

	authority := w.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "the authority of the test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	server := &x509.Certificate{Subject: pkix.Name{CommonName: "nats"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} // the test's way to it
	for n := range w.nodes {
		server.IPAddresses = append(server.IPAddresses, w.address(n).AsSlice())
	}
	ofNATS := w.issue(server, authority)
	ours := w.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "trunkline"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, authority)

	ca := w.write("ca.pem", authority.pem)
	return &certs{
		ofNATS: []mount{
			{w.write("tls.conf", conf), "/etc/nats/tls.conf"},
			{ca, "/etc/nats/ca.pem"},
			{w.write("server.pem", ofNATS.pem), "/etc/nats/server.pem"},
			{w.write("server-key.pem", ofNATS.keyPEM), "/etc/nats/server-key.pem"},
		},
		ca:   mount{ca, "/etc/trunkline/ca.pem"},
		cert: mount{w.write("client.pem", ours.pem), "/etc/trunkline/client.pem"},
		key:  mount{w.write("client-key.pem", ours.keyPEM), "/etc/trunkline/client-key.pem"},
	}
}

// certificate is one with its key.
type certificate struct {
	*x509.Certificate
	key         *ecdsa.PrivateKey
	pem, keyPEM string
}

// issue makes a certificate that another one vouches for, or, without one, that it vouches for itself.
func (w *world) issue(c *x509.Certificate, by *certificate) *certificate {
	w.T.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.T.Fatal(err)
	}
	if by == nil {
		by = &certificate{Certificate: c, key: key}
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, c, by.Certificate, &key.PublicKey, by.key)
	if err != nil {
		w.T.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		w.T.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.T.Fatal(err)
	}
	return &certificate{
		Certificate: made, key: key,
		pem:    string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		keyPEM: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})),
	}
}
