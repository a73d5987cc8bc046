// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Config is everything that can be set. Defaults gives the values that Daily documents or suggests;
// docs/daily-sim.md explains every field.
type Config struct {
	// Who the domain is.
	APIKey     string `json:"api_key" yaml:"api_key"`
	Domain     string `json:"domain" yaml:"domain"`
	DomainID   string `json:"domain_id" yaml:"domain_id"`
	CallDomain string `json:"call_domain" yaml:"call_domain"`
	// PublicURL is the base of room URLs; its path is where the join protocol is served.
	// Empty: derived from the request that made the room, path /daily.
	PublicURL string `json:"public_url" yaml:"public_url"`

	// What a fresh domain has already.
	Numbers []Number       `json:"numbers" yaml:"numbers"`
	Webhook *WebhookPreset `json:"webhook" yaml:"webhook"`
	Faults  Faults         `json:"faults" yaml:"faults"`

	// The request budgets of the whole domain.
	Budgets    Budgets `json:"budgets" yaml:"budgets"`
	RetryAfter bool    `json:"retry_after" yaml:"retry_after"`

	// The dial-in webhook and the hold.
	DialinWebhookTimeout Duration `json:"dialin_webhook_timeout" yaml:"dialin_webhook_timeout"`
	DialinWebhookRetries int      `json:"dialin_webhook_retries" yaml:"dialin_webhook_retries"`
	DialinWebhookBackoff Duration `json:"dialin_webhook_backoff" yaml:"dialin_webhook_backoff"`
	PinlessTimestamp     string   `json:"pinless_timestamp" yaml:"pinless_timestamp"`
	TestPingKey          string   `json:"test_ping_key" yaml:"test_ping_key"`
	SignTestPings        bool     `json:"sign_test_pings" yaml:"sign_test_pings"`
	AnonymousFrom        string   `json:"anonymous_from" yaml:"anonymous_from"`
	MaxHold              Duration `json:"max_hold" yaml:"max_hold"`

	// The way of a caller into a room.
	SIPReadyDelay            Duration `json:"sip_ready_delay" yaml:"sip_ready_delay"`
	ConnectDelay             Duration `json:"connect_delay" yaml:"connect_delay"`
	SIPPrefix                bool     `json:"sip_prefix" yaml:"sip_prefix"`
	MaxSIPSessions           int      `json:"max_sip_sessions" yaml:"max_sip_sessions"`
	SecondForward            string   `json:"second_forward" yaml:"second_forward"`
	DialinReadyForLateJoiner bool     `json:"dialin_ready_for_late_joiner" yaml:"dialin_ready_for_late_joiner"`
	LegsDrop                 string   `json:"legs_drop" yaml:"legs_drop"`
	LegsFirst                string   `json:"legs_first" yaml:"legs_first"`

	// The way of a called person into a room.
	Dialout Dialout `json:"dialout" yaml:"dialout"`

	// The way of a phone out of a room, and what participants may do in it.
	Transfers   Transfers   `json:"transfers" yaml:"transfers"`
	Permissions Permissions `json:"permissions" yaml:"permissions"`

	// The domain webhook.
	WebhookTestTimeout Duration `json:"webhook_test_timeout" yaml:"webhook_test_timeout"`
	WebhookTimeout     Duration `json:"webhook_timeout" yaml:"webhook_timeout"`
	WebhookTrip        int      `json:"webhook_trip" yaml:"webhook_trip"`
	WebhookAttempts    int      `json:"webhook_attempts" yaml:"webhook_attempts"`
	WebhookBackoff     Duration `json:"webhook_backoff" yaml:"webhook_backoff"`
	WebhookBackoffMax  Duration `json:"webhook_backoff_max" yaml:"webhook_backoff_max"`
	WebhookTimestamp   string   `json:"webhook_timestamp" yaml:"webhook_timestamp"`
	PayloadTimestamps  string   `json:"payload_timestamps" yaml:"payload_timestamps"`
	TelephonyKeys      string   `json:"telephony_keys" yaml:"telephony_keys"`
	MeetingEndedLag    Duration `json:"meeting_ended_lag" yaml:"meeting_ended_lag"`

	// What is seen from outside, and when.
	PresenceLagMin      Duration `json:"presence_lag_min" yaml:"presence_lag_min"`
	PresenceLagMax      Duration `json:"presence_lag_max" yaml:"presence_lag_max"`
	CollectExpiredAfter Duration `json:"collect_expired_after" yaml:"collect_expired_after"`
	NumberReleaseAge    Duration `json:"number_release_age" yaml:"number_release_age"`

	// The simulator itself.
	KeepAlive Duration `json:"keep_alive" yaml:"keep_alive"`
	History   int      `json:"history" yaml:"history"`
	Seed      int64    `json:"seed" yaml:"seed"`
}

