// SPDX-License-Identifier: Apache-2.0

// Package imports keeps the layers apart.
package imports

import (
	"bufio"
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const root = "github.com/trunkline/trunkline/"

// pkg is a package with everything that it is linked with.
type pkg struct {
	path string
	deps []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Deps " "}}`, root+"proto/...", root+"pkg/...", root+"services/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		all = append(all, pkg{strings.TrimPrefix(f[0], root), f[1:]})
	}
	if len(all) < 20 {
		t.Fatalf("go list gave %d packages only", len(all))
	}
	return all
}

// service is the folder of a service that a package belongs to, or "".
func service(path string) string {
	rest, ok := strings.CutPrefix(path, "services/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func TestServicesMeetOnlyOnTheBusOrByRPC(t *testing.T) {
	for _, p := range list(t) {
		mine := service(p.path)
		if mine == "" || mine == "trunkline" { // the one binary is made of all of them
			continue
		}
		for _, dep := range p.deps {
			if other := service(strings.TrimPrefix(dep, root)); other != "" && other != mine && other != "internal" {
				t.Errorf("%s imports %s", p.path, dep)
			}
		}
	}
}

func TestOnlyTheOneBinaryAndTestKitsLinkTheNATSServer(t *testing.T) {
	for _, p := range list(t) {
		if service(p.path) == "trunkline" || p.path == "pkg/bus/bustest" {
			continue
		}
		if slices.ContainsFunc(p.deps, func(dep string) bool { return strings.HasPrefix(dep, "github.com/nats-io/nats-server/") }) {
			t.Errorf("%s links the NATS server", p.path)
		}
	}
}

func TestTheLayersPointDown(t *testing.T) {
	for _, rule := range []struct{ from, to, why string }{
		{"proto/", root + "pkg/", "the contract stands on nothing of ours"},
		{"proto/", root + "services/", "the contract stands on nothing of ours"},
		{"pkg/", root + "services/", "plumbing knows no service"},
		{"pkg/daily", root, "an adapter knows its vendor alone"},
	} {
		for _, p := range list(t) {
			if !strings.HasPrefix(p.path, rule.from) {
				continue
			}
			for _, dep := range p.deps {
				if strings.HasPrefix(dep, rule.to) {
					t.Errorf("%s imports %s: %s", p.path, dep, rule.why)
				}
			}
		}
	}
}
