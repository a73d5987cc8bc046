// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/services/trunkline/storm"
)

// watched makes a world whose bots have names, and which leaves nothing behind.
func watched(t *testing.T, o options) *world {
	t.Helper()
	var w *world
	t.Cleanup(func() {
		if w != nil {
			killBots(w.dir)
		}
	})
	o.flags += named
	w = newWorld(t, o)
	return w
}

// cleared waits until nothing is left of any call.
func (w *world) cleared() {
	w.T.Helper()
	w.Poll(storm.Soon, "everything to be cleared up", func() string {
		if left := w.Left(); left != "" {
			return left
		}
		if here := living(w.dir); len(here) > 0 {
			return fmt.Sprint(here)
		}
		return ""
	})
}

// logged is what a part has logged so far, with what its keepers and bots have.
func (w *world) logged(part string) string {
	w.T.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, part+".log"))
	if err != nil {
		w.T.Fatal(err)
	}
	return string(text)
}

// awaitLogged waits until a part's log has a text, and gives the rest of that line.
func (w *world) awaitLogged(part, text string) string {
	w.T.Helper()
	var rest string
	w.Poll(storm.Soon, fmt.Sprintf("%q in the log of %s", text, part), func() string {
		_, after, _ := strings.Cut(w.logged(part), text)
		line, _, whole := strings.Cut(after, "\n")
		if !whole {
			return "not there"
		}
		rest = line
		return ""
	})
	return rest
}
