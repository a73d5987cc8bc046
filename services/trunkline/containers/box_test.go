// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// box is a part of Trunkline as a container, and what can be done to it.
type box struct {
	testcontainers.Container
	w       *world
	name    string     // such as ingress-2
	service string     // such as ingress
	ip      netip.Addr // on the bus
	ready   string     // the address that answers 200 when it can do its work
}

func (b *box) String() string { return b.name }

// did fails the test if the engine could not do what it was asked to.
func (b *box) did(what string, err error) {
	b.w.T.Helper()
	if err != nil {
		b.w.T.Fatalf("%s %s: %v", what, b, err)
	}
}

// kill is the end without a word, of all processes in it.
func (b *box) kill() {
	b.w.T.Helper()
	_, err := b.w.docker.ContainerKill(b.w.T.Context(), b.GetContainerID(), client.ContainerKillOptions{Signal: "KILL"})
	b.did("kill", err)
	b.awaitGone()
}

func (b *box) awaitGone() {
	b.w.T.Helper()
	waited := b.w.docker.ContainerWait(b.w.T.Context(), b.GetContainerID(), client.ContainerWaitOptions{})
	select {
	case err := <-waited.Error:
		b.did("wait for", err)
	case <-waited.Result:
	}
}

// stop asks it to end, and insists on it after the grace that docker-compose.yml gives.
func (b *box) stop() {
	b.w.T.Helper()
	seconds := int(cmp.Or(grace[b.service], graceOfOthers).Seconds())
	_, err := b.w.docker.ContainerStop(b.w.T.Context(), b.GetContainerID(), client.ContainerStopOptions{Timeout: &seconds})
	b.did("stop", err)
}

func (b *box) start() {
	b.w.T.Helper()
	_, err := b.w.docker.ContainerStart(b.w.T.Context(), b.GetContainerID(), client.ContainerStartOptions{})
	b.did("start", err)
}

// pause freezes all processes in it: whoever asks it something is neither answered nor refused.
func (b *box) pause() {
	b.w.T.Helper()
	_, err := b.w.docker.ContainerPause(b.w.T.Context(), b.GetContainerID(), client.ContainerPauseOptions{})
	b.did("pause", err)
}

func (b *box) unpause() {
	b.w.T.Helper()
	_, err := b.w.docker.ContainerUnpause(b.w.T.Context(), b.GetContainerID(), client.ContainerUnpauseOptions{})
	b.did("unpause", err)
}

// cut takes it off the bus, and no connection is closed: nobody is told. Daily still reaches it, and it reaches Daily.
func (b *box) cut() {
	b.w.T.Helper()
	_, err := b.w.docker.NetworkDisconnect(b.w.T.Context(), b.w.bus, client.NetworkDisconnectOptions{Container: b.GetContainerID(), Force: true})
	b.did("cut off", err)
}

// mend puts it back on the bus, at the address that it had: connections go on if nobody has given them up.
func (b *box) mend() {
	b.w.T.Helper()
	_, err := b.w.docker.NetworkConnect(b.w.T.Context(), b.w.bus, client.NetworkConnectOptions{
		Container: b.GetContainerID(), EndpointConfig: b.endpoint(),
	})
	b.did("connect", err)
}

func (b *box) endpoint() *network.EndpointSettings {
	return &network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: b.ip}, Aliases: b.aliases()}
}

// aliases are its names on the bus: its own, and that of its service, as docker-compose.yml has it.
func (b *box) aliases() []string { return []string{b.name, b.service} }

// unready says why it cannot do its work, or is empty.
func (b *box) unready() string {
	ctx, cancel := context.WithTimeout(b.w.T.Context(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.ready, nil)
	if err != nil {
		return err.Error()
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return b.name + ": " + err.Error()
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		return fmt.Sprintf("%s: %s %s", b, res.Status, text)
	}
	return ""
}

// down says that it does not run, though nobody has stopped it, or is empty. A service that NATS refuses something ends.
func (b *box) down() string {
	found, err := b.w.docker.ContainerInspect(b.w.T.Context(), b.GetContainerID(), client.ContainerInspectOptions{})
	switch {
	case err != nil:
		return err.Error()
	case !found.Container.State.Running:
		return fmt.Sprintf("%s has ended with status %d", b, found.Container.State.ExitCode)
	case found.Container.RestartCount > 0:
		b.w.T.Logf("%s was started anew %d times, as it was not well", b, found.Container.RestartCount)
	}
	return ""
}

// bots counts the bots' processes in it.
func (b *box) bots() int {
	top, err := b.w.docker.ContainerTop(b.w.T.Context(), b.GetContainerID(), client.ContainerTopOptions{Arguments: []string{"-eo", "pid,args"}})
	if err != nil { // it does not run
		return 0
	}
	n := 0
	for _, p := range top.Processes {
		if strings.HasPrefix(p[len(p)-1], simBot) {
			n++
		}
	}
	return n
}

// keepLog keeps what it has logged, if the test has failed.
func (b *box) keepLog() {
	if !b.w.T.Failed() {
		return
	}
	dir := filepath.Join(os.TempDir(), "trunkline-containers-logs", b.w.T.Name())
	path := filepath.Join(dir, b.name+".log")
	b.w.T.Log("see", path)
	if err := errors.Join(os.MkdirAll(dir, 0o700), b.writeLog(path)); err != nil {
		b.w.T.Log(err)
	}
}

func (b *box) writeLog(path string) error {
	logs, err := b.w.docker.ContainerLogs(context.Background(), b.GetContainerID(), client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return err
	}
	defer logs.Close()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = stdcopy.StdCopy(f, f, logs)
	return err
}
