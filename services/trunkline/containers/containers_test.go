// SPDX-License-Identifier: Apache-2.0

// Package containers proves the promise of the dial-in path on the images that are shipped: their containers are killed,
// frozen, cut off and rolled, and so is NATS, while people call, and no caller is let down.
package containers

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"

	"github.com/trunkline/trunkline/services/trunkline/engine"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

var callers = flag.Int("callers", 40, "how many people call in each test, at least")

const (
	hold = 120 * time.Second
	talk = 3 * time.Second

	label = "trunkline.test" // of our containers: the process that they belong to
)

// slots is the cap of a world in which so many people call.
func slots() int { return max(*callers/5, 4) }

var owner = strconv.Itoa(os.Getpid())

func TestMain(m *testing.M) {
	flag.Parse()
	if !engine.Required() { // they take minutes
		fmt.Println("left out: make containers runs these tests, and CI does")
		return
	}
	// The worlds wait more than they compute.
	if flag.Lookup("test.parallel").Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = flag.Set("test.parallel", "4")
	}
	// The reaper is one more image to be had from outside. What we start we remove.
	if os.Getenv("TESTCONTAINERS_RYUK_DISABLED") == "" {
		os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
	}
	os.Exit(m.Run())
}

// quiet says nothing of what testcontainers does.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

var images = sync.OnceValue(func() error {
	project := "trunkline-containers-" + owner
	args := []string{"build", "--quiet", "nats"}
	for _, s := range stack.Services() {
		args = append(args, s.Name)
	}
	if out, err := engine.Compose(project, nil, args...); err != nil {
		return fmt.Errorf("build the images: %w\n%s", err, out)
	}
	docker, err := testcontainers.NewDockerClientWithOpts(context.Background())
	if err != nil {
		return err
	}
	return sweep(context.Background(), docker)
})

// buildImages builds the services' images as docker-compose.yml has them, once for all tests.
func buildImages(t *testing.T) {
	t.Helper()
	began := time.Now()
	if err := images(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > time.Second {
		t.Logf("the images took %.0f s", took.Seconds())
	}
}
