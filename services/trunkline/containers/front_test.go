// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
)

// front is what stands in front of ingress where there are several: it asks one after the other, and the next one when
// one refuses the connection.
type front struct{ url string }

func newFront(t *testing.T, backends []string) *front {
	var turn atomic.Uint64
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "ingress"})
	proxy.Transport = &http.Transport{
		DisableKeepAlives: true, // each request is dealt out anew
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var errs []error
			first := turn.Add(1)
			for i := range uint64(len(backends)) {
				conn, err := (&net.Dialer{}).DialContext(ctx, network, backends[(first+i)%uint64(len(backends))])
				if err == nil {
					return conn, nil
				}
				errs = append(errs, err)
			}
			return nil, errors.Join(errs...)
		},
	}
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return &front{server.URL}
}
