// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/trunkline/trunkline/pkg/config"
)

func env(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadSecrets(t *testing.T) {
	got, err := config.LoadSecrets(env(map[string]string{
		"DAILY_API_KEY_FILE":    write(t, "key-of-the-domain\n"),
		"DAILY_PINLESS_HMAC":    "bmV3LW5ldy1uZXc=, b2xkLW9sZC1vbGQ=\n",
		"DAILY_WEBHOOK_HMAC":    " aG9vaw== ",
		"TRUNKLINE_SECRET":      "",
		"TRUNKLINE_SECRET_FILE": write(t, "the-new-one-is-first\nthe-old-one-is-next\nthe-new-one-is-first\n"),
	}))
	want := config.Secrets{
		DailyAPIKey:      "key-of-the-domain",
		DailyPinlessHMAC: []config.Secret{"bmV3LW5ldy1uZXc=", "b2xkLW9sZC1vbGQ="},
		DailyWebhookHMAC: []config.Secret{"aG9vaw=="},
		TrunklineSecret:  []config.Secret{"the-new-one-is-first", "the-old-one-is-next"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v (not shown), %v", got, err)
	}
	if got, err := config.LoadSecrets(env(nil)); err != nil || !reflect.DeepEqual(got, config.Secrets{}) {
		t.Errorf("nothing set: %v, %v", got, err)
	}
}

func TestLoadSecretsRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		vars map[string]string
		want string
	}{
		"two keys": {
			map[string]string{"DAILY_API_KEY": "SENSITIVE other"},
			"DAILY_API_KEY: must be one key, without blanks or commas",
		},
		"variable and file": {
			map[string]string{"DAILY_API_KEY": "SENSITIVE", "DAILY_API_KEY_FILE": "/SENSITIVE"},
			"DAILY_API_KEY: DAILY_API_KEY_FILE is set, too: keep one of them",
		},
		"no such file, or the secret in the wrong variable": {
			map[string]string{"DAILY_API_KEY_FILE": "/SENSITIVE"},
			"DAILY_API_KEY_FILE: the file cannot be read: no such file or directory",
		},
		"a folder": {
			map[string]string{"TRUNKLINE_SECRET_FILE": t.TempDir()},
			"TRUNKLINE_SECRET_FILE: the file cannot be read: is a directory",
		},
		"an empty file": {
			map[string]string{"DAILY_WEBHOOK_HMAC_FILE": write(t, " \n")},
			"DAILY_WEBHOOK_HMAC_FILE: the file is empty",
		},
		"no base64, and too short, at once": {
			map[string]string{
				"DAILY_PINLESS_HMAC": "aG9vaw==,SENSITIVE!", "DAILY_WEBHOOK_HMAC_FILE": write(t, "SENSITIVE!"),
				"TRUNKLINE_SECRET": "SENSITIVE",
			},
			"DAILY_PINLESS_HMAC: value 2 must be base64, as Daily gives it\n" +
				"DAILY_WEBHOOK_HMAC_FILE: the value must be base64, as Daily gives it\n" +
				"TRUNKLINE_SECRET: the value must have at least 16 characters",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := config.LoadSecrets(env(c.vars))
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "SENSITIVE") {
				t.Error("the error shows the value")
			}
			if !reflect.DeepEqual(got, config.Secrets{}) {
				t.Error("some secrets were given all the same")
			}
		})
	}
}

func TestRequire(t *testing.T) {
	s := config.Secrets{DailyAPIKey: "key", TrunklineSecret: []config.Secret{"a-long-enough-text"}}
	if err := s.Require(config.EnvDailyAPIKey, config.EnvTrunklineSecret); err != nil {
		t.Errorf("all are there: %v", err)
	}
	err := s.Require(config.EnvDailyPinlessHMAC, config.EnvDailyAPIKey, config.EnvDailyWebhookHMAC, "HOME")
	want := "DAILY_PINLESS_HMAC is not set: set DAILY_PINLESS_HMAC to the hmac of Daily's dial-in configuration, " +
		"or DAILY_PINLESS_HMAC_FILE to the path of a file that holds it\n" +
		"DAILY_WEBHOOK_HMAC is not set: set DAILY_WEBHOOK_HMAC to the hmac of Daily's domain webhook, " +
		"or DAILY_WEBHOOK_HMAC_FILE to the path of a file that holds it\n" +
		"HOME is not a secret of Trunkline"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// However it is printed, a secret does not show.
func TestSecretIsNotShown(t *testing.T) {
	const text = "hush-hush"
	s := config.Secrets{DailyAPIKey: text, TrunklineSecret: []config.Secret{text, text}}
	var shown []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t", "%f", "%U", "%10.3s"} {
		shown = append(shown, fmt.Sprintf(verb, s), fmt.Sprintf(verb, &s), fmt.Sprintf(verb, s.DailyAPIKey),
			fmt.Sprintf(verb, &s.DailyAPIKey), fmt.Sprintf(verb, map[string]any{"a": s.TrunklineSecret}))
	}
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
		data, err := marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, string(data))
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("secrets", "one", s.DailyAPIKey, "all", s, "list", s.TrunklineSecret)
	}
	shown = append(shown, log.String(), fmt.Sprint(s.DailyAPIKey), s.DailyAPIKey.String(), fmt.Errorf("%w: %v", os.ErrInvalid, s).Error())
	for _, out := range shown {
		if strings.Contains(out, text) || strings.Contains(out, fmt.Sprintf("%x", text)) || !strings.Contains(out, "[redacted]") {
			t.Errorf("shown: %s", out)
		}
	}
	if s.DailyAPIKey.Reveal() != text {
		t.Error("Reveal does not")
	}
	if config.Secret("").String() != "" {
		t.Error("no secret should show as none")
	}
}
