// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A task is written down when its room is ready. A replica that was cut off, and is back, may know nothing of the call yet:
// that proves nothing, and the caller must not lose the place in the line.
func TestATaskIsKeptThoughItsCallIsNotSeenYet(t *testing.T) {
	w := start(t, bot(1))
	jobs, err := w.bus.JS.KeyValue(t.Context(), "jobs")
	if err != nil {
		t.Fatal(err)
	}
	const callID = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
	task := func(arrived time.Time) string {
		data, err := json.Marshal(map[string]any{"call_id": callID, "attempt": 1, "agent": "bot", "arrived": arrived})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	there := func() bool {
		_, err := jobs.Get(t.Context(), callID+".1")
		if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
			t.Fatal(err)
		}
		return err == nil
	}
	if _, err := jobs.PutString(t.Context(), callID+".1", task(time.Now())); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if !there() {
			t.Fatal("the task was struck out")
		}
	}
	if err := jobs.Purge(t.Context(), callID+".1"); err != nil {
		t.Fatal(err)
	}

	// Of a call that old nothing will be seen any more.
	if _, err := jobs.PutString(t.Context(), callID+".1", task(time.Now().Add(-48*time.Hour))); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); there(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the old task is there")
		}
	}
}
