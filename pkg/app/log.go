// SPDX-License-Identifier: Apache-2.0

package app

import (
	"io"
	"log/slog"

	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/phone"
)

// NewLog makes a logger that masks every phone number, whoever logs it and wherever it stands.
func NewLog(w io.Writer, cfg config.Log) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.Level, ReplaceAttr: mask}
	w = maskWriter{w}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func mask(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(phone.MaskAll(a.Value.String()))
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.StringValue(phone.MaskAll(err.Error()))
		}
	}
	return a
}

// maskWriter masks what is left in a line once it is written: what values of any kind print, and the names of
// attributes. Texts are masked before, because in a line a "\n" before a URI would be part of its scheme.
type maskWriter struct{ w io.Writer }

func (m maskWriter) Write(line []byte) (int, error) {
	if _, err := io.WriteString(m.w, phone.MaskAll(string(line))); err != nil {
		return 0, err
	}
	return len(line), nil
}
