// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"log/slog"
	"os"
	"time"
)

// Interval is how often to look whether the do-not-call list has changed.
const Interval = 2 * time.Second

// Watch takes a new do-not-call list into use when its file has changed, and stays as it was for an interval: half a file
// is no list. One that cannot be read, or has a line that is not a number, is told of once, and the old list stays. Watch
// ends with ctx; call it once.
func (p *Policy) Watch(ctx context.Context, log *slog.Logger, interval time.Duration) error {
	if p.rules.DoNotCall == "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	seen := sight{known: p.read, last: p.read}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := os.Stat(p.rules.DoNotCall)
		if err != nil {
			now = nil
		}
		if seen.changed(now) {
			p.reload(ctx, log)
		}
	}
}

// A sight is what was seen of a file, nil for nothing.
type sight struct{ known, last os.FileInfo }

// changed reports, once, that the file is another and has stayed as it is since the last look.
func (s *sight) changed(now os.FileInfo) bool {
	settled := same(now, s.last)
	s.last = now
	if !settled || same(now, s.known) {
		return false
	}
	s.known = now
	return true
}

func (p *Policy) reload(ctx context.Context, log *slog.Logger) {
	list, _, err := readList(p.rules.DoNotCall, p.region)
	if err != nil {
		log.WarnContext(ctx, "do-not-call list not taken, the old one stays", "numbers", len(*p.list.Load()), "err", err)
		return
	}
	p.list.Store(&list)
	log.InfoContext(ctx, "do-not-call list taken", "numbers", len(list))
}

// same reports whether two looks saw the same file, or none.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
