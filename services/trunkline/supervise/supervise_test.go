// SPDX-License-Identifier: Apache-2.0

package supervise_test

import (
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/trunkline/trunkline/services/trunkline/supervise"
)

// The test's own program is also what is supervised. It says how it is at the address given: not well at first, then well
// for as many looks, then not any more.
func TestMain(m *testing.M) {
	if addr := os.Getenv("SUPERVISED"); addr != "" {
		supervised(addr)
	}
	os.Exit(m.Run())
}

func supervised(addr string) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	well, err := strconv.ParseInt(os.Getenv("WELL"), 10, 64)
	if err != nil {
		panic(err)
	}
	const starting = 5
	var looks atomic.Int64
	go func() {
		panic(http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			n := looks.Add(1)
			if n <= starting || n > starting+well {
				http.Error(w, "a stream is closed to writes", http.StatusServiceUnavailable)
			}
			if n == starting+3 && os.Getenv("STOPPED") != "" {
				_ = syscall.Kill(os.Getppid(), syscall.SIGTERM)
			}
		})))
	}()
	<-told
	status, err := strconv.Atoi(os.Getenv("STATUS"))
	if err != nil {
		panic(err)
	}
	os.Exit(status)
}

// program is one that is well for as many looks, and has a status when it ends.
func program(t *testing.T, well, status string) supervise.Program {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("SUPERVISED", l.Addr().String())
	t.Setenv("WELL", well)
	t.Setenv("STATUS", status)
	return supervise.Program{
		Argv: []string{os.Args[0]}, URL: "http://" + l.Addr().String(), Every: 20 * time.Millisecond, Failures: 3,
		Grace: 10 * time.Second, Log: slog.New(slog.DiscardHandler),
	}
}

func TestAProgramThatHasStoppedBeingWellIsEnded(t *testing.T) {
	err := program(t, "10", "0").Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "not well any more") || !strings.Contains(err.Error(), "closed to writes") {
		t.Errorf("got %v", err)
	}
}

func TestAProgramThatWillNotGetWellIsNotWaitedFor(t *testing.T) {
	p := program(t, "0", "0")
	p.Fatal = "closed to writes"
	if err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "not well any more") {
		t.Errorf("got %v", err)
	}
}

func TestAProgramThatIsWellIsToldToStopWithUs(t *testing.T) {
	t.Setenv("STOPPED", "yes")
	if err := program(t, "1000000", "0").Run(t.Context()); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestAProgramThatFailsIsAFailure(t *testing.T) {
	t.Setenv("STOPPED", "yes")
	if err := program(t, "1000000", "7").Run(t.Context()); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("got %v", err)
	}
	if err := (supervise.Program{Argv: []string{"/nowhere"}}).Run(t.Context()); err == nil {
		t.Error("a program that is not there")
	}
}
