// SPDX-License-Identifier: Apache-2.0

package simbot_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/daily-sim/simbot"
)

// TestMain lets the test binary be the bot, for what only a process can show.
func TestMain(m *testing.M) {
	if os.Getenv("SIM_BOT") != "" {
		os.Exit(simbot.Main(context.Background(), os.Stdin, os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

const patience = 20 * time.Second

type object = map[string]any

type world struct {
	*sim.Sim
	t    *testing.T
	url  string
	room object
	call sim.Call
}

// start runs a simulator with a room and a held call.
func start(t *testing.T, spec sim.CallSpec) *world {
	t.Helper()
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	cfg := sim.Defaults()
	cfg.Numbers = []sim.Number{{Number: "*", WebhookURL: hook.URL}}
	s := sim.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	server := httptest.NewServer(s.Handler())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
		server.Close()
		hook.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	w := &world{Sim: s, t: t, url: server.URL}
	w.room = w.post("/v1/rooms", object{"name": "call-1", "properties": object{"sip": object{"display_name": "x", "sip_mode": "dial-in"}}})
	spec.From, spec.To = "+15551230000", "+15550100001"
	call, err := s.PlaceCall(spec)
	if err != nil {
		t.Fatal(err)
	}
	w.call = call
	return w
}

func (w *world) post(path string, body any) object {
	w.t.Helper()
	raw, _ := json.Marshal(body)
	req, err := http.NewRequestWithContext(context.Background(), "POST", w.url+path, bytes.NewReader(raw))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+sim.Defaults().APIKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out object
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || resp.StatusCode != 200 {
		w.t.Fatalf("%s: %d %v %v", path, resp.StatusCode, out, err)
	}
	return out
}

// job is the bot's work; change may alter the body.
func (w *world) job(change func(body object)) io.Reader {
	w.t.Helper()
	token := w.post("/v1/meeting-tokens", object{"properties": object{"room_name": "call-1", "is_owner": true, "user_id": "bot-1"}})["token"]
	body := object{
		"dialin_settings": object{"call_id": w.call.ID, "call_domain": w.call.CallDomain, "From": "+15551230000", "To": "+15550100001"},
		"daily_api_key":   sim.Defaults().APIKey, "daily_api_url": w.url + "/v1",
		"trunkline": object{"attempt": 1},
	}
	if change != nil {
		change(body)
	}
	raw, err := json.Marshal(object{"room_url": w.room["url"], "token": token, "session_id": "s", "body": body})
	if err != nil {
		w.t.Fatal(err)
	}
	return bytes.NewReader(raw)
}

// bot runs a bot in this process; the channel gives its exit status.
func (w *world) bot(job io.Reader, args ...string) (exit <-chan int, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int, 1)
	go func() { done <- simbot.Main(ctx, job, args) }()
	w.t.Cleanup(cancel)
	return done, cancel
}

func (w *world) exits(exit <-chan int, want int) {
	w.t.Helper()
	select {
	case got := <-exit:
		if got != want {
			w.t.Fatalf("exit status %d, want %d", got, want)
		}
	case <-time.After(patience):
		w.t.Fatal("the bot does not end")
	}
}

func (w *world) until(what string, cond func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.WaitFor(ctx, cond); err != nil {
		w.t.Fatalf("waiting for %s: %v", what, err)
	}
}

func (w *world) untilCall(state string) {
	w.t.Helper()
	w.until(state, func() bool {
		c, _ := w.Call(w.call.ID)
		return c.State == state
	})
}

func (w *world) untilLive(n int) {
	w.t.Helper()
	w.until(fmt.Sprint(n, " live bots"), func() bool { return w.Stats().Bots.Live == n })
}

// forwards counts the requests to move the caller.
func (w *world) forwards() int {
	n := 0
	for _, r := range w.Requests() {
		if r.Path == "/dialin/pinlessCallUpdate" {
			n++
		}
	}
	return n
}

func TestStockBotTakesTheCallAndEndsWithIt(t *testing.T) {
	w := start(t, sim.CallSpec{})
	exit, _ := w.bot(w.job(nil))
	w.untilCall(sim.Connected)
	if bots := w.Stats().Bots; bots.Live != 1 || bots.List[0].UserID != "bot-1" || !bots.List[0].Owner {
		t.Fatalf("bots %+v", bots)
	}
	if err := w.Hangup(w.call.ID); err != nil {
		t.Fatal(err)
	}
	w.exits(exit, 0)
	if n := w.forwards(); n != 1 {
		t.Fatalf("asked %d times", n)
	}
}

func TestBotEndsWhenItIsEjected(t *testing.T) {
	w := start(t, sim.CallSpec{})
	exit, _ := w.bot(w.job(nil))
	w.untilCall(sim.Connected)
	w.post("/v1/rooms/call-1/eject", object{"user_ids": []string{"bot-1"}})
	w.exits(exit, 0)
}

func TestBotEndsWithItsContext(t *testing.T) {
	w := start(t, sim.CallSpec{})
	exit, stop := w.bot(w.job(nil))
	w.untilCall(sim.Connected)
	stop()
	w.exits(exit, 0)
	w.untilLive(0)
}

func TestReplacementInTheSameRoomOnlyJoins(t *testing.T) {
	for phrase, change := range map[string]func(object){
		"without dial-in settings": func(body object) { delete(body, "dialin_settings") },
		"marked as resumed":        func(body object) { body["trunkline"] = object{"attempt": 2, "resumed": true} },
	} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t, sim.CallSpec{})
			exit, stop := w.bot(w.job(change), "--leave-after", "300ms")
			w.untilLive(1)
			w.exits(exit, 0)
			stop()
			if n := w.forwards(); n != 0 {
				t.Fatalf("asked %d times", n)
			}
		})
	}
}

