// SPDX-License-Identifier: Apache-2.0

// Package bus is how services tell one another what has happened to a call.
//
// The stream CALLS is the record: every event of every call, as protobuf, under calls.<call_id>.<Event>[.<suffix>].
// A subject is written once. Whoever publishes what is there already gets what is there: [Bus.Publish].
//
// Events that exclude one another are decided: [Bus.Decide] reads the call's story, lets a function choose, and
// publishes its choice on condition that the story has not grown since.
//
// A handler gets an event together with the call's story and says by what it returns what becomes of the event:
// nil, it is done; [Drop], never again; [RetryAfter], again later; any other error, again with growing pauses, and in
// the end to the dead letters. Acknowledgements are hints: after a crash of the broker events come again that were
// handled long ago. So before a handler runs, the bus looks whether the results it names are in the story: [Done].
package bus
