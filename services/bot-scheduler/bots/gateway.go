// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/pkg/guard"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/bot-scheduler/remote"
)

const (
	// answerWithin is how long a bot is kept waiting. Pipecat gives its request 10 s.
	answerWithin = 9 * time.Second
	maxRequest   = 64 << 10 // bytes
	maxReason    = 200      // bytes of a bot's own words
)

// Gateway serves what bots ask: as Daily's API what a stock Pipecat bot asks of it, and our own requests for bots that
// know us. docs/gateway.md describes it. Every request carries the bot's token.
func (s *Scheduler) Gateway() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/dialin/pinlessCallUpdate", asBot(s, s.askForward))
	mux.HandleFunc("POST /v1/claim", asBot(s, s.claim))
	mux.HandleFunc("POST /v1/heartbeat", asBot(s, s.heartbeat))
	mux.HandleFunc("POST /v1/event", asBot(s, s.event))
	mux.HandleFunc("POST /v1/end", asBot(s, s.end))
	return app.Routes(mux)
}

// speaker is the bot that asks.
type speaker struct {
	callID  string
	attempt uint32
}

// refusal is an answer to a bot that is not 200.
type refusal struct {
	status     int
	word, info string
}

func (r refusal) Error() string { return r.info }

// asBot reads the token and the body of a bot's request, and answers what the handler returns.
func asBot[T any](s *Scheduler, handle func(context.Context, speaker, T) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			app.Refuse(w, http.StatusUnauthorized, "authorization-header-error", "a bearer token is wanted")
			return
		}
		callID, attempt, err := s.tokens().ReadBot(token)
		if err != nil {
			app.Refuse(w, http.StatusUnauthorized, "authentication-error", "the token is not, or no longer, a bot's of ours")
			return
		}
		var body T
		err = json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&body)
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large):
			app.Refuse(w, http.StatusBadRequest, "invalid-request-error", fmt.Sprintf("the body is larger than %d bytes", large.Limit))
			return
		case err != nil:
			app.Refuse(w, http.StatusBadRequest, "invalid-request-error", "the body is not the JSON that is wanted: "+err.Error())
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
		defer cancel()
		answer, err := handle(bus.WithCause(ctx, "bot "+call.BotID(callID, attempt)), speaker{callID, attempt}, body)
		if err == nil {
			app.Answer(w, http.StatusOK, answer)
			return
		}
		refused := refusalOf(err)
		s.Log.Info("refused a bot", "call_id", callID, "attempt", attempt, "path", r.URL.Path, "status", refused.status, "err", err)
		app.Refuse(w, refused.status, refused.word, refused.info)
	}
}

func refusalOf(err error) refusal {
	var r refusal
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, errSuperseded):
		return refusal{http.StatusConflict, "superseded", err.Error()}
	case errors.Is(err, errEnded):
		return refusal{http.StatusGone, "ended", err.Error()}
	case errors.Is(err, errUnknownCall), errors.Is(err, errGone):
		return refusal{http.StatusNotFound, "not-found", err.Error()}
	case errors.Is(err, errRefused):
		return refusal{http.StatusBadGateway, "refused", err.Error()}
	case errors.Is(err, errInDoubt), errors.Is(err, context.DeadlineExceeded):
		return refusal{http.StatusGatewayTimeout, "unknown", errInDoubt.Error()}
	}
	return refusal{http.StatusServiceUnavailable, "unavailable", "try again: " + err.Error()}
}

type pinlessCallUpdate struct {
	CallID     string `json:"callId"`
	CallDomain string `json:"callDomain"`
	SIPURI     string `json:"sipUri"`
}

// askForward is a stock bot's own pinlessCallUpdate: the sign that it is ready. The caller goes to the room that Daily
// gave us for the attempt, whatever the request says.
func (s *Scheduler) askForward(ctx context.Context, who speaker, asked pinlessCallUpdate) (any, error) {
	story, err := s.Bus.Story(ctx, who.callID)
	if err != nil {
		return nil, err
	}
	c := call.Read(story)
	if c.Received == nil {
		return nil, errUnknownCall
	}
	if asked.CallID != c.Received.GetDailyCallId() || asked.CallDomain != c.Received.GetCallDomain() {
		return nil, refusal{http.StatusForbidden, "forbidden-error", "callId and callDomain are not those of the bot's call"}
	}
	if err := s.ready(ctx, who.callID, who.attempt, callv1.Sign_SIGN_FORWARD_ASKED, ""); err != nil {
		return nil, err
	}
	if err := s.forward(ctx, who.callID, who.attempt, true); err != nil {
		return nil, err
	}
	return map[string]bool{"ok": true}, nil
}

type claimRequest struct {
	SessionID string `json:"session_id"`
}

// claim is the fence for bots that know us: of all that were started for an attempt, the first to claim is the one. It may
// be known as ready by then, because it has joined.
func (s *Scheduler) claim(ctx context.Context, who speaker, asked claimRequest) (any, error) {
	guard.Die("bot.joined")
	_, err := s.Bus.Decide(ctx, who.callID, func(story *bus.Story) (proto.Message, error) {
		c := call.Read(story)
		if err := valid(c, who.attempt); err != nil {
			return nil, err
		}
		a := c.Attempt(who.attempt)
		switch by, claimed := a.ClaimedBy(); {
		case claimed && by != asked.SessionID:
			return nil, errSuperseded
		case claimed:
			return nil, nil
		case a.Ready != nil:
			return &callv1.BotClaimed{Attempt: who.attempt, Session: asked.SessionID}, nil
		}
		return &callv1.BotReady{Attempt: who.attempt, Sign: callv1.Sign_SIGN_CLAIMED, Session: asked.SessionID}, nil
	})
	if err != nil {
		return nil, err
	}
	return map[string]bool{"ok": true}, nil
}

