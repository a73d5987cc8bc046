// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Report is what was measured.
type Report struct {
	Date    string     `json:"date"`
	Machine string     `json:"machine"`
	Go      string     `json:"go"`
	Figures []*Figures `json:"figures"`
}

// Figures are what was measured under one setting of the broker.
type Figures struct {
	Sync     string   `json:"sync_interval"`
	Open     []Open   `json:"open_loops"`
	Dispatch Dispatch `json:"dispatch"`
	Whole    Whole    `json:"whole_calls"`
	Chain    Chain    `json:"bare_chain"`
	Held     []Held   `json:"held_calls"`
	Watch    Watch    `json:"watchers"`
	Start    Start    `json:"start_call"`
	Policy   Policy   `json:"policy"`
}

// Start is how long StartCall takes.
type Start struct {
	Rate  int           `json:"offered_per_second"`
	Calls int           `json:"calls"`
	P50   time.Duration `json:"p50"`
	P99   time.Duration `json:"p99"`
}

// Policy is how long a decision takes, and the reading of the do-not-call list.
type Policy struct {
	Listed int           `json:"listed"`
	Bytes  int64         `json:"bytes"`
	Read   time.Duration `json:"read"`
	P50    time.Duration `json:"p50"`
	P99    time.Duration `json:"p99"`
}

// Watch is from an event's being stored to its reaching one of those who watch.
type Watch struct {
	Watchers int           `json:"watchers"`
	Rate     int           `json:"events_per_second"`
	Events   int           `json:"events"` // times those who saw them
	P50      time.Duration `json:"p50"`
	P99      time.Duration `json:"p99"`
}

// Open is an open loop. Times are in nanoseconds.
type Open struct {
	Offered     int           `json:"offered_per_second"`
	Sustained   float64       `json:"sustained_per_second"`
	AnsweredP50 time.Duration `json:"webhook_answered_p50"`
	AnsweredP99 time.Duration `json:"webhook_answered_p99"`
	ToldP50     time.Duration `json:"bot_told_p50"`
	ToldP99     time.Duration `json:"bot_told_p99"`
	Failed      int           `json:"failed"` // calls and bots that did not go as they should
}

// Dispatch is from RoomReady to BotStarting.
type Dispatch struct {
	Jobs   int           `json:"jobs"`
	AtOnce int           `json:"at_once"`
	P50    time.Duration `json:"p50"`
	P99    time.Duration `json:"p99"`
}

// Whole is the closed loop.
type Whole struct {
	InFlight int     `json:"in_flight"`
	Rate     float64 `json:"calls_per_second"`
	Events   int     `json:"events_per_call"`
	Consumes float64 `json:"event_deliveries_per_call"`
	Writes   float64 `json:"writes_per_call"` // to all streams: events, timers, leases, jobs
	Failed   int     `json:"failed"`
}

// Chain is JetStream with nothing around it.
type Chain struct {
	Rate  float64 `json:"chains_per_second"`
	Ratio float64 `json:"calls_per_chain"`
}

// Held is what it is like while calls are in progress.
type Held struct {
	Calls int   `json:"calls"`
	Bytes int64 `json:"bytes_per_call"`
	Open
}

func newReport() *Report {
	return &Report{
		Date:    time.Now().UTC().Format(time.DateOnly),
		Machine: fmt.Sprintf("%d cores, %s", runtime.NumCPU(), processor()),
		Go:      runtime.Version(),
	}
}

