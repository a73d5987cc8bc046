// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
)

// startFlags are what is wanted of a call, as flags.
type startFlags struct {
	key, agent, callerID     string
	notBefore, notAfter      moment
	maxDuration, ringTimeout time.Duration
	retries, metadata        []string
	metadataJSON             string
}

func (f *startFlags) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.agent, "agent", "", "the agent that talks")
	flags.StringVar(&f.callerID, "caller-id", "", "Daily's id (a UUID) of the purchased number to call from")
	flags.Var(&f.notBefore, "not-before", "the call is not made before; now if not given")
	flags.Var(&f.notAfter, "not-after", "nothing is tried after")
	flags.DurationVar(&f.maxDuration, "max-duration", 0, "how long the call may last, from the answer")
	flags.DurationVar(&f.ringTimeout, "ring-timeout", 0, "how long the phone may ring")
	flags.StringArrayVar(&f.retries, "retry", nil, "CAUSE:DELAY:LIMIT, such as no_answer:15m:2, in place of the configured ones; none for none; may be repeated")
	flags.StringArrayVar(&f.metadata, "metadata", nil, "KEY=VALUE for the bot; may be repeated")
	flags.StringVar(&f.metadataJSON, "metadata-json", "", "a JSON object for the bot, in place of --metadata")
	flags.StringVar(&f.key, "idempotency-key", "", "the same key gives the same call back")
	_ = cmd.MarkFlagRequired("agent")
	cmd.MarkFlagsMutuallyExclusive("metadata", "metadata-json")
}

func (f *startFlags) request(to string, now time.Time) (*controlv1.StartCallRequest, error) {
	req := &controlv1.StartCallRequest{
		IdempotencyKey: f.key, To: to, Agent: f.agent, CallerId: f.callerID,
		NotBefore: f.notBefore.timestamp(now), NotAfter: f.notAfter.timestamp(now),
	}
	if f.maxDuration != 0 {
		req.MaxDuration = durationpb.New(f.maxDuration)
	}
	if f.ringTimeout != 0 {
		req.RingTimeout = durationpb.New(f.ringTimeout)
	}
	var err, retryErr error
	req.Metadata, err = f.bag()
	req.Retry, retryErr = f.retry()
	return req, errors.Join(err, retryErr)
}

func (f *startFlags) retry() (*controlv1.RetryPolicy, error) {
	if len(f.retries) == 0 {
		return nil, nil
	}
	policy := &controlv1.RetryPolicy{}
	if len(f.retries) == 1 && f.retries[0] == "none" {
		return policy, nil
	}
	for _, text := range f.retries {
		wrong := fmt.Errorf("--retry: %q is not CAUSE:DELAY:LIMIT, such as no_answer:15m:2", text)
		parts := strings.Split(text, ":")
		if len(parts) != 3 {
			return nil, wrong
		}
		delay, err := time.ParseDuration(parts[1])
		if err != nil {
			return nil, wrong
		}
		limit, err := strconv.ParseUint(parts[2], 10, 32)
		if err != nil {
			return nil, wrong
		}
		policy.Causes = append(policy.Causes, &controlv1.Retry{Cause: parts[0], Delay: durationpb.New(delay), Limit: uint32(limit)})
	}
	return policy, nil
}

func (f *startFlags) bag() (*structpb.Struct, error) {
	if f.metadataJSON != "" {
		var s structpb.Struct
		if err := protojson.Unmarshal([]byte(f.metadataJSON), &s); err != nil {
			return nil, fmt.Errorf("--metadata-json: is not a JSON object: %w", err)
		}
		return &s, nil
	}
	if len(f.metadata) == 0 {
		return nil, nil
	}
	s := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for _, text := range f.metadata {
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("--metadata: %q is not KEY=VALUE", text)
		}
		s.Fields[key] = structpb.NewStringValue(value)
	}
	return s, nil
}

// moment is a flag: a time written in full, or so long from now.
type moment struct {
	text string
	at   time.Time
	in   time.Duration
}

func (m *moment) String() string { return m.text }
func (m *moment) Type() string   { return "time" }

// Set takes a text as RFC 3339 writes it, or a duration.
func (m *moment) Set(text string) (err error) {
	m.text = text
	if m.in, err = time.ParseDuration(text); err == nil {
		return nil
	}
	if m.at, err = time.Parse(time.RFC3339, text); err != nil {
		return errors.New("is neither a time such as 2026-12-01T09:00:00-05:00 nor a duration from now such as 10m")
	}
	return nil
}

// timestamp is nil where nothing was given.
func (m *moment) timestamp(now time.Time) *timestamppb.Timestamp {
	switch {
	case m.text == "":
		return nil
	case m.at.IsZero():
		return timestamppb.New(now.Add(m.in))
	}
	return timestamppb.New(m.at)
}
