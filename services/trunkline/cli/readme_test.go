// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/services/trunkline/engine"
)

const root = "../../.."

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What is shown to be sent to the API is what it takes.
func TestTheRequestsInTheDocumentationAreRight(t *testing.T) {
	docs, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	methods := controlv1.File_trunkline_control_v1_call_service_proto.Services().ByName("CallService").Methods()
	request := regexp.MustCompile(`(?s)-d '([^']*)'[^']{0,40}?/trunkline\.control\.v1\.CallService/(\w+)`)
	found := map[string]int{}
	for _, doc := range append(docs, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range request.FindAllStringSubmatch(string(text), -1) {
			body, name := m[1], m[2]
			method := methods.ByName(protoreflect.Name(name))
			if method == nil {
				t.Errorf("%s: there is no %s", doc, name)
				continue
			}
			found[name]++
			message := dynamicpb.NewMessage(method.Input())
			if err := protojson.Unmarshal([]byte(body), message); err != nil {
				t.Errorf("%s: %s %s: %v", doc, name, body, err)
			} else if err := protovalidate.Validate(message); err != nil {
				t.Errorf("%s: %s %s: %v", doc, name, body, err)
			}
		}
	}
	for _, name := range []string{"StartCall", "ListCalls", "ExplainPolicy"} {
		if found[name] == 0 {
			t.Errorf("no document shows a %s", name)
		}
	}
}

// Each client in the README is run as it is printed, and each is given the same call.
func TestTheClientsInTheREADMECallSomebody(t *testing.T) {
	s := startDev(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	write(".trunkline/key", s.Key.Reveal()+"\n", 0o600)
	write(".bin/trunkline", fmt.Sprintf("#!/bin/sh\n%s=1 exec %s \"$@\" --control %s\n", beTrunkline, exe, s.URLs["control"]), 0o755)
	buf, err := filepath.Abs(filepath.Join(root, ".bin", "buf"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(buf, filepath.Join(dir, ".bin", "buf")); err != nil {
		t.Fatal(err)
	}
	services, err := filepath.Abs(filepath.Join(root, "services"))
	if err != nil {
		t.Fatal(err)
	}

	_, text, _ := strings.Cut(read(t, "README.md"), "\n## Call somebody\n")
	text, _, _ = strings.Cut(text, "\n## ")
	text = strings.ReplaceAll(text, "http://127.0.0.1:8082", s.URLs["control"])
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	id, call := "", regexp.MustCompile(`\b[a-z2-7]{26}\b`)
	ran := map[string]bool{}
	for i, m := range regexp.MustCompile("(?s)```(\\w+)\n(.*?)```").FindAllStringSubmatch(text, -1) {
		language, code := m[1], m[2]
		var cmd *exec.Cmd
		switch language {
		case "sh":
			cmd = exec.CommandContext(ctx, "sh", "-ec", code)
		case "python":
			cmd = exec.CommandContext(ctx, "python3", "-c", code)
		case "go":
			cmd = exec.CommandContext(ctx, "go", "run", write(fmt.Sprintf("%d.go", i), code, 0o600))
		}
		needs := cmd.Args[0]
		for _, tool := range []string{"curl", ".bin/buf"} {
			if strings.HasPrefix(code, tool+" ") {
				needs = strings.Replace(tool, ".bin", filepath.Dir(buf), 1)
			}
		}
		if _, err := exec.LookPath(needs); err != nil {
			if engine.Required() {
				t.Errorf("there is no %s here", needs)
			}
			t.Logf("left out: there is no %s here", needs)
			continue
		}
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "TRUNKLINE_KEY="+s.Key.Reveal())
		if language == "go" {
			cmd.Dir = services
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s\n%s", err, code, out)
		}
		ran[needs] = true
		if !strings.Contains(code, "order-1234") {
			continue
		}
		got := call.FindString(string(out))
		if got == "" || id != "" && got != id {
			t.Errorf("it is given call %q, the others %q\n%s\n%s", got, id, code, out)
		}
		id = got
	}
	if !ran["sh"] || !ran["go"] {
		t.Errorf("only these have run: %v", ran)
	}
}
