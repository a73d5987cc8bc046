// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func TestHealthNeedsNoConfigurationBesideDev(t *testing.T) {
	t.Setenv("TRUNKLINE_CONFIG", "")
	t.Chdir(t.TempDir())
	well := true
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" || !well {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer admin.Close()
	addr := strings.TrimPrefix(admin.URL, "http://")

	if _, err := ask(t, healthCommand(), "--admin", addr); err != nil {
		t.Errorf("beside dev: %v", err)
	}
	if _, err := ask(t, healthCommand(), "--admin", addr, "-c", "named.yaml"); err == nil || !strings.Contains(err.Error(), "named.yaml") {
		t.Errorf("with a file that is not there: %v", err)
	}
	config := "listen: {admin: '" + addr + "'}\nagents: {support: {command: [bot]}}\nroutes: [{default: true, agent: support}]\n"
	if err := os.WriteFile("trunkline.yaml", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, healthCommand()); err != nil {
		t.Errorf("with the address in trunkline.yaml: %v", err)
	}
	well = false
	if _, err := ask(t, healthCommand()); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("of a process that is not well: %v", err)
	}
}
