// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"
)

// DialOut is somebody to be called into a room (Daily REST reference, rooms/dialout/start). What is not set is not sent.
type DialOut struct {
	PhoneNumber string `json:"phoneNumber,omitempty"` // E.164; either this
	SIPURI      string `json:"sipUri,omitempty"`      // or this, with "sip:"; its parameters X-… become SIP headers

	Extension           string `json:"extension,omitempty"`                  // at most 20 characters
	WaitBeforeExtension int    `json:"waitBeforeExtensionDialSec,omitempty"` // seconds, at most 60

	DisplayName string  `json:"displayName,omitempty"`
	UserID      string  `json:"userId,omitempty"`   // at most 36 characters; the leg's events have it
	CallerID    string  `json:"callerId,omitempty"` // the id of a purchased number, not the number; "" = one that Daily chooses
	Video       bool    `json:"video,omitempty"`    // SIP only
	Codecs      *Codecs `json:"codecs,omitempty"`
}

func (d DialOut) check() error {
	switch {
	case (d.PhoneNumber == "") == (d.SIPURI == ""):
		return errors.New("not exactly one of phone number and SIP address")
	case d.PhoneNumber != "" && !strings.HasPrefix(d.PhoneNumber, "+"):
		return errors.New("the phone number is not E.164")
	case d.SIPURI != "" && !strings.HasPrefix(d.SIPURI, "sip:"):
		return errors.New(`the SIP address has no "sip:"`)
	case utf8.RuneCountInString(d.UserID) > maxUserID:
		return errors.New("the user id is longer than 36 characters")
	}
	return checkExtension(d.Extension, d.WaitBeforeExtension)
}

func checkExtension(extension string, wait int) error {
	switch {
	case utf8.RuneCountInString(extension) > 20:
		return errors.New("the extension is longer than 20 characters")
	case wait < 0 || wait > 60:
		return errors.New("the wait before the extension is not between 0 and 60 seconds")
	}
	return nil
}

type dialled fields

func (d *dialled) check() error {
	f := fields(*d)
	switch {
	case f.has("ok") && !f.flag("ok"):
		return errors.New(`"ok" is not true`)
	case f.text("sessionId") == "":
		return errors.New(`no "sessionId"`)
	}
	return nil
}

// StartDialOut calls somebody into a room with enable_dialout, in which a participant must already be unless its
// dialout_config allows the start, and returns the session id of the leg, under which the dialout events tell what comes
// of it. It is sent once and never repeated here. ErrNotFound: there is no such room, or nobody in it; ErrRefused: nobody
// is called. [Doubtful]: somebody may have been called; a second time may call them again.
func (c *Client) StartDialOut(ctx context.Context, room string, d DialOut) (sessionID string, err error) {
	const op = "dial out"
	path, err := roomPath(op, room)
	if err != nil {
		return "", err
	}
	if err := d.check(); err != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrRefused, op, err)
	}
	reply, err := call[dialled](ctx, c, request{
		op: op, class: ClassDial,
		method: http.MethodPost, path: path + "/dialOut/start", body: d,
	})
	if err != nil {
		return "", err
	}
	return fields(reply).text("sessionId"), nil
}

// StopDialOut hangs up on somebody who was called, whether it rings or they talk (Daily REST reference,
// rooms/dialout/stop). A second time does no harm, so it is repeated until it comes to a clear end. ErrNotFound: there is
// nothing to stop, which is what was wanted.
func (c *Client) StopDialOut(ctx context.Context, room, sessionID string) error {
	const op = "stop dial-out"
	path, err := roomPath(op, room)
	if err != nil {
		return err
	}
	if sessionID == "" {
		return fmt.Errorf("%w: %s: session id is missing", ErrRefused, op)
	}
	_, err = call[statusOnly](ctx, c, request{
		op: op, class: ClassControl, repeatable: true,
		method: http.MethodPost, path: path + "/dialOut/stop", body: map[string]string{"sessionId": sessionID},
	})
	return err
}
