// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/services/call-control/policy"
)

// listFile is the path of a do-not-call list.
func listFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "do-not-call.txt")
	write(t, path, text)
	return path
}

// write replaces the file as a whole.
func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func listed(p *policy.Policy, number string) bool {
	for _, v := range p.Judge(number, noon) {
		if v.Rule == "do_not_call" {
			return v.Decision == policy.Refuse
		}
	}
	return false
}

// However a number is written on the list, it is found.
func TestList(t *testing.T) {
	p := newPolicy(t, config.Policy{Countries: []string{"US"}, DoNotCall: listFile(t, "\ufeff# asked in 2026\r\n"+
		"+14155550123\r\n"+
		"\n   \n"+
		"  (415) 555-0124   # by mail\n"+
		"+44 20 7946 0001\n"+
		"+4402079460002\n"+ // a trunk prefix
		"011 44 20 7946 0003\n"+
		"tel:+1-415-555-0125\n"+
		"+390612345678\n"+ // where the zero belongs to the number
		"+14155550123\n"+
		"4155550126")})
	for number, want := range map[string]bool{
		"+14155550123": true, "+14155550124": true, "+14155550125": true, "+14155550126": true, "+14155550127": false,
		"+442079460000": false, "+442079460001": true, "+442079460002": true, "+442079460003": true, "+390612345678": true,
	} {
		if got := listed(p, number); got != want {
			t.Errorf("%s: %v", number, got)
		}
	}
}

// A list with a line that is not a number is wrong as a whole, and the error names the line but not what is on it.
func TestListRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"a word":              "nobody",
		"a SIP URI":           "sip:+14155550199@example.com",
		"nobody":              "anonymous",
		"a digit too many":    "+141555501990",
		"a digit too few":     "+1415555019",
		"two numbers":         "+14155550199, +14155550198",
		"a comma":             "+14155550199,",
		"no country code":     "+9991234567",
		"an extension":        "+14155550199 ext 5",
		"a line that is long": strings.Repeat("1", 1<<17),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := policy.New(config.Policy{DoNotCall: listFile(t, "# comment\n"+california+"\n"+text+"\n"+newYork+"\n")}, "US")
			if err == nil || !strings.HasSuffix(err.Error(), "do-not-call.txt: line 3 is not a phone number") || strings.Contains(err.Error(), "+") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWatch(t *testing.T) {
	path := listFile(t, california+"\n")
	p := newPolicy(t, config.Policy{Countries: []string{"US"}, DoNotCall: path})
	var logs logBuffer
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := p.Watch(ctx, slog.New(slog.NewTextHandler(&logs, nil)), 2*time.Millisecond); err != nil {
			t.Error(err)
		}
	})
	expect := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: not so after 10 seconds; log:\n%s", what, logs.String())
			}
		}
	}

	write(t, path, newYork+"\n")
	expect("a new list", func() bool { return listed(p, newYork) && !listed(p, california) })

	write(t, path, california+"\nnobody\n")
	expect("a warning of a bad one", func() bool { return strings.Contains(logs.String(), "line 2 is not a phone number") })
	if !listed(p, newYork) || listed(p, california) {
		t.Error("the old list did not stay")
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect("a warning of none", func() bool { return strings.Contains(logs.String(), "no such file") })
	if !listed(p, newYork) {
		t.Error("the old list did not stay")
	}

	write(t, path, california+"\n")
	expect("the list is there again", func() bool { return listed(p, california) && !listed(p, newYork) })

	write(t, path, newYork[:8]+"9"+newYork[9:]+"\n"+california+"\n")
	expect("more numbers", func() bool { return listed(p, newYork[:8]+"9"+newYork[9:]) })

	stop()
	done.Wait()
	if n := strings.Count(logs.String(), "level=WARN"); n != 2 {
		t.Errorf("%d warnings, want one for each bad list:\n%s", n, logs.String())
	}
	if strings.Contains(logs.String(), "+") {
		t.Errorf("the log holds a number:\n%s", logs.String())
	}
}

// Without a list there is nothing to watch, and Watch ends with its context all the same.
func TestWatchNothing(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := newPolicy(t, config.Policy{}).Watch(ctx, slog.New(slog.DiscardHandler), time.Millisecond); err != nil {
		t.Error(err)
	}
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// million is a list of a million numbers, in no order.
func million(b *testing.B) string {
	var text strings.Builder
	text.Grow(13 << 20)
	for i := range 1_000_000 {
		fmt.Fprintf(&text, "+1%03d%07d\n", 201+i%700, (i*7919)%10_000_000)
	}
	return listFile(b, text.String())
}

// A decision by all the rules, with a million numbers on the do-not-call list.
func BenchmarkJudge(b *testing.B) {
	p := newPolicy(b, config.Policy{
		Countries: []string{"US", "CA"}, BlockedPrefixes: []string{"+1900", "+1976"},
		DoNotCall: million(b), Hours: config.Hours{From: "09:00", To: "20:00"},
	})
	b.ReportAllocs()
	for b.Loop() {
		policy.Decide(p.Judge(california, noon))
	}
}

// What it takes to read the list, and to keep it.
func BenchmarkReadList(b *testing.B) {
	path := million(b)
	before := inUse()
	var p *policy.Policy
	for b.Loop() {
		p = newPolicy(b, config.Policy{DoNotCall: path})
	}
	b.ReportMetric(float64(inUse()-before)/1e6, "MB-kept")
	runtime.KeepAlive(p)
}

func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
