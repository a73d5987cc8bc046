// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/daily"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/bot-scheduler/bots"
	"github.com/trunkline/trunkline/services/call-control/calls"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/ingress/webhooks"
	"github.com/trunkline/trunkline/services/room-provisioner/rooms"
	"github.com/trunkline/trunkline/services/transfer-service/transfers"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

const (
	agentName = "agent"
	caller    = "+14155550123"
	called    = "+14155550100"
	// patience is how long calls may take to be over.
	patience = time.Minute
)

// bed is a running Trunkline with callers and bots.
type bed struct {
	*stack.Stack
	fleet *fleet
	http  *http.Client
	began time.Time // times are since then

	mu    sync.Mutex
	calls map[string]*call

	placed, failed atomic.Int64
	whole          atomic.Int64 // calls that are over, their slots free again
}

// call is one call as the generator sees it.
type call struct {
	phone  string
	hangUp bool // as soon as it is connected

	posted, answered, told atomic.Int64 // since the bed began; told is the backend's being told to start the bot

	connected chan struct{}
	left      atomic.Int32 // of CallEnded and the slot's release
	over      chan struct{}
}

// start runs the services given, or all.
func start(ctx context.Context, p place, services func(*fleet) []app.Service) (*bed, error) {
	agent := config.DefaultAgent()
	agent.Name, agent.Backend, agent.Slots = agentName, fleetName, 12_000
	agent.ReadyTimeout = 3 * time.Second // so that the deadlines fire within the run: they are part of a call's work
	route := config.DefaultRoute()
	route.Default, route.Agent = true, agentName
	cfg := config.Default()
	cfg.Agents, cfg.Routes = map[string]config.Agent{agentName: agent}, []config.Route{route}
	cfg.Log.Level = slog.LevelWarn
	cfg.Daily.Budget.Unlimited = true
	cfg.Policy.Countries = []string{"US"}
	stack.FreePorts(cfg)
	b := &bed{http: newClient(), began: time.Now(), calls: map[string]*call{}}
	b.fleet = newFleet(b)
	list := services(b.fleet)
	log := app.NewLog(p.Logs, cfg.Log)
	var err error
	b.Stack, err = stack.Start(ctx, stack.Options{
		Dir: p.dir, Sync: p.sync, Config: cfg, Services: list, Log: log, NoDomainWebhook: len(list) < len(stack.Services()),
		Sim: func(c *sim.Config) {
			c.Budgets.Lifted, c.History = true, 1000
			c.SIPReadyDelay, c.ConnectDelay, c.MeetingEndedLag, c.PresenceLagMin, c.PresenceLagMax = 0, 0, 0, 0, 0
		},
	})
	if err != nil {
		return nil, err
	}
	err = b.fleet.connect(ctx, log)
	if err == nil {
		err = b.watch(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, b.Stop())
	}
	return b, nil
}

func allServices(f *fleet) []app.Service {
	return []app.Service{webhooks.Service, rooms.Service, bots.NewService(map[string]bots.Backend{fleetName: f}), calls.Service, transfers.Service}
}

func (b *bed) end() error {
	err := b.Stop()
	b.http.CloseIdleConnections()
	return err
}

func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000, IdleConnTimeout: time.Minute}, Timeout: patience}
}

func (b *bed) now() int64 { return int64(time.Since(b.began)) }

// watch sees calls get connected and end, as the stream tells it.
func (b *bed) watch(ctx context.Context) error {
	cons, err := b.JS.OrderedConsumer(ctx, bus.Stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{bus.Filter(&callv1.CallConnected{}), bus.Filter(&callv1.CallEnded{})},
	})
	if err != nil {
		return err
	}
	_, err = cons.Consume(func(msg jetstream.Msg) { // until the connection is closed
		id, event, _ := strings.Cut(strings.TrimPrefix(msg.Subject(), "calls."), ".")
		c := b.call(id)
		switch {
		case c == nil:
		case event == "CallConnected":
			close(c.connected)
			if c.hangUp {
				_ = b.Sim.Hangup(c.phone)
			}
		default:
			var end callv1.CallEnded
			if proto.Unmarshal(msg.Data(), &end) != nil || end.GetOutcome() != callv1.Outcome_OUTCOME_COMPLETED {
				b.failed.Add(1)
			}
			b.step(id, c)
		}
	})
	return err
}

func (b *bed) call(id string) *call {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[id]
}

// step notes that one of the two things has happened that make a call a whole one.
func (b *bed) step(id string, c *call) {
	if c.left.Add(-1) != 0 {
		return
	}
	b.whole.Add(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.calls, id)
	close(c.over)
}

// place has a phone call, and posts Daily's webhook of it.
func (b *bed) place(ctx context.Context, hangUp bool) (*call, error) {
	phone, err := b.Sim.PlaceCall(sim.CallSpec{From: caller, To: called, Webhook: sim.CallWebhook{Lose: true}})
	if err != nil {
		return nil, err
	}
	c := &call{phone: phone.ID, hangUp: hangUp, connected: make(chan struct{}), over: make(chan struct{})}
	c.left.Store(2)
	b.mu.Lock()
	b.calls[bus.CallID(phone.CallDomain, phone.ID)] = c
	b.mu.Unlock()
	body, err := json.Marshal(map[string]string{"From": caller, "To": called, "callId": phone.ID, "callDomain": phone.CallDomain})
	if err != nil {
		return nil, err
	}
	stamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
	signature, err := daily.Sign(b.Secrets.DailyPinlessHMAC[0].Reveal(), stamp, body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.URLs["ingress"]+b.Config.Ingress.DialinPaths[0], bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set(daily.HeaderPinlessTimestamp, stamp)
	req.Header.Set(daily.HeaderPinlessSignature, signature)
	b.placed.Add(1)
	c.posted.Store(b.now())
	err = post(b.http, req)
	c.answered.Store(b.now())
	return c, err
}

// post makes a request that must be answered 200.
func post(client *http.Client, req *http.Request) error {
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s %s", req.URL.Path, res.Status, bytes.TrimSpace(text))
	}
	return err
}

// await waits until the channel is closed.
func await(ctx context.Context, what string, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
		return fmt.Errorf("a call was not %s after %s", what, patience)
	}
}

// newJS connects to the bed's broker.
func (b *bed) newJS(log *slog.Logger) (*nats.Conn, jetstream.JetStream, error) {
	nc, err := app.Connect(b.Config, config.Secrets{}, "bot-scheduler", log, func(error) {})
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	return nc, js, err
}
