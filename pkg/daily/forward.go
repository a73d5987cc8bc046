// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

type acknowledged fields

func (f *acknowledged) check() error {
	if !fields(*f).flag("ok") { // true; the documentation says "true"
		return errors.New(`no "ok"`)
	}
	return nil
}

// PinlessCallUpdate sends a held caller to a SIP address, in practice [Room.SIPURI], where a participant must already be
// (Daily REST reference, dialin/pinless-call-update). It is sent once and never repeated here. ErrNotFound: the held call
// is gone, or has been forwarded before. [Doubtful]: it may have been forwarded; a second time may make a second leg.
func (c *Client) PinlessCallUpdate(ctx context.Context, callID, callDomain, sipURI string) error {
	const op = "forward call"
	if callID == "" || callDomain == "" || sipURI == "" {
		return fmt.Errorf("%w: %s: call id, call domain or SIP address is missing", ErrRefused, op)
	}
	_, err := call[acknowledged](ctx, c, request{
		op: op, class: ClassForward,
		method: http.MethodPost, path: "/dialin/pinlessCallUpdate",
		body: map[string]string{"callId": callID, "callDomain": callDomain, "sipUri": sipURI},
	})
	return err
}
