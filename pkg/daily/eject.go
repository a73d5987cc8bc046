// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"context"
	"errors"
	"net/http"
	"slices"
)

const ejectBatch = 100 // the most ids, and user ids, that one request takes

// Eject puts participants out of a room, by session id and by the user id of their token, 100 of each a request, and
// returns the session ids of those who were there to be put out (Daily REST reference, rooms/eject). With ban, the user
// ids cannot come back while the session lasts. Who is not there is no error, and neither is a room without a session or
// no room at all, Daily's 404: nobody is in it, which is what was wanted.
func (c *Client) Eject(ctx context.Context, room string, ids, userIDs []string, ban bool) (ejected []string, err error) {
	path, err := roomPath("eject", room)
	if err != nil {
		return nil, err
	}
	type body struct {
		IDs     []string `json:"ids,omitempty"`
		UserIDs []string `json:"user_ids,omitempty"`
		Ban     bool     `json:"ban,omitempty"`
	}
	var batches []body
	for some := range slices.Chunk(ids, ejectBatch) {
		batches = append(batches, body{IDs: some, Ban: ban})
	}
	i := 0
	for some := range slices.Chunk(userIDs, ejectBatch) {
		if i == len(batches) {
			batches = append(batches, body{Ban: ban})
		}
		batches[i].UserIDs = some
		i++
	}
	for _, b := range batches {
		reply, err := call[struct {
			EjectedIDs []string `json:"ejectedIds"`
		}](ctx, c, request{
			op: "eject", class: ClassControl, repeatable: true,
			method: http.MethodPost, path: path + "/eject", body: b,
		})
		if errors.Is(err, ErrNotFound) {
			return ejected, nil
		}
		if err != nil {
			return ejected, err
		}
		ejected = append(ejected, reply.EjectedIDs...)
	}
	return ejected, nil
}
