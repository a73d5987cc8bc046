// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"context"
	"fmt"
	"net/http"
)

// Everybody stands for all participants that are not named themselves.
const Everybody = "*"

// Permissions are what a participant may do; what is nil is not said (Daily guide "Permissions"). Of a room they are those
// of participants who are not owners. What they do to phone legs is not documented: where one must not hear something, find
// out first.
type Permissions struct {
	HasPresence *bool `json:"hasPresence,omitempty"` // false: hidden, and neither seen nor heard
	CanSend     any   `json:"canSend,omitempty"`     // a bool, or names such as []string{"audio"}
	CanReceive  any   `json:"canReceive,omitempty"`  // a [CanReceive]
	CanAdmin    any   `json:"canAdmin,omitempty"`    // a bool, or names such as []string{"participants"}
}

// CanReceive is whom a participant may hear: ByParticipantID, session ids, goes before ByUserID, and that before Base.
// A map that is not nil takes the place of the one before; to lift its exceptions, send an empty one.
type CanReceive struct {
	Base            *bool           `json:"base,omitempty"`
	ByUserID        map[string]bool `json:"byUserId,omitzero"`
	ByParticipantID map[string]bool `json:"byParticipantId,omitzero"`
}

// UpdatePermissions changes what participants of a room may do, by session id or [Everybody] (Daily REST reference,
// rooms/update-permissions). A second time does no harm, so it is repeated until it comes to a clear end: but it may then
// undo what another has changed meanwhile. ErrNotFound: there is no such room, or nobody in it. That a participant is not
// there may be no error.
func (c *Client) UpdatePermissions(ctx context.Context, room string, participants map[string]Permissions) error {
	const op = "update permissions"
	path, err := roomPath(op, room)
	if err != nil {
		return err
	}
	if _, unnamed := participants[""]; unnamed || len(participants) == 0 {
		return fmt.Errorf("%w: %s: no participant is named", ErrRefused, op)
	}
	_, err = call[statusOnly](ctx, c, request{
		op: op, class: ClassControl, repeatable: true,
		method: http.MethodPost, path: path + "/update-permissions", body: map[string]any{"data": participants},
	})
	return err
}
