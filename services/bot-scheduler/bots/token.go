// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// gatewayAudience sets the bots' tokens apart from any other that the same secret may sign.
const gatewayAudience = "trunkline-gateway"

type claims struct {
	jwt.RegisteredClaims        // Subject is the call
	Attempt              uint32 `json:"attempt"`
}

// signToken makes the token with which a bot speaks for one attempt of one call.
func (s *Scheduler) signToken(callID string, attempt uint32, expires time.Time) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: callID, Audience: jwt.ClaimStrings{gatewayAudience}, ExpiresAt: jwt.NewNumericDate(expires),
		},
		Attempt: attempt,
	})
	return token.SignedString([]byte(s.Secrets.TrunklineSecret[0].Reveal()))
}

// readToken gives the call and the attempt that a token speaks for. Any of the secrets may have signed it.
func (s *Scheduler) readToken(token string) (callID string, attempt uint32, err error) {
	for _, secret := range s.Secrets.TrunklineSecret {
		var c claims
		_, err = jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return []byte(secret.Reveal()), nil },
			jwt.WithValidMethods([]string{"HS256"}), jwt.WithAudience(gatewayAudience), jwt.WithExpirationRequired())
		if err == nil {
			return c.Subject, c.Attempt, nil
		}
		if errors.Is(err, jwt.ErrTokenExpired) {
			break
		}
	}
	return "", 0, fmt.Errorf("token: %w", err)
}