type botEvent struct {
	Seq  uint64          `json:"seq"`
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// event takes what a bot tells of its call. That the caller is there settles a forward; that he has gone ends the call,
// should Daily's own word of it get lost.
func (s *Scheduler) event(ctx context.Context, who speaker, told botEvent) (any, error) {
	story, err := s.Bus.Story(ctx, who.callID)
	if err != nil {
		return nil, err
	}
	c := call.Read(story)
	if err := valid(c, who.attempt); err != nil {
		if told.Type == "bot.left" || told.Type == "bot.failed" {
			return nil, errors.Join(err, s.goes(ctx, c, who.attempt))
		}
		return nil, err
	}
	s.Log.Debug("a bot tells", "call_id", who.callID, "attempt", who.attempt, "seq", told.Seq, "type", told.Type)
	switch told.Type {
	case "":
		return nil, refusal{http.StatusBadRequest, "invalid-request-error", "type is missing"}
	case "bot.joined":
		if readyByJoining(c, c.Attempt(who.attempt)) {
			err = s.ready(ctx, who.callID, who.attempt, callv1.Sign_SIGN_JOINED, told.text("sessionId"))
		}
	case "bot.failed":
		err = s.failed(ctx, who, "failed: "+told.text("error"))
	case "bot.left":
		err = s.left(ctx, story, who)
	case "context":
		err = s.keepContext(ctx, who, told)
	case "dialin.connected":
		err = s.legSeen(ctx, story)
	case "voicemail":
		err = s.voicemail(ctx, c, who.attempt)
	case "dialin.stopped":
		if c.Received != nil && c.CallerIn() {
			err = s.requestEnd(ctx, who, "caller_hung_up", "")
		}
	}
	return map[string]bool{"ok": true}, err
}

// text is one of the texts in what a bot tells, as far as it is one, and not too long for the record.
func (e botEvent) text(name string) string {
	var fields map[string]any
	_ = json.Unmarshal(e.Data, &fields) // data are free
	text, _ := fields[name].(string)
	return strings.ToValidUTF8(text[:min(len(text), maxReason)], "")
}

// failed gives the bot up: by its own word, another has to take its place.
func (s *Scheduler) failed(ctx context.Context, who speaker, reason string) error {
	return s.giveUp(ctx, who.callID, who.attempt, reason, func(*call.Attempt) bool { return true })
}

// left is a bot's word that it leaves its call, which goes on. If it was to stay, it is replaced.
func (s *Scheduler) left(ctx context.Context, story *bus.Story, who speaker) error {
	c := call.Read(story)
	if !c.OwnWay(now(story)) {
		return s.failed(ctx, who, "it has left the call")
	}
	return s.goes(ctx, c, who.attempt)
}

// goes takes a bot's word that it goes as the proof of it, where it has no keeper, and sees to it that it is true.
func (s *Scheduler) goes(ctx context.Context, c *call.State, attempt uint32) error {
	a := c.Attempt(attempt)
	if a == nil || !elsewhere(a) || a.Exited != nil {
		return nil
	}
	if err := s.eject(ctx, c.ID, a); err != nil && !errors.Is(err, daily.ErrNotFound) { // a room that is gone holds nobody
		return err
	}
	return s.exited(ctx, c.ID, a, remote.End{Reason: "it has reported its end"})
}

type endRequest struct {
	Reason string `json:"reason"`
}

// end is a bot's wish that its call be over. While the caller is being handed over, or once he has been, it is the bot alone
// that goes.
func (s *Scheduler) end(ctx context.Context, who speaker, asked endRequest) (any, error) {
	story, err := s.Bus.Story(ctx, who.callID)
	if err != nil {
		return nil, err
	}
	c := call.Read(story)
	if err := valid(c, who.attempt); err != nil {
		return nil, errors.Join(err, s.goes(ctx, c, who.attempt)) // it is not wanted, and goes
	}
	return map[string]bool{"ok": true}, s.requestEnd(ctx, who, "bot_ended", asked.Reason[:min(len(asked.Reason), maxReason)])
}

func (s *Scheduler) requestEnd(ctx context.Context, who speaker, reason, detail string) error {
	wish := &callv1.EndRequested{Attempt: who.attempt, Reason: reason, Detail: strings.ToValidUTF8(detail, "")}
	_, err := s.Bus.Decide(ctx, who.callID, func(story *bus.Story) (proto.Message, error) {
		if story.Has(wish) || call.Read(story).OwnWay(now(story)) { // the first is somebody who wants the same
			return nil, nil
		}
		return wish, nil
	})
	return err
}

// now is a time that is not before anything in the story, whatever this machine's clock says.
func now(story *bus.Story) time.Time {
	at := time.Now()
	if last := story.Events[len(story.Events)-1].Time; last.After(at) {
		return last
	}
	return at
}

// voicemail writes down that the bot has heard a machine. What follows from it does when the bot is done.
func (s *Scheduler) voicemail(ctx context.Context, c *call.State, attempt uint32) error {
	if c.Requested == nil {
		return refusal{http.StatusBadRequest, "invalid-request-error", "type: voicemail is for calls that we have placed"}
	}
	if leg := c.Reached(); leg != nil { // dialled for a bot whose place this one took
		attempt = leg.Attempt
	} else if a := c.Dialling(); a != nil { // the answer is not on record yet
		attempt = a.N
	}
	_, err := s.Bus.Publish(ctx, c.ID, &callv1.VoicemailHeard{Attempt: attempt})
	if errors.Is(err, bus.ErrTaken) { // it has said so before
		return nil
	}
	return err
}
