// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/nats-io/nkeys"
)

// The secrets, by the environment variable that holds each. With _FILE at the
// end, a variable holds the path of a file that holds the secret.
const (
	EnvDailyAPIKey            = "DAILY_API_KEY"             // the account key of the Daily domain
	EnvDailyPinlessHMAC       = "DAILY_PINLESS_HMAC"        // signs dial-in webhooks
	EnvDailyWebhookHMAC       = "DAILY_WEBHOOK_HMAC"        // signs domain webhooks
	EnvTrunklineSecret        = "TRUNKLINE_SECRET"          // signs the tokens of bots and services
	EnvPipecatCloudKey        = "PIPECAT_CLOUD_API_KEY"     // starts agents at Pipecat Cloud: its public key
	EnvPipecatCloudPrivateKey = "PIPECAT_CLOUD_PRIVATE_KEY" // sees and stops their sessions
	EnvNATSNKey               = "NATS_NKEY"                 // the seed of the process's NATS user, where NATS has users
)

// minSecret is the least length of TRUNKLINE_SECRET, in characters.
const minSecret = 16

// Secrets holds what must not stand in a file that is shared. What is not set
// is empty; Require says so.
//
// Of several the first signs and all verify, so that a secret can be changed
// while calls go on: put the new one first, and take the old one out later.
type Secrets struct {
	DailyAPIKey      Secret
	DailyPinlessHMAC []Secret // base64
	DailyWebhookHMAC []Secret // base64
	TrunklineSecret  []Secret
	NATSNKey         Secret

	PipecatCloudKey        Secret
	PipecatCloudPrivateKey Secret
}

// LoadSecrets reads the secrets by getenv, such as os.Getenv. Every problem is
// reported at once, by the name of its variable and never with its value.
func LoadSecrets(getenv func(string) string) (Secrets, error) {
	var s Secrets
	var errs []error
	read := func(name string, take func(values []Secret) error) {
		text, source, err := lookup(getenv, name)
		if err == nil {
			err = take(split(text))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", source, err))
		}
	}
	key := func(into *Secret) func([]Secret) error {
		return func(values []Secret) error {
			if len(values) > 1 {
				return errors.New("must be one key, without blanks or commas")
			}
			*into = first(values)
			return nil
		}
	}
	read(EnvDailyAPIKey, key(&s.DailyAPIKey))
	read(EnvPipecatCloudKey, key(&s.PipecatCloudKey))
	read(EnvPipecatCloudPrivateKey, key(&s.PipecatCloudPrivateKey))
	read(EnvDailyPinlessHMAC, func(values []Secret) error {
		s.DailyPinlessHMAC = values
		return checkBase64(values)
	})
	read(EnvDailyWebhookHMAC, func(values []Secret) error {
		s.DailyWebhookHMAC = values
		return checkBase64(values)
	})
	read(EnvTrunklineSecret, func(values []Secret) error {
		s.TrunklineSecret = values
		return checkLength(values)
	})
	read(EnvNATSNKey, func(values []Secret) error {
		s.NATSNKey = first(values)
		return checkSeed(values)
	})
	if err := errors.Join(errs...); err != nil {
		return Secrets{}, err
	}
	return s, nil
}

// Require reports which of the named secrets are not set, and how to set
// them. Each service demands what it needs and nothing else.
func (s Secrets) Require(names ...string) error {
	var errs []error
	for _, name := range names {
		var set bool
		switch name {
		case EnvDailyAPIKey:
			set = s.DailyAPIKey != ""
		case EnvDailyPinlessHMAC:
			set = first(s.DailyPinlessHMAC) != ""
		case EnvDailyWebhookHMAC:
			set = first(s.DailyWebhookHMAC) != ""
		case EnvTrunklineSecret:
			set = first(s.TrunklineSecret) != ""
		case EnvNATSNKey:
			set = s.NATSNKey != ""
		case EnvPipecatCloudKey:
			set = s.PipecatCloudKey != ""
		case EnvPipecatCloudPrivateKey:
			set = s.PipecatCloudPrivateKey != ""
		default:
			errs = append(errs, fmt.Errorf("%s is not a secret of Trunkline", name))
			continue
		}
		if !set {
			errs = append(errs, fmt.Errorf("%s is not set: set %[1]s to %s, or %[1]s_FILE to the path of a file that holds it", name, purpose[name]))
		}
	}
	return errors.Join(errs...)
}

var purpose = map[string]string{
	EnvDailyAPIKey:            "the API key of your Daily domain",
	EnvDailyPinlessHMAC:       "the hmac of Daily's dial-in configuration",
	EnvDailyWebhookHMAC:       "the hmac of Daily's domain webhook",
	EnvTrunklineSecret:        fmt.Sprintf("a random text of at least %d characters, the same for every service", minSecret),
	EnvPipecatCloudKey:        "the public key of Pipecat Cloud, which starts agents",
	EnvPipecatCloudPrivateKey: "the private key of Pipecat Cloud, which sees and stops their sessions",
	EnvNATSNKey:               "the seed of the service's NATS user; trunkline nats keys makes one for each",
}

// isSecretName reports whether an environment variable holds a secret of ours.
func isSecretName(name string) bool {
	_, ok := purpose[strings.TrimSuffix(name, "_FILE")]
	return ok
}

// lookup gives the text of a secret, empty if it is not set, and the variable
// to name if something is wrong with it. The path of a file is not named in an
// error: who mixes up the two variables has put the secret there.
func lookup(getenv func(string) string, name string) (text, source string, err error) {
	value, path := getenv(name), getenv(name+"_FILE")
	switch {
	case path == "":
		return value, name, nil
	case value != "":
		return "", name, fmt.Errorf("%s_FILE is set, too: keep one of them", name)
	}
	source = name + "_FILE"
	f, err := os.Open(path)
	if err != nil {
		return "", source, fmt.Errorf("the file cannot be read: %w", withoutPath(err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize))
	if err != nil {
		return "", source, fmt.Errorf("the file cannot be read: %w", withoutPath(err))
	}
	if strings.TrimSpace(string(data)) == "" {
		return "", source, errors.New("the file is empty")
	}
	return string(data), source, nil
}

func withoutPath(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// split separates several secrets by commas or blanks.
func split(text string) []Secret {
	var values []Secret
	for field := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		if s := Secret(field); !slices.Contains(values, s) {
			values = append(values, s)
		}
	}
	return values
}

func first(values []Secret) Secret {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func checkBase64(values []Secret) error {
	for i, v := range values {
		if _, err := base64.StdEncoding.Strict().DecodeString(v.Reveal()); err != nil {
			return fmt.Errorf("%s must be base64, as Daily gives it", ordinal(i, values))
		}
	}
	return nil
}

func checkLength(values []Secret) error {
	for i, v := range values {
		if len(v) < minSecret {
			return fmt.Errorf("%s must have at least %d characters", ordinal(i, values), minSecret)
		}
	}
	return nil
}

func checkSeed(values []Secret) error {
	if len(values) > 1 {
		return errors.New("must be one seed")
	}
	for _, v := range values {
		if prefix, _, err := nkeys.DecodeSeed([]byte(v.Reveal())); err != nil || prefix != nkeys.PrefixByteUser {
			return errors.New("must be the seed of an NKey of a user, which begins with SU")
		}
	}
	return nil
}

func ordinal(i int, values []Secret) string {
	if len(values) == 1 {
		return "the value"
	}
	return fmt.Sprintf("value %d", i+1)
}
