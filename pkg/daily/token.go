// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// MeetingToken lets one participant into one room. It is signed here with the
// API key and costs no request to Daily (Daily guide "Self-signing meeting
// tokens"). A token cannot be revoked: keep it short-lived.
type MeetingToken struct {
	Room     string // required: without it Daily would open every room of the domain
	DomainID string // required: domain_id of Client.Domain
	UserID   string // at most 36 characters
	UserName string
	Owner    bool // may dial out, transfer and eject from inside the call
	// Permissions are the participant's own; nil: as the room has them.
	Permissions *Permissions

	// Whole seconds. Zero: NotBefore and Expires are left out, IssuedAt is now.
	NotBefore, Expires, IssuedAt time.Time

	// EjectAtExpiry ends the participant's stay when the token expires. With it
	// Daily ignores the room's own eject settings for this participant.
	EjectAtExpiry bool
}

// ErrBadToken means that a token is malformed, not HS256, or signed by another key.
var ErrBadToken = errors.New("daily: bad meeting token")

const maxUserID = 36 // Daily REST reference, meeting-tokens/create-meeting-token

type tokenClaims struct {
	jwt.RegisteredClaims
	Room          string       `json:"r,omitempty"`
	DomainID      string       `json:"d,omitempty"`
	UserID        string       `json:"ud,omitempty"`
	UserName      string       `json:"u,omitempty"`
	Owner         bool         `json:"o,omitempty"`
	Permissions   *Permissions `json:"p,omitempty"`
	EjectAtExpiry bool         `json:"ejt,omitempty"` // not "eje", which is eject_after_elapsed
}

// Sign returns the token as a JWT, HS256 with the API key.
func (t MeetingToken) Sign(apiKey string) (string, error) {
	if t.IssuedAt.IsZero() {
		t.IssuedAt = time.Now()
	}
	if apiKey == "" {
		return "", errors.New("daily: sign meeting token: no API key")
	}
	if err := t.check(); err != nil {
		return "", fmt.Errorf("daily: sign meeting token: %w", err)
	}
	claims := tokenClaims{
		Room: t.Room, DomainID: t.DomainID,
		UserID: t.UserID, UserName: t.UserName,
		Owner: t.Owner, Permissions: t.Permissions, EjectAtExpiry: t.EjectAtExpiry,
	}
	claims.IssuedAt = jwt.NewNumericDate(t.IssuedAt)
	if !t.NotBefore.IsZero() {
		claims.NotBefore = jwt.NewNumericDate(t.NotBefore)
	}
	if !t.Expires.IsZero() {
		claims.ExpiresAt = jwt.NewNumericDate(t.Expires)
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(apiKey))
}

func (t MeetingToken) check() error {
	var errs []error
	refuse := func(when bool, why string) {
		if when {
			errs = append(errs, errors.New(why))
		}
	}
	refuse(t.Room == "", "no room")
	refuse(t.DomainID == "", "no domain id")
	refuse(utf8.RuneCountInString(t.UserID) > maxUserID, "user id is longer than 36 characters")
	refuse(t.EjectAtExpiry && t.Expires.IsZero(), "eject at expiry without an expiry")
	refuse(!t.Expires.IsZero() && !t.Expires.After(t.IssuedAt), "expires before it is issued")
	refuse(!t.Expires.IsZero() && !t.Expires.After(t.NotBefore), "expires before it begins")
	return errors.Join(errs...)
}

// ParseMeetingToken decodes a token whose signature is good; anything else is
// ErrBadToken. It does not look at the times, so that a caller can tell too
// early from too late; all times come back in UTC.
func ParseMeetingToken(apiKey, token string) (MeetingToken, error) {
	if apiKey == "" {
		return MeetingToken{}, fmt.Errorf("%w: no API key to check it with", ErrBadToken)
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithoutClaimsValidation())
	var claims tokenClaims
	_, err := parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) {
		return []byte(apiKey), nil
	})
	if err != nil {
		return MeetingToken{}, fmt.Errorf("%w: %w", ErrBadToken, err)
	}
	return MeetingToken{
		Room: claims.Room, DomainID: claims.DomainID,
		UserID: claims.UserID, UserName: claims.UserName,
		Owner: claims.Owner, Permissions: claims.Permissions, EjectAtExpiry: claims.EjectAtExpiry,
		NotBefore: date(claims.NotBefore), Expires: date(claims.ExpiresAt), IssuedAt: date(claims.IssuedAt),
	}, nil
}

func date(d *jwt.NumericDate) time.Time {
	if d == nil {
		return time.Time{}
	}
	return d.UTC()
}
