// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

const (
	pinless = "pinless_dialin"
	pin     = "pin_dialin"
)

// dialinConfig ties a number, or a static SIP URI, to a dial-in webhook. The domain's pinless_dialin and
// pin_dialin arrays are another view of the same list.
type dialinConfig struct {
	id, kind string
	order    uint64
	wildcard bool // the setting's "*", which the API does not show
	fields   map[string]any
}

var configFields = []string{"phone_number", "name_prefix", "hmac", "room_creation_api", "hold_music_url", "timeout_config", "ivr_greeting"}

func (c *dialinConfig) text(field string) string {
	v, _ := c.fields[field].(string)
	return v
}

func (c *dialinConfig) view() map[string]any {
	return map[string]any{"id": c.id, "type": c.kind, "config": c.fields}
}

func (s *Sim) presetNumbers() {
	for _, n := range s.cfg.Numbers {
		c := s.newConfig(pinless, map[string]any{"phone_number": n.Number, "room_creation_api": n.WebhookURL})
		c.wildcard = n.Number == "*"
		if n.HMAC != "" {
			c.fields["hmac"] = n.HMAC
		}
		s.configs = append(s.configs, c)
		if !c.wildcard {
			s.bought = append(s.bought, &phoneNumber{id: uuid.NewString(), number: n.Number, boughtAt: time.Now().AddDate(-1, 0, 0)})
		}
	}
}

// newConfig fills in what Daily makes up: an id, the secret, the static SIP URI.
func (s *Sim) newConfig(kind string, fields map[string]any) *dialinConfig {
	s.lastID++
	c := &dialinConfig{id: uuid.NewString(), kind: kind, order: s.lastID, fields: fields}
	if kind == pinless {
		if c.text("hmac") == "" {
			c.fields["hmac"] = newSecret()
		}
		c.fields["sip_uri"] = fmt.Sprintf("username--%d@daily-%s-pinless-sip.dapp.signalwire.com", s.stamp(), s.cfg.Domain)
	}
	return c
}

// configFor finds what answers a dialled number or SIP URI; mu is held.
func (s *Sim) configFor(to string) *dialinConfig {
	var wildcard *dialinConfig
	for _, c := range s.configs {
		switch {
		case c.kind != pinless || c.text("room_creation_api") == "":
		case c.wildcard:
			wildcard = c
		case c.text("phone_number") == to, c.text("sip_uri") == strings.TrimPrefix(to, "sip:"):
			return c
		}
	}
	return wildcard
}

// readConfig takes the known fields, flat or nested in config.
func readConfig(body map[string]any) (map[string]any, *apiError) {
	nested, err := fieldObject(body, "config")
	if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	for _, name := range configFields {
		v, ok := nested[name]
		if !ok {
			v, ok = body[name]
		}
		if !ok {
			continue
		}
		fields[name] = v
		_, isText := v.(string)
		_, isObject := v.(map[string]any)
		wantsObject := name == "timeout_config" || name == "ivr_greeting"
		if v != nil && (wantsObject && !isObject || !wantsObject && !isText) {
			return nil, invalid("'%s' has the wrong type", name)
		}
	}
	if secret, ok := fields["hmac"].(string); ok {
		if _, err := base64.StdEncoding.DecodeString(secret); err != nil {
			return nil, invalid("'hmac' is not base64")
		}
	}
	if number, ok := fields["phone_number"].(string); ok && !strings.HasPrefix(number, "+") {
		return nil, invalid("'phone_number' must be in E.164 format")
	}
	return fields, nil
}

// complete checks what a config of a kind needs.
func complete(kind string, fields map[string]any) *apiError {
	number, _ := fields["phone_number"].(string)
	api, _ := fields["room_creation_api"].(string)
	switch {
	case kind != pinless && kind != pin:
		return invalid("'type' must be 'pinless_dialin' or 'pin_dialin'")
	case kind == pin && number == "":
		return invalid("'phone_number' is required for 'pin_dialin'")
	case kind == pinless && api == "":
		return invalid("'room_creation_api' is required for 'pinless_dialin'")
	case kind == pinless && fields["ivr_greeting"] != nil:
		return invalid("'ivr_greeting' is for 'pin_dialin' only")
	}
	return nil
}

