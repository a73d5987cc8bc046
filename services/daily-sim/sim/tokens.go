// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// The simulator has a JWT and a signature code of its own, so that a mistake in our Daily client is not
// hidden by the same mistake on the other side.

// tokenClaims are the short keys of a meeting token and the properties they stand for.
var tokenClaims = map[string]string{
	"r": "room_name", "nbf": "nbf", "exp": "exp", "ud": "user_id", "u": "user_name", "o": "is_owner", "k": "knocking",
	"ejt": "eject_at_token_exp", "eje": "eject_after_elapsed", "er": "enable_recording", "sr": "start_cloud_recording",
	"sro": "start_cloud_recording_opts", "ast": "auto_start_transcription", "ss": "enable_screenshare",
	"vo": "start_video_off", "ao": "start_audio_off", "p": "permissions", "rome": "redirect_on_meeting_exit",
	"ctoe": "close_tab_on_exit", "uil": "lang", "epui": "enable_prejoin_ui", "etl": "enable_terse_logging",
	"lcui": "enable_live_captions_ui", "rui": "enable_recording_ui",
}

// token is a meeting token whose signature is right.
type token struct {
	claims map[string]any
}

func (t token) text(claim string) string {
	v, _ := t.claims[claim].(string)
	return v
}

func (t token) flag(claim string) bool {
	v, _ := t.claims[claim].(bool)
	return v
}

func (t token) object(claim string) map[string]any {
	v, _ := t.claims[claim].(map[string]any)
	return v
}

func (t token) number(claim string) float64 {
	v, _ := t.claims[claim].(float64)
	return v
}

// carriesEject tells whether the token decides about ejection, in place of the room.
func (t token) carriesEject() bool {
	_, atExp := t.claims["ejt"]
	_, elapsed := t.claims["eje"]
	return atExp || elapsed
}

// check is what Daily looks at for any use of a token; room "" fits every token.
func (t token) check(room, domainID string, ignoreNbf bool, now time.Time) *apiError {
	switch {
	case t.text("d") != domainID:
		return forbidden("the token is for another domain")
	case room != "" && t.text("r") != "" && t.text("r") != room:
		return forbidden("the token is for another room")
	case t.number("exp") != 0 && !now.Before(unix(t.number("exp"))):
		return forbidden("the token has expired (exp)")
	case !ignoreNbf && t.number("nbf") != 0 && now.Before(unix(t.number("nbf"))):
		return forbidden("the token is not valid yet (nbf)")
	}
	return nil
}

func (s *Sim) createToken(r *request) (any, *apiError) {
	props, err := fieldObject(r.Body, "properties")
	if err != nil {
		return nil, err
	}
	claims := map[string]any{"d": s.cfg.DomainID, "iat": time.Now().Unix()}
	for claim, prop := range tokenClaims {
		if v, ok := props[prop]; ok && v != nil {
			claims[claim] = v
		}
	}
	t := token{claims}
	for _, claim := range []string{"nbf", "exp", "eje"} {
		if v, set := claims[claim]; set {
			if _, ok := v.(float64); !ok {
				return nil, invalid("property '%s' must be a number", tokenClaims[claim])
			}
		}
	}
	for _, claim := range []string{"o", "ejt"} {
		if v, set := claims[claim]; set {
			if _, ok := v.(bool); !ok {
				return nil, invalid("property '%s' must be a boolean", tokenClaims[claim])
			}
		}
	}
	for _, claim := range []string{"r", "u", "ud"} {
		if v, set := claims[claim]; set {
			if _, ok := v.(string); !ok {
				return nil, invalid("property '%s' must be a string", tokenClaims[claim])
			}
		}
	}
	if err := checkPermissions(props, "permissions"); err != nil {
		return nil, err
	}
	if exp := t.number("exp"); exp != 0 && unix(exp).Before(time.Now()) {
		return nil, invalid("'exp' is in the past: %v", exp)
	}
	if len(t.text("ud")) > 36 {
		return nil, invalid("property 'user_id' is longer than 36 characters")
	}
	return map[string]any{"token": signToken(s.cfg.APIKey, claims)}, nil
}

func (s *Sim) readToken(r *request) (any, *apiError) {
	t, err := parseToken(s.cfg.APIKey, r.PathValue("token"))
	if err == nil {
		err = t.check("", s.cfg.DomainID, r.URL.Query().Get("ignoreNbf") == "true", time.Now())
	}
	if err != nil {
		err.Status, err.Code = 400, "invalid-request-error"
		return nil, err
	}
	props := map[string]any{}
	for claim, v := range t.claims {
		if prop, ok := tokenClaims[claim]; ok {
			props[prop] = v
		}
	}
	return props, nil
}

func signToken(key string, claims map[string]any) string {
	body, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(body)
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac([]byte(key), signed))
}

func parseToken(key, raw string) (token, *apiError) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return token{}, forbidden("the token is not a JWT")
	}
	var header struct {
		Alg string `json:"alg"`
	}
	if !part(parts[0], &header) || header.Alg != "HS256" {
		return token{}, forbidden("the token is not an HS256 JWT")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !hmac.Equal(signature, mac([]byte(key), parts[0]+"."+parts[1])) {
		return token{}, forbidden("the signature of the token is wrong")
	}
	var t token
	if !part(parts[1], &t.claims) {
		return token{}, forbidden("the claims of the token are not JSON")
	}
	return t, nil
}

func part(encoded string, into any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	return err == nil && json.Unmarshal(raw, into) == nil
}

func mac(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

// sign is the signature of both kinds of webhook.
func sign(secret, timestamp string, body []byte) string {
	key, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		panic(err) // secrets are checked where they come in
	}
	return base64.StdEncoding.EncodeToString(mac(key, timestamp+"."+string(body)))
}