func processor() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// Rows are the table: a title, and a figure for each setting.
func (r *Report) Rows(row func(cells ...string)) {
	head := []string{"sync_interval"}
	for _, f := range r.Figures {
		head = append(head, f.Sync)
	}
	row(head...)
	cells := func(title string, cell func(*Figures) string) {
		line := []string{title}
		for _, f := range r.Figures {
			line = append(line, cell(f))
		}
		row(line...)
	}
	for i, o := range r.Figures[0].Open {
		cells(fmt.Sprintf("webhook to bot told to start, %d calls/s offered: p50 / p99 (sustained)", o.Offered), func(f *Figures) string {
			return fmt.Sprintf("%s / %s (%.0f/s)", ms(f.Open[i].ToldP50), ms(f.Open[i].ToldP99), f.Open[i].Sustained)
		})
		cells(fmt.Sprintf("webhook answered, %d calls/s offered: p50 / p99", o.Offered), func(f *Figures) string {
			return fmt.Sprintf("%s / %s", ms(f.Open[i].AnsweredP50), ms(f.Open[i].AnsweredP99))
		})
	}
	if d := r.Figures[0].Dispatch; d.Jobs > 0 {
		cells(fmt.Sprintf("room ready to slot leased, %d at once: p50 / p99", d.AtOnce), func(f *Figures) string {
			return fmt.Sprintf("%s / %s", ms(f.Dispatch.P50), ms(f.Dispatch.P99))
		})
	}
	if w := r.Figures[0].Watch; w.Events > 0 {
		cells(fmt.Sprintf("event to watcher, %d watchers, %d events/s: p50 / p99", w.Watchers, w.Rate), func(f *Figures) string {
			return fmt.Sprintf("%s / %s", ms(f.Watch.P50), ms(f.Watch.P99))
		})
	}
	if c := r.Figures[0].Start; c.Calls > 0 {
		cells(fmt.Sprintf("StartCall, %d/s: p50 / p99", c.Rate), func(f *Figures) string {
			return fmt.Sprintf("%s / %s", ms(f.Start.P50), ms(f.Start.P99))
		})
	}
	if c := r.Figures[0].Policy; c.Listed > 0 {
		cells(fmt.Sprintf("policy's decision, %d million numbers on the do-not-call list: p50 / p99", c.Listed/1_000_000), func(f *Figures) string {
			return fmt.Sprintf("%s / %s", ms(f.Policy.P50), ms(f.Policy.P99))
		})
		cells("that list: read / memory", func(f *Figures) string {
			return fmt.Sprintf("%s / %.1f MB", ms(f.Policy.Read), float64(f.Policy.Bytes)/1e6)
		})
	}
	whole := r.Figures[0].Whole
	cells(fmt.Sprintf("whole calls, %d at once", whole.InFlight), func(f *Figures) string { return fmt.Sprintf("%.0f/s", f.Whole.Rate) })
	cells(fmt.Sprintf("bare JetStream chains of %d events, %d at once", whole.Events, whole.InFlight), func(f *Figures) string {
		return fmt.Sprintf("%.0f/s", f.Chain.Rate)
	})
	cells("whole calls : bare chains", func(f *Figures) string { return fmt.Sprintf("%.2f", f.Chain.Ratio) })
	for i := range r.most().Held {
		h := r.most().Held[i]
		cells(fmt.Sprintf("memory of a held call, %d held", h.Calls), func(f *Figures) string {
			if i >= len(f.Held) {
				return "–"
			}
			return fmt.Sprintf("%d kB", f.Held[i].Bytes/1000)
		})
		cells(fmt.Sprintf("webhook to bot told to start, %d calls/s beside %d held: p50 / p99", h.Offered, h.Calls), func(f *Figures) string {
			if i >= len(f.Held) {
				return "–"
			}
			return fmt.Sprintf("%s / %s", ms(f.Held[i].ToldP50), ms(f.Held[i].ToldP99))
		})
	}
	cells("calls and bots that did not go as they should", func(f *Figures) string { return fmt.Sprint(f.failed()) })
}

// most is the setting under which the most calls were held.
func (r *Report) most() *Figures {
	return slices.MaxFunc(r.Figures, func(a, b *Figures) int { return len(a.Held) - len(b.Held) })
}

func (f *Figures) failed() int {
	n := f.Whole.Failed
	for _, o := range f.Open {
		n += o.Failed
	}
	for _, h := range f.Held {
		n += h.Failed
	}
	return n
}

func ms(d time.Duration) string {
	switch v := float64(d) / float64(time.Millisecond); {
	case v < 0.1:
		return fmt.Sprintf("%.1f µs", v*1000)
	case v < 10:
		return fmt.Sprintf("%.1f ms", v)
	case v < 1000:
		return fmt.Sprintf("%.0f ms", v)
	default:
		return fmt.Sprintf("%.1f s", v/1000)
	}
}

// quantile is the value that a share q of all does not exceed.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
