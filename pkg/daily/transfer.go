// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// TransferSpec is a phone leg and whom it is to be connected with (Daily REST reference, rooms/callTransfer). What is not
// set is not sent.
type TransferSpec struct {
	SessionID string `json:"sessionId"`  // of the leg, as dialin and dialout events have it; not a bot's or a meeting's
	To        string `json:"toEndPoint"` // a number, E.164, or a SIP address with "sip:", of another room too

	// For a number only.
	CallerID            string `json:"callerId,omitempty"`                   // the id of a purchased number, not the number
	Extension           string `json:"extension,omitempty"`                  // at most 20 characters
	WaitBeforeExtension int    `json:"waitBeforeExtensionDialSec,omitempty"` // seconds, at most 60
}

func (t TransferSpec) check() error {
	number := strings.HasPrefix(t.To, "+")
	switch {
	case t.SessionID == "":
		return errors.New("session id is missing")
	case !number && !strings.HasPrefix(t.To, "sip:"):
		return errors.New(`the target is neither an E.164 number nor a SIP address with "sip:"`)
	case !number && (t.CallerID != "" || t.Extension != "" || t.WaitBeforeExtension != 0):
		return errors.New("caller id and extension are for a number only")
	}
	return checkExtension(t.Extension, t.WaitBeforeExtension)
}

// SIPCallTransfer sends a phone leg out of its room and calls somebody for it; Daily stays between the two. The leg has
// left before anybody answers, and cannot be taken back. It is sent once and never repeated here. ErrNotFound: there is
// no such leg in the room, which may mean that it has been transferred; ErrRefused: it stays where it is. [Doubtful]: it
// may be gone; dialin.stopped or dialout.stopped, and calltransfer events, tell.
//
// It counts as a dial: the limit of those is for starting phone calls (Daily REST reference, rate limits), and nothing
// says that this is none.
func (c *Client) SIPCallTransfer(ctx context.Context, room string, t TransferSpec) error {
	return c.transfer(ctx, request{op: "transfer call", class: ClassDial}, room, "/sipCallTransfer", t)
}

// SIPRefer has a phone leg's own provider connect it with somebody, and Daily is out of it: no event tells more than that
// it was tried. Beyond that it is as [Client.SIPCallTransfer]. To must be outside Daily.
func (c *Client) SIPRefer(ctx context.Context, room, sessionID, to string) error {
	return c.transfer(ctx, request{op: "refer call", class: ClassControl}, room, "/sipRefer", TransferSpec{SessionID: sessionID, To: to})
}

func (c *Client) transfer(ctx context.Context, r request, room, action string, t TransferSpec) error {
	path, err := roomPath(r.op, room)
	if err != nil {
		return err
	}
	if err := t.check(); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrRefused, r.op, err)
	}
	r.method, r.path, r.body = http.MethodPost, path+action, t
	_, err = call[acknowledged](ctx, c, r)
	return err
}
