// SPDX-License-Identifier: Apache-2.0

package probe_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/pkg/probe"
)

func TestWhoAnswersOtherwiseThan200IsNotWell(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte("the disk is full\n"))
	}))
	if err := probe.Get(t.Context(), server.URL); err != nil {
		t.Errorf("200: %v", err)
	}
	status = http.StatusServiceUnavailable
	if err := probe.Get(t.Context(), server.URL); err == nil || !strings.HasSuffix(err.Error(), "503 Service Unavailable the disk is full") {
		t.Errorf("503: %v", err)
	}
	server.Close()
	if err := probe.Get(t.Context(), server.URL); err == nil {
		t.Error("nobody answers, and all is well")
	}
}

func TestEveryInterfaceIsAskedByLoopback(t *testing.T) {
	for addr, want := range map[string]string{
		":9090": "http://127.0.0.1:9090", "0.0.0.0:80": "http://127.0.0.1:80", "[::]:80": "http://127.0.0.1:80",
		"127.0.0.2:9090": "http://127.0.0.2:9090", "[::1]:9090": "http://[::1]:9090", "host:1": "http://host:1",
	} {
		if got := probe.URL(addr); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}
