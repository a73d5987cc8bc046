// SPDX-License-Identifier: Apache-2.0

package sim

// log keeps the newest max entries, each with a number that never repeats.
type log[T any] struct {
	max     int
	total   int
	entries []T
}

func (l *log[T]) add(make func(seq int) T) {
	l.total++
	if len(l.entries) >= 2*l.max {
		l.entries = append(l.entries[:0], l.entries[len(l.entries)-l.max+1:]...)
	}
	l.entries = append(l.entries, make(l.total))
}

// newest lists what is kept, oldest first.
func (l *log[T]) newest() []T {
	from := max(0, len(l.entries)-l.max)
	return append([]T{}, l.entries[from:]...)
}
