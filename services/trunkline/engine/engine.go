// SPDX-License-Identifier: Apache-2.0

// Package engine is the Docker engine with compose, for the tests that want one.
package engine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// required is set where no test may be left out, as in CI.
const required = "TRUNKLINE_COMPOSE"

// Required reports whether no test may be left out.
func Required() bool { return os.Getenv(required) != "" }

// patience is for building every image on a slow machine.
const patience = 8 * time.Minute

// Need leaves the test out where there is no Docker engine with compose, or fails it where it is required.
func Need(t *testing.T) {
	t.Helper()
	if err := missing(t.Context()); err != nil {
		LeaveOut(t, err)
	}
}

// LeaveOut leaves the test out for a reason, or fails it where it is required.
func LeaveOut(t *testing.T, why error) {
	t.Helper()
	if Required() {
		t.Fatal(why)
	}
	t.Skip("left out: ", why)
}

// missing reports why there is no Docker engine with compose here, or nil.
func missing(ctx context.Context) error {
	for _, args := range [][]string{{"info"}, {"compose", "version"}} {
		if out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
		}
	}
	return nil
}

// Compose runs docker compose with our docker-compose.yml, as a project of that name, with more in its environment.
func Compose(project string, env []string, args ...string) (string, error) {
	root, err := filepath.Abs("../../..") // tests run in their own folder
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience) // a clean-up outlives its test's context
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", append([]string{"compose", "--project-name", project, "--project-directory", root, "--file", filepath.Join(root, "docker-compose.yml")}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
