// SPDX-License-Identifier: Apache-2.0

package guard

// Guard is one of the mechanisms that tests break.
type Guard string

// The guards.
const (
	Look     Guard = "look"     // before a handler runs, whether its results are there
	Decision Guard = "decision" // events that exclude one another are written on a known state alone
	Intent   Guard = "intent"   // what may not be repeated is written down before it is done
	Fence    Guard = "fence"    // a slot that is leased is nobody else's
)
