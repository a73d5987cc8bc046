// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A file that somebody still writes to is left alone; then it is told of once.
func TestChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	look := func() os.FileInfo {
		info, err := os.Stat(path)
		if err != nil {
			return nil
		}
		return info
	}
	text := ""
	add := func() {
		text += "+14155550123\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	add()
	s := sight{known: look(), last: look()}
	for i, step := range []struct {
		does func()
		want bool
	}{
		{nil, false},
		{add, false},
		{add, false},
		{add, false},
		{nil, true},
		{nil, false},
		{func() { _ = os.Remove(path) }, false},
		{nil, true},
		{nil, false},
		{add, false},
		{nil, true},
		{func() { _ = os.Chtimes(path, time.Time{}, time.Unix(1, 0)) }, false},
		{nil, true},
		{nil, false},
	} {
		if step.does != nil {
			step.does()
		}
		if got := s.changed(look()); got != step.want {
			t.Errorf("look %d: %v, want %v", i, got, step.want)
		}
	}
}