// taken tells whether another config has the number; mu is held.
func (s *Sim) taken(number string, but *dialinConfig) *apiError {
	for _, c := range s.configs {
		if number != "" && c != but && c.text("phone_number") == number {
			return invalid("phone number %s is already configured", number)
		}
	}
	return nil
}

func (s *Sim) createConfig(r *request) (any, *apiError) {
	kind, err := fieldString(r.Body, "type")
	if err != nil {
		return nil, err
	}
	fields, err := readConfig(r.Body)
	if err != nil {
		return nil, err
	}
	fields = merge(nil, fields)
	if err := complete(kind, fields); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	number, _ := fields["phone_number"].(string)
	if err := s.taken(number, nil); err != nil {
		return nil, err
	}
	c := s.newConfig(kind, fields)
	s.configs = append(s.configs, c)
	s.pingConfig(c)
	return c.view(), nil
}

func (s *Sim) updateConfig(r *request) (any, *apiError) {
	fields, err := readConfig(r.Body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.config(r)
	if err != nil {
		return nil, err
	}
	if kind, given := r.Body["type"]; given && kind != c.kind {
		return nil, invalid("the type of a config cannot be changed")
	}
	merged := merge(c.fields, fields)
	if err := complete(c.kind, merged); err != nil {
		return nil, err
	}
	number, _ := merged["phone_number"].(string)
	if err := s.taken(number, c); err != nil {
		return nil, err
	}
	if hmac, _ := merged["hmac"].(string); hmac == "" && c.kind == pinless {
		merged["hmac"] = newSecret()
	}
	c.fields = merged
	s.pingConfig(c)
	return c.view(), nil
}

func (s *Sim) pingConfig(c *dialinConfig) {
	if api := c.text("room_creation_api"); c.kind == pinless && api != "" {
		s.ping(api, c.text("hmac"))
	}
	s.touch()
}

func (s *Sim) config(r *request) (*dialinConfig, *apiError) {
	for _, c := range s.configs {
		if c.id == r.PathValue("id") && !c.wildcard {
			return c, nil
		}
	}
	return nil, notFound("dial-in config %s not found", r.PathValue("id"))
}

func (s *Sim) getConfig(r *request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.config(r)
	if err != nil {
		return nil, err
	}
	return c.view(), nil
}

func (s *Sim) deleteConfig(r *request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.config(r)
	if err != nil {
		return nil, err
	}
	s.configs = slices.DeleteFunc(s.configs, func(x *dialinConfig) bool { return x == c })
	s.touch()
	return map[string]any{"status": "deleted"}, nil
}

func (s *Sim) listConfigs(r *request) (any, *apiError) {
	q := r.URL.Query()
	numbers := strings.FieldsFunc(q.Get("phone_numbers"), func(c rune) bool { return c == ',' })
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*dialinConfig
	for _, c := range slices.Backward(s.configs) {
		user, _, _ := strings.Cut(c.text("sip_uri"), "@")
		switch {
		case c.wildcard:
		case q.Get("type") != "" && c.kind != q.Get("type"):
		case q.Get("phone_number") != "" && c.text("phone_number") != q.Get("phone_number"):
		case len(numbers) > 0 && !slices.Contains(numbers, c.text("phone_number")):
		case q.Get("sip_username") != "" && user != q.Get("sip_username"):
		case q.Get("name_prefix") != "" && c.text("name_prefix") != q.Get("name_prefix"):
		default:
			found = append(found, c)
		}
	}
	return paged(r, found, func(c *dialinConfig) string { return c.id }, func(c *dialinConfig) any { return c.view() })
}

func newSecret() string {
	key := make([]byte, 32)
	rand.Read(key) //nolint:errcheck // never fails
	return base64.StdEncoding.EncodeToString(key)
}
