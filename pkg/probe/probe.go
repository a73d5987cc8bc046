// SPDX-License-Identifier: Apache-2.0

// Package probe asks a process on this machine how it is. Our images have neither a shell nor curl to do so.
package probe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// patience is how long an answer may take. A process that takes longer is not well.
const patience = 3 * time.Second

// Get asks, and returns nil when the answer is 200; else the error holds what was answered.
func Get(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1024)) // what could be read
		return fmt.Errorf("%s: %s %s", url, res.Status, bytes.TrimSpace(text))
	}
	return nil
}

// URL is where a process that listens on an address is asked: by loopback where that is every interface.
func URL(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + addr
}