// Number ties a phone number to a dial-in webhook. The number "*" stands for every number that nothing else claims.
type Number struct {
	Number     string `json:"number" yaml:"number"`
	WebhookURL string `json:"webhook_url" yaml:"webhook_url"`
	HMAC       string `json:"hmac" yaml:"hmac"`
}

// WebhookPreset is a domain webhook that exists from the start, without the create-time test.
type WebhookPreset struct {
	URL        string   `json:"url" yaml:"url"`
	HMAC       string   `json:"hmac" yaml:"hmac"`
	BasicAuth  string   `json:"basic_auth" yaml:"basic_auth"`
	RetryType  string   `json:"retry_type" yaml:"retry_type"`
	EventTypes []string `json:"event_types" yaml:"event_types"`
}

// Budgets are Daily's three request budgets, counted for the domain as a whole.
type Budgets struct {
	Lifted bool   `json:"lifted" yaml:"lifted"`
	Most   Budget `json:"most" yaml:"most"`
	Delete Budget `json:"delete" yaml:"delete"`
	Dial   Budget `json:"dial" yaml:"dial"`
}

// Budget allows Limit requests in any stretch of Window.
type Budget struct {
	Limit  int      `json:"limit" yaml:"limit"`
	Window Duration `json:"window" yaml:"window"`
}

// Defaults is a domain that behaves as Daily documents, and where Daily is silent as its docs suggest.
func Defaults() Config {
	return Config{
		APIKey:     "sim-daily-api-key",
		Domain:     "trunkline-sim",
		DomainID:   "5a1d5e9c-0000-4000-8000-7472756e6b01",
		CallDomain: "5a1d5e9c-0000-4000-8000-7472756e6b02",
		Budgets: Budgets{
			Most:   Budget{Limit: 100, Window: Duration(5 * time.Second)},
			Delete: Budget{Limit: 50, Window: Duration(30 * time.Second)},
			Dial:   Budget{Limit: 5, Window: Duration(5 * time.Second)},
		},
		DialinWebhookTimeout: Duration(10 * time.Second),
		DialinWebhookBackoff: Duration(time.Second),
		PinlessTimestamp:     "ms",
		TestPingKey:          "Test",
		AnonymousFrom:        "null",
		MaxHold:              Duration(120 * time.Second),
		SIPReadyDelay:        Duration(20 * time.Millisecond),
		ConnectDelay:         Duration(20 * time.Millisecond),
		MaxSIPSessions:       5,
		SecondForward:        "404",
		LegsDrop:             "last-owner",
		LegsFirst:            "stay",
		Dialout:              dialoutDefaults(),
		Transfers:            transferDefaults(),
		Permissions:          permissionsDefaults(),
		WebhookTestTimeout:   Duration(8 * time.Second),
		WebhookTimeout:       Duration(10 * time.Second),
		WebhookTrip:          3,
		WebhookAttempts:      5,
		WebhookBackoff:       Duration(time.Second),
		WebhookBackoffMax:    Duration(15 * time.Minute),
		WebhookTimestamp:     "ms",
		PayloadTimestamps:    "string",
		TelephonyKeys:        "camel",
		MeetingEndedLag:      Duration(2 * time.Second),
		PresenceLagMin:       Duration(10 * time.Second),
		PresenceLagMax:       Duration(25 * time.Second),
		CollectExpiredAfter:  Duration(time.Minute),
		NumberReleaseAge:     Duration(14 * 24 * time.Hour),
		KeepAlive:            Duration(5 * time.Second),
		History:              10000,
		Seed:                 1,
	}
}

