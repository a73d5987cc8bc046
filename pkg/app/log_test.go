// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

const number = "+14155550123"

type caller struct{ number string }

func (c caller) LogValue() slog.Value { return slog.GroupValue(slog.String("number", c.number)) }

type party struct {
	Number string
	Deep   map[string][]string
}

func TestNoLineOfALogHoldsAWholeNumber(t *testing.T) {
	wrapped := fmt.Errorf("call %s: %w", number, errors.New("dial sip:"+number+"@example.com"))
	for phrase, write := range map[string]func(*slog.Logger){
		"in the message":             func(l *slog.Logger) { l.Info("a call from " + number) },
		"as an attribute":            func(l *slog.Logger) { l.Info("x", "from", number) },
		"within an attribute's text": func(l *slog.Logger) { l.Info("x", "uri", "sip:"+number+"@example.com;user=phone") },
		"as an attribute's name":     func(l *slog.Logger) { l.Info("x", number, 1) },
		"in an error":                func(l *slog.Logger) { l.Error("x", "err", wrapped) },
		"in an error of many lines": func(l *slog.Logger) {
			l.Error("x", "err", errors.Join(wrapped, errors.New("sip:4155550123@example.com")))
		},
		"in a group":                       func(l *slog.Logger) { l.Info("x", slog.Group("g", slog.Group("h", "from", number))) },
		"in a group that was opened":       func(l *slog.Logger) { l.WithGroup("g").Info("x", "from", number) },
		"as a group's name":                func(l *slog.Logger) { l.WithGroup(number).Info("x", "a", 1) },
		"in what was said before":          func(l *slog.Logger) { l.With("from", number).Info("x") },
		"in a value that describes itself": func(l *slog.Logger) { l.Info("x", "caller", caller{number}) },
		"in a list":                        func(l *slog.Logger) { l.Info("x", "numbers", []string{"a", number}) },
		"in a struct":                      func(l *slog.Logger) { l.Info("x", "party", party{number, map[string][]string{number: {number}}}) },
		"in a pointer to a struct":         func(l *slog.Logger) { l.Info("x", "party", &party{Number: number}) },
		"in a map":                         func(l *slog.Logger) { l.Info("x", "headers", map[string]string{"P-Asserted": "tel:" + number}) },
		"in an event":                      func(l *slog.Logger) { l.Info("x", "event", &callv1.CallReceived{From: number}) },
		"in a URL":                         func(l *slog.Logger) { l.Info("x", "url", &url.URL{Path: "/", RawQuery: "from=%2B14155550123"}) },
		"in bytes":                         func(l *slog.Logger) { l.Info("x", "body", []byte(`{"From":"`+number+`"}`)) },
		"in a panic":                       func(l *slog.Logger) { l.Error("x", "err", fmt.Errorf("panic: %v\n%s", number, "goroutine 1")) },
	} {
		for _, format := range []string{"text", "json"} {
			var out bytes.Buffer
			write(app.NewLog(&out, config.Log{Format: format}))
			if out.Len() == 0 || strings.Contains(out.String(), "4155550123") {
				t.Errorf("%s, as %s: %s", phrase, format, out.String())
			}
		}
	}
}

func TestTheRestOfALineStays(t *testing.T) {
	var out bytes.Buffer
	log := app.NewLog(&out, config.Log{Format: "json", Level: slog.LevelInfo})
	log.Debug("not wanted")
	log.With("service", "ingress").Info("stored", "call_id", "abc", "n", 3, slog.Group("g", "list", []int{1, 2}), "err", errors.New("no"), "from", number)
	want := regexp.MustCompile(`^{"time":"[^"]+","level":"INFO","msg":"stored","service":"ingress","call_id":"abc","n":3,"g":{"list":\[1,2\]},"err":"no","from":"\+1\*{8}23"}\n$`)
	if !want.MatchString(out.String()) {
		t.Errorf("got %s", out.String())
	}
}

func TestASecretIsNeverLogged(t *testing.T) {
	secrets := config.Secrets{DailyAPIKey: "the-account-key", DailyPinlessHMAC: []config.Secret{"cGlubGVzcw=="}, TrunklineSecret: []config.Secret{"a secret of ours"}}
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		log := app.NewLog(&out, config.Log{Format: format})
		log.Info("x", "key", secrets.DailyAPIKey, "all", secrets, "options", app.Options{Secrets: secrets}.Secrets)
		for _, secret := range []string{"the-account-key", "cGlubGVzcw", "a secret of ours"} {
			if strings.Contains(out.String(), secret) {
				t.Errorf("%s: %s", format, out.String())
			}
		}
	}
}