func TestDieBeforeReadyAttempts(t *testing.T) {
	w := start(t, sim.CallSpec{})
	exit, _ := w.bot(w.job(nil), "--die-before-ready-attempts", "1")
	w.exits(exit, 1)
	w.until("the bot to have been there", func() bool { return w.Stats().Bots.MaxLive == 1 })
	exit, stop := w.bot(w.job(func(body object) { body["trunkline"] = object{"attempt": 2} }), "--die-before-ready-attempts", "1")
	w.untilCall(sim.Connected)
	stop()
	w.exits(exit, 0)
}

func TestDieAfterTheForward(t *testing.T) {
	w := start(t, sim.CallSpec{})
	exit, _ := w.bot(w.job(nil), "--die-after", "1ms")
	w.exits(exit, 1)
	if c, _ := w.Call(w.call.ID); c.Forwards != 1 {
		t.Fatalf("call %+v", c)
	}
}

func TestNeverJoin(t *testing.T) {
	w := start(t, sim.CallSpec{})
	exit, stop := w.bot(w.job(nil), "--never-join")
	stop()
	w.exits(exit, 0)
	if n := w.Stats().Bots.MaxLive; n != 0 {
		t.Fatalf("%d bots joined", n)
	}
}

func TestNeverAsk(t *testing.T) {
	w := start(t, sim.CallSpec{Hold: sim.Duration(200 * time.Millisecond)})
	exit, stop := w.bot(w.job(nil), "--never-ask")
	w.untilLive(1)
	w.untilCall(sim.Ended)
	stop()
	w.exits(exit, 0)
	if n := w.forwards(); n != 0 {
		t.Fatalf("asked %d times", n)
	}
}

func TestAskTwice(t *testing.T) {
	w := start(t, sim.CallSpec{})
	exit, stop := w.bot(w.job(nil), "--ask-twice")
	w.until("two requests", func() bool { return w.forwards() == 2 })
	stop()
	w.exits(exit, 0)
}

func TestAskForAnothersCaller(t *testing.T) {
	w := start(t, sim.CallSpec{})
	other, err := w.PlaceCall(sim.CallSpec{To: "+15550100001"})
	if err != nil {
		t.Fatal(err)
	}
	exit, stop := w.bot(w.job(nil), "--ask-for-call", other.ID)
	w.until("the other call in the room", func() bool {
		c, _ := w.Call(other.ID)
		return c.State == sim.Connected
	})
	stop()
	w.exits(exit, 0)
	if c, _ := w.Call(w.call.ID); c.State != sim.Holding {
		t.Fatalf("own call %+v", c)
	}
}

func TestJoinDelay(t *testing.T) {
	w := start(t, sim.CallSpec{})
	exit, stop := w.bot(w.job(nil), "--join-delay", "50ms")
	w.untilCall(sim.Connected)
	if c, _ := w.Call(w.call.ID); c.Held.Std() < 50*time.Millisecond {
		t.Fatalf("held for %s only", c.Held)
	}
	stop()
	w.exits(exit, 0)
}

func TestBadJobOrFlagsExitWithTwo(t *testing.T) {
	for phrase, run := range map[string]func() int{
		"no JSON":     func() int { return simbot.Main(context.Background(), strings.NewReader("x"), nil) },
		"no room URL": func() int { return simbot.Main(context.Background(), strings.NewReader("{}"), nil) },
		"bad flag":    func() int { return simbot.Main(context.Background(), strings.NewReader("{}"), []string{"--fly"}) },
	} {
		if got := run(); got != 2 {
			t.Errorf("%s: exit status %d", phrase, got)
		}
	}
}

func TestRefusedAtTheDoorExitsWithOne(t *testing.T) {
	w := start(t, sim.CallSpec{})
	w.room["url"] = w.url + "/daily/nowhere"
	exit, _ := w.bot(w.job(nil))
	w.exits(exit, 1)
}

// process runs the bot as a process of its own, in a process group of its own.
func (w *world) process(args ...string) (cmd *exec.Cmd, stderr *bufio.Scanner) {
	w.t.Helper()
	cmd = exec.Command(os.Args[0], args...) //nolint:noctx // the test ends it
	cmd.Env = append(os.Environ(), "SIM_BOT=1")
	cmd.Stdin = w.job(nil)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	return cmd, bufio.NewScanner(pipe)
}

func TestSIGTERMEndsTheBotRegularly(t *testing.T) {
	w := start(t, sim.CallSpec{})
	cmd, _ := w.process()
	w.untilCall(sim.Connected)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("exit: %v", err)
	}
	w.untilLive(0)
}

func TestIgnoreSIGTERM(t *testing.T) {
	w := start(t, sim.CallSpec{})
	cmd, _ := w.process("--ignore-sigterm")
	w.untilCall(sim.Connected)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := w.Hangup(w.call.ID); err != nil { // it still hears this
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("exit: %v", err)
	}
}

func TestKilledBotHasLeft(t *testing.T) {
	w := start(t, sim.CallSpec{})
	cmd, _ := w.process()
	w.untilCall(sim.Connected)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	w.untilLive(0)
}

func TestLeaveChild(t *testing.T) {
	w := start(t, sim.CallSpec{})
	cmd, stderr := w.process("--leave-child", "--leave-after", "1ms")
	child := 0
	for stderr.Scan() {
		if _, pid, ok := strings.Cut(stderr.Text(), "child "); ok {
			child, _ = strconv.Atoi(pid)
		}
	}
	if err := cmd.Wait(); err != nil || child == 0 {
		t.Fatalf("exit: %v, child %d", err, child)
	}
	if err := syscall.Kill(child, 0); err != nil {
		t.Fatalf("the child is gone: %v", err)
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatalf("the child is not in the bot's process group: %v", err)
	}
}
