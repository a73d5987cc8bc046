// SPDX-License-Identifier: Apache-2.0

// Package daily speaks with Daily: its REST API, its webhooks, its meeting tokens.
//
// [Client] makes the requests. It repeats, with growing pauses, only what may be repeated; what must not be done twice,
// [Client.PinlessCallUpdate], [Client.StartDialOut] and the transfers, it sends once and leaves to the caller. An error says what became of the
// request: [ErrRefused] and [ErrNotFound], Daily did nothing; [Doubtful], it may have acted; [Retryable], the same
// request may succeed later.
//
// [Verifier] checks the signature of a webhook, [ParseDialin] and [ParseEvent] read its body. [MeetingToken] signs a
// token without asking Daily.
package daily