// Validate reports every problem at once, each with the name of its field.
func (c Config) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
	needed := func(field, value string) {
		if value == "" {
			bad(field, "must not be empty")
		}
	}
	oneOf := func(field, value string, allowed ...string) {
		for _, a := range allowed {
			if value == a {
				return
			}
		}
		bad(field, "%q is none of %s", value, strings.Join(allowed, ", "))
	}
	positive := func(field string, ok bool) {
		if !ok {
			bad(field, "must be more than zero")
		}
	}
	link := func(field, value string) {
		if u, err := url.Parse(value); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			bad(field, "%q is not an http(s) URL", value)
		}
	}
	secret := func(field, value string) {
		if _, err := base64.StdEncoding.DecodeString(value); err != nil {
			bad(field, "is not base64")
		}
	}

	needed("api_key", c.APIKey)
	needed("domain", c.Domain)
	needed("domain_id", c.DomainID)
	needed("call_domain", c.CallDomain)
	if c.PublicURL != "" {
		link("public_url", c.PublicURL)
	}
	seen := map[string]bool{}
	for i, n := range c.Numbers {
		at := fmt.Sprintf("numbers[%d].", i)
		needed(at+"number", n.Number)
		if seen[n.Number] {
			bad(at+"number", "%q is there twice", n.Number)
		}
		seen[n.Number] = true
		link(at+"webhook_url", n.WebhookURL)
		secret(at+"hmac", n.HMAC)
	}
	if w := c.Webhook; w != nil {
		link("webhook.url", w.URL)
		secret("webhook.hmac", w.HMAC)
		oneOf("webhook.retry_type", w.RetryType, "", retryBreaker, retryExponential)
	}
	if err := c.Faults.validate(); err != nil {
		bad("faults", "%v", err)
	}
	for name, b := range map[string]Budget{"most": c.Budgets.Most, "delete": c.Budgets.Delete, "dial": c.Budgets.Dial} {
		positive("budgets."+name+".limit", b.Limit > 0)
		positive("budgets."+name+".window", b.Window > 0)
	}
	positive("dialin_webhook_timeout", c.DialinWebhookTimeout > 0)
	positive("webhook_timeout", c.WebhookTimeout > 0)
	positive("webhook_test_timeout", c.WebhookTestTimeout > 0)
	positive("webhook_trip", c.WebhookTrip > 0)
	positive("webhook_attempts", c.WebhookAttempts > 0)
	positive("max_hold", c.MaxHold > 0)
	positive("max_sip_sessions", c.MaxSIPSessions > 0)
	positive("keep_alive", c.KeepAlive > 0)
	positive("history", c.History > 0)
	if c.DialinWebhookRetries < 0 {
		bad("dialin_webhook_retries", "must not be negative")
	}
	oneOf("pinless_timestamp", c.PinlessTimestamp, "ms", "s")
	oneOf("webhook_timestamp", c.WebhookTimestamp, "ms", "s")
	oneOf("test_ping_key", c.TestPingKey, "Test", "test")
	oneOf("anonymous_from", c.AnonymousFrom, "null", "empty")
	oneOf("payload_timestamps", c.PayloadTimestamps, "string", "integer")
	oneOf("second_forward", c.SecondForward, "404", "second-leg")
	oneOf("legs_drop", c.LegsDrop, "last-owner", "last-web")
	oneOf("legs_first", c.LegsFirst, "stay", "alone")
	oneOf("telephony_keys", c.TelephonyKeys, "camel", "snake", "none")
	c.Dialout.validate(oneOf, bad)
	c.Transfers.validate(oneOf)
	c.Permissions.validate(oneOf)
	if c.MeetingEndedLag.Std() > 20*time.Second {
		bad("meeting_ended_lag", "must not be more than 20s")
	}
	if c.PresenceLagMax < c.PresenceLagMin {
		bad("presence_lag_max", "must not be less than presence_lag_min")
	}
	return errors.Join(errs...)
}
