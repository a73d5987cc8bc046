// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/pkg/guard"
	"github.com/trunkline/trunkline/pkg/timer"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/bot-scheduler/job"
	"github.com/trunkline/trunkline/services/bot-scheduler/slots"
)

// Start is what a backend needs to start a bot.
type Start struct {
	Agent config.Agent
	Lease slots.Lease // of the bot's slot, from now on the backend's
	Job   json.RawMessage
	Cause string // the id of the intent
}

// start leases the slot, writes the intent down, and has the backend start the bot. It reports whether the task still
// waits for a slot. If this process dies in between, the lease runs out and settle finds the intent without a result.
func (s *Scheduler) start(ctx context.Context, t task, slot string) (waits bool, err error) {
	lease, err := s.takeSlot(ctx, slot, t)
	if err != nil || lease == nil {
		return true, err
	}
	handed := false
	defer func() {
		if !handed {
			if failed := s.Slots.Release(ctx, lease); failed != nil && !errors.Is(failed, slots.ErrLost) {
				err = errors.Join(err, failed) // it runs out by itself
			}
		}
	}()
	agent, err := s.agent(t.Agent)
	if err != nil {
		return false, err
	}
	domain, err := s.Domain(ctx)
	if err != nil {
		return true, fmt.Errorf("ask Daily for the domain: %w", err)
	}
	// Set before what it guards. Should nothing come of the start, it finds nothing to do.
	if err := s.Timers.Set(ctx, timer.ID{Name: deadlineTimer, CallID: t.CallID, N: t.Attempt}, time.Now().Add(agent.ReadyTimeout)); err != nil {
		return true, err
	}
	ctx = bus.WithCause(ctx, t.CallID+"."+bus.Key(&callv1.RoomReady{Attempt: t.Attempt}))
	intent, c, err := s.intend(ctx, t, agent, lease.Key)
	if err != nil || intent == nil {
		return false, err
	}
	guard.Die("bot.intended")
	handed = true
	data, err := s.jobFor(ctx, c, c.Attempt(t.Attempt), agent, domain)
	if err == nil {
		err = s.backends[agent.Backend].Start(ctx, Start{Agent: agent, Lease: *lease, Job: data, Cause: intent.ID()})
	}
	if err == nil {
		guard.Die("bot.started")
		return false, nil
	}
	handed = false
	_, failed := s.Bus.Publish(bus.WithCause(ctx, intent.ID()), t.CallID, &callv1.BotExited{Attempt: t.Attempt, Status: -1, Reason: "not started: " + err.Error()})
	return false, errors.Join(err, failed)
}

// intend writes down that the attempt's bot is about to be started, and gives the call as it then stands. There is no
// intent when the attempt wants no bot any more.
func (s *Scheduler) intend(ctx context.Context, t task, agent config.Agent, slot string) (intent *bus.Event, c *call.State, err error) {
	choose := func(story *bus.Story) (proto.Message, error) {
		if c = call.Read(story); !startable(c, t.Attempt) {
			return nil, nil
		}
		return &callv1.BotStarting{Attempt: t.Attempt, Agent: agent.Name, Backend: agent.Backend, Slot: slot}, nil
	}
	if guard.Broken(guard.Intent) {
		story, err := s.Bus.Story(ctx, t.CallID)
		if err != nil {
			return nil, nil, err
		}
		data, err := choose(story)
		return &bus.Event{CallID: t.CallID, Data: data}, c, err
	}
	intent, err = s.Bus.Decide(ctx, t.CallID, choose)
	return intent, c, err
}

// jobFor makes what the bot is told. Both of its tokens are good for this call and attempt alone.
func (s *Scheduler) jobFor(ctx context.Context, c *call.State, a *call.Attempt, agent config.Agent, domain daily.Domain) (json.RawMessage, error) {
	expires := a.Room.GetExpires().AsTime()
	token := daily.MeetingToken{
		Room: a.Room.GetRoom(), DomainID: domain.ID, UserID: call.BotID(c.ID, a.N), UserName: agent.Name, Owner: agent.Owner, Expires: expires,
	}
	if c.Bridged() { // what caller and operator say is theirs alone
		token.Permissions = &daily.Permissions{CanSend: false, CanReceive: daily.CanReceive{Base: new(false)}}
	}
	meeting, err := token.Sign(s.Secrets.DailyAPIKey.Reveal())
	if err != nil {
		return nil, err
	}
	signed, err := s.tokens().SignBot(c.ID, a.N, expires)
	if err != nil {
		return nil, err
	}
	gateway := strings.TrimSuffix(s.Config.GatewayURL(), "/") + "/v1"
	j := job.Job{
		RoomURL: a.Room.GetRoomUrl(), Token: meeting, SessionID: call.BotID(c.ID, a.N),
		Body: job.Body{
			DailyAPIKey: signed, DailyAPIURL: gateway, DialinSettings: dialinSettings(c), DialoutSettings: dialoutSettings(c, a, agent),
			Trunkline: job.Trunkline{
				URL: gateway, Token: signed, CallID: c.ID, Attempt: a.N, Agent: agent.Name, Resumed: a.Room.GetResumed(),
				To: c.Requested.GetTo(), Bridge: c.Bridged(),
			},
		},
	}
	if len(agent.Targets) > 0 {
		j.Body.Trunkline.TransferURL = s.Config.TransferURL()
	}
	if a.Room.GetResumed() {
		// The caller waits: a bot that knows nothing of the conversation is better than none.
		if j.Body.Trunkline.Context, err = s.lastContext(ctx, c.ID); err != nil {
			s.Log.Warn("a bot takes over without the context", "call_id", c.ID, "attempt", a.N, "err", err)
		}
	}
	if m := c.Requested.GetMetadata(); m != nil {
		j.Body.Trunkline.Metadata = m.AsMap()
	}
	return json.Marshal(j)
}

// dialinSettings are what a stock bot reads of who calls, or nil where it is we who call.
func dialinSettings(c *call.State) *job.DialinSettings {
	if c.Received == nil {
		return nil
	}
	d := &job.DialinSettings{
		CallID: c.Received.GetDailyCallId(), CallDomain: c.Received.GetCallDomain(),
		To: c.Received.GetTo(), SIPHeaders: c.Received.GetSipHeaders(),
	}
	if from := c.Received.GetFrom(); from != "" {
		d.From = &from
	}
	return d
}

// dialoutSettings have a stock bot dial by itself. Everybody else's must be without them, or the person is called twice;
// and so must a bot that takes over.
func dialoutSettings(c *call.State, a *call.Attempt, agent config.Agent) any {
	switch {
	case !c.Requested.GetBotDials() || a.Room.GetResumed():
		return nil
	case agent.DialoutSettings == config.DialoutList:
		return []job.DialoutListed{{PhoneNumber: c.Requested.GetTo(), CallerID: c.Requested.GetCallerId()}}
	}
	return job.DialoutSettings{PhoneNumber: c.Requested.GetTo(), CallerID: c.Requested.GetCallerId()}
}
