// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// DeadLetters is the name of the stream of messages whose handling failed too often. It also carries those that have
// been taken back out of it, on their way to the service that failed.
const DeadLetters = "CALLS_DLQ"

const (
	deadRoot    = "dead"    // dead.<service>.<subject>
	redriveRoot = "redrive" // redrive.<service>.<subject>

	headerError  = "Trunkline-Error"
	headerBuried = "Trunkline-Buried"
)

// DeadLetter is a message whose handling failed too often.
type DeadLetter struct {
	Seq     uint64    `json:"seq"` // names it among the dead letters
	Service string    `json:"service"`
	Subject string    `json:"subject"` // where the message came from
	Error   string    `json:"error"`   // of the last try
	Buried  time.Time `json:"buried"`
}

// bury moves a message to the dead letters. A message that is there already, from before a crash, is not put twice.
func (b *Bus) bury(ctx context.Context, msg jetstream.Msg, reason error) error {
	origin := strings.TrimPrefix(msg.Subject(), redriveRoot+"."+b.Service+".")
	letter := &nats.Msg{Subject: deadRoot + "." + b.Service + "." + origin, Data: msg.Data(), Header: nats.Header{}}
	for k, v := range msg.Headers() {
		if !strings.HasPrefix(k, "Nats-") {
			letter.Header[k] = v
		}
	}
	letter.Header.Set(headerError, strconv.QuoteToASCII(reason.Error()))
	letter.Header.Set(headerBuried, time.Now().UTC().Format(time.RFC3339Nano))
	_, err := b.JS.PublishMsg(ctx, letter, jetstream.WithExpectLastSequencePerSubject(0))
	if err != nil && apiCode(err) != codeWrongLast {
		return fmt.Errorf("bury %s: %w", origin, err)
	}
	b.Metrics.buried(b.Service)
	return msg.TermWithReason("moved to the dead letters")
}

// ListDeadLetters gives all dead letters, the oldest first.
func ListDeadLetters(ctx context.Context, js jetstream.JetStream) ([]DeadLetter, error) {
	stream, err := js.Stream(ctx, DeadLetters)
	if err != nil {
		return nil, fmt.Errorf("dead letters: %w", err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(deadRoot+".>"))
	if err != nil {
		return nil, fmt.Errorf("dead letters: %w", err)
	}
	letters := []DeadLetter{}
	for seq := info.State.FirstSeq; len(info.State.Subjects) > 0; seq++ {
		m, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(deadRoot+".>"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("dead letters: %w", err)
		}
		seq = m.Sequence
		letters = append(letters, deadLetter(m))
	}
	return letters, nil
}

// Redrive gives a dead letter back to the service that could not handle it, which tries it anew.
func Redrive(ctx context.Context, js jetstream.JetStream, seq uint64) error {
	stream, err := js.Stream(ctx, DeadLetters)
	if err != nil {
		return fmt.Errorf("dead letters: %w", err)
	}
	m, err := stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("there is no dead letter %d", seq)
	}
	if err != nil {
		return fmt.Errorf("dead letter %d: %w", seq, err)
	}
	letter := deadLetter(m)
	if letter.Service == "" {
		return fmt.Errorf("message %d is not a dead letter: %s", seq, m.Subject)
	}
	again := &nats.Msg{Subject: redriveRoot + "." + letter.Service + "." + letter.Subject, Data: m.Data, Header: m.Header}
	if strings.HasPrefix(letter.Subject, TimerFired+".") {
		again.Subject = letter.Subject // the service's own stream of timers takes it back
	}
	if _, err := js.PublishMsg(ctx, again); err != nil {
		return fmt.Errorf("redrive %d: %w", seq, err)
	}
	if err := stream.DeleteMsg(ctx, seq); err != nil {
		return fmt.Errorf("redrive %d: it is on its way, but stays listed: %w", seq, err)
	}
	return nil
}

func deadLetter(m *jetstream.RawStreamMsg) DeadLetter {
	letter := DeadLetter{Seq: m.Sequence, Error: m.Header.Get(headerError)}
	if rest, ok := strings.CutPrefix(m.Subject, deadRoot+"."); ok {
		letter.Service, letter.Subject, _ = strings.Cut(rest, ".")
	}
	if text, err := strconv.Unquote(letter.Error); err == nil {
		letter.Error = text
	}
	if at, err := time.Parse(time.RFC3339Nano, m.Header.Get(headerBuried)); err == nil {
		letter.Buried = at
	}
	return letter
}
