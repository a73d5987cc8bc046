// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/trunkline/trunkline/pkg/config"
)

// The audiences set tokens apart: none is good for what another one is.
const (
	botAudience     = "trunkline-gateway"
	serviceAudience = "trunkline-internal"
)

// serviceTokenFor is how long a service's token lasts. Each request has its own, so that one which leaks is soon worthless;
// and the clocks of two machines may be so far apart.
const serviceTokenFor = 5 * time.Minute

// Tokens signs and reads what lets in those who have no API key: bots, each for one attempt of one call, and Trunkline's own
// services. The first secret signs, and any of them may have signed what is read.
type Tokens struct{ Secrets []config.Secret }

type claims struct {
	jwt.RegisteredClaims        // Subject is the call, or the service
	Attempt              uint32 `json:"attempt,omitempty"`
}

// SignBot makes the token with which a bot speaks for one attempt of one call.
func (t Tokens) SignBot(callID string, attempt uint32, expires time.Time) (string, error) {
	return t.sign(callID, attempt, botAudience, expires)
}

// ReadBot gives the call and the attempt that a bot's token speaks for.
func (t Tokens) ReadBot(token string) (callID string, attempt uint32, err error) {
	c, err := t.read(token, botAudience)
	return c.Subject, c.Attempt, err
}

// SignService makes the token with which a service makes a request of another one. It expires in minutes.
func (t Tokens) SignService(name string) (string, error) {
	return t.sign(name, 0, serviceAudience, time.Now().Add(serviceTokenFor))
}

// ReadService gives the name of the service that a token speaks for.
func (t Tokens) ReadService(token string) (name string, err error) {
	c, err := t.read(token, serviceAudience)
	return c.Subject, err
}

func (t Tokens) sign(subject string, attempt uint32, audience string, expires time.Time) (string, error) {
	if len(t.Secrets) == 0 || t.Secrets[0] == "" {
		return "", errors.New("sign token: " + config.EnvTrunklineSecret + " is not set")
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: subject, Audience: jwt.ClaimStrings{audience}, ExpiresAt: jwt.NewNumericDate(expires),
		},
		Attempt: attempt,
	}).SignedString([]byte(t.Secrets[0].Reveal()))
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
}

func (t Tokens) read(token, audience string) (claims, error) {
	err := errors.New("nothing verifies it")
	for _, secret := range t.Secrets {
		if secret == "" { // anybody can sign with it
			continue
		}
		var c claims
		_, err = jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return []byte(secret.Reveal()), nil },
			jwt.WithValidMethods([]string{"HS256"}), jwt.WithAudience(audience), jwt.WithExpirationRequired())
		if err == nil && c.Subject == "" {
			err = jwt.ErrTokenInvalidSubject
		}
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, jwt.ErrTokenSignatureInvalid) {
			break
		}
	}
	return claims{}, fmt.Errorf("token: %w", err)
}
