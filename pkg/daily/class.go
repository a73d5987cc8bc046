// SPDX-License-Identifier: Apache-2.0

package daily

import "context"

// Class is a kind of request, by which of Daily's rate limits it counts against and how urgent it is. Documented limits
// are about 20 a second for most requests, 2 for deletes and 1 for dials, for a whole domain as far as is known (Daily
// REST reference, rate limits).
type Class string

// The classes, the most urgent first.
const (
	ClassForward Class = "forward" // pinlessCallUpdate, and the domain: callers are holding
	ClassRoom    Class = "room"    // create and get a room, on the way to an answer
	ClassControl Class = "control" // eject, dialOut/stop, permissions, configuration
	ClassJanitor Class = "janitor" // presence and lists
	ClassDelete  Class = "delete"  // DELETE /rooms and /batch/rooms; has a limit of its own
	ClassDial    Class = "dial"    // dialOut/start, sipCallTransfer; has a limit of its own
)

// Budget grants requests. Take is asked before every attempt; it waits until the attempt may be made, or returns an
// error, and then nothing is sent.
type Budget interface {
	Take(ctx context.Context, c Class) error
}
