// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	networks "github.com/testcontainers/testcontainers-go/network"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/engine"
	"github.com/trunkline/trunkline/services/trunkline/stack"
	"github.com/trunkline/trunkline/services/trunkline/storm"
)

const (
	natsImage = "nats:2.15.2"
	simBot    = "/usr/local/bin/sim-bot"
	lease     = 9 * time.Second
)

// world is Trunkline as containers. They meet on one network, the bus, and reach the simulator by another. The
// simulator is in this process: it is the world outside and is never killed.
type world struct {
	*storm.World
	docker  *testcontainers.DockerClient
	bus     string // the network on which the parts meet
	outside string // the network by which they reach Daily, and Daily them
	subnet  netip.Prefix
	daily   string // address of the simulator
	front   *front
	boxes   []*box // NATS first
}

// options are what a test chooses about its world.
type options struct {
	nodes int // NATS servers
	each  int // of every service
	slots int
	sim   func(*sim.Config)
}

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	engine.Need(t)
	buildImages(t)
	docker, err := testcontainers.NewDockerClientWithOpts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{World: &storm.World{T: t, Slots: o.slots, Patience: time.Minute}, docker: docker}
	w.Processes = func() (n int) {
		for _, b := range w.of("bot-scheduler") {
			n += b.bots()
		}
		return n
	}
	w.makeNetworks()
	var ingresses []string
	for range o.each {
		ingresses = append(ingresses, fmt.Sprintf("127.0.0.1:%d", storm.FreePort()))
	}
	w.front = newFront(t, ingresses)
	w.StartDaily(strings.TrimPrefix(w.daily, "http://"), w.daily, w.front.url, func(c *sim.Config) {
		c.PresenceLagMin, c.PresenceLagMax = sim.Duration(time.Second), sim.Duration(3*time.Second) // who got lost is soon missed
		o.sim(c)
	})
	urls := w.startNATS(o.nodes)
	w.startServices(o, urls, ingresses)
	w.awaitReady()
	return w
}

// makeNetworks makes the networks. On the bus a container keeps its address, which takes a range that is chosen: the
// engine offers one.
func (w *world) makeNetworks() {
	w.T.Helper()
	offered, err := networks.New(w.T.Context(), networks.WithInternal())
	if err != nil {
		w.T.Fatal(err)
	}
	w.subnet, _ = w.inspect(offered.Name)
	if err := offered.Remove(w.T.Context()); err != nil {
		w.T.Fatal(err)
	}
	bus, err := networks.New(w.T.Context(), networks.WithInternal(), networks.WithIPAM(&network.IPAM{Config: []network.IPAMConfig{{Subnet: w.subnet}}}))
	testcontainers.CleanupNetwork(w.T, bus)
	if err != nil {
		w.T.Fatal(err)
	}
	outside, err := networks.New(w.T.Context())
	testcontainers.CleanupNetwork(w.T, outside)
	if err != nil {
		w.T.Fatal(err)
	}
	w.bus, w.outside = bus.Name, outside.Name
	_, gateway := w.inspect(outside.Name)
	w.daily = fmt.Sprintf("http://%s:%d", gateway, storm.FreePort())
}

// inspect gives a network's range and this machine's address in it.
func (w *world) inspect(name string) (subnet netip.Prefix, gateway netip.Addr) {
	w.T.Helper()
	found, err := w.docker.NetworkInspect(w.T.Context(), name, client.NetworkInspectOptions{})
	if err != nil || len(found.Network.IPAM.Config) == 0 {
		w.T.Fatalf("network %s: %v", name, err)
	}
	c := found.Network.IPAM.Config[0]
	return c.Subnet, c.Gateway
}

// address is that of a container on the bus, by its number. It has no name there: the engine's name service knows only
// who runs, and takes seconds to say so.
func (w *world) address(n int) netip.Addr {
	ip := w.subnet.Addr()
	for range 10 + n { // the first ones are the network's own
		ip = ip.Next()
	}
	return ip
}

// startNATS starts NATS and gives its addresses for the services.
func (w *world) startNATS(nodes int) (urls string) {
	w.T.Helper()
	var routes, all, mine []string
	for n := range nodes {
		routes = append(routes, fmt.Sprintf("nats://%s:6222", w.address(n)))
		all = append(all, fmt.Sprintf("nats://%s:4222", w.address(n)))
	}
	for n := range nodes {
		name := fmt.Sprintf("nats-%d", n+1)
		conf := fmt.Sprintf(`server_name: %s
port: 4222
monitor_port: 8222
client_advertise: "%s:4222" # on the bus, and nowhere else
jetstream { store_dir: /data, sync_interval: always, max_file_store: 1TB }
`, name, w.address(n))
		if nodes > 1 {
			conf += fmt.Sprintf("cluster { name: trunkline, port: 6222, advertise: \"%s:6222\", routes: [%s] }\n", w.address(n), strings.Join(routes, ", "))
		}
		port, monitor := storm.FreePort(), storm.FreePort()
		b := w.run(name, testcontainers.ContainerRequest{
			Image: natsImage, Cmd: []string{"--config", "/etc/nats/nats.conf"},
		}, mount{w.write(name+".conf", conf), "/etc/nats/nats.conf"}, map[string]int{"4222/tcp": port, "8222/tcp": monitor})
		b.ready = fmt.Sprintf("http://127.0.0.1:%d/healthz", monitor)
		mine = append(mine, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	w.Connect(strings.Join(mine, ","), nodes)
	return strings.Join(all, ",")
}

func (w *world) startServices(o options, urls string, ingresses []string) {
	w.T.Helper()
	conf := w.write("trunkline.yaml", fmt.Sprintf(`
public_url: %s # as the simulator reaches it
listen: {ingress: ":8080", gateway: ":8081", control: ":8082", admin: ":9090"}
daily: {api_url: %s/v1, budget: {unlimited: true}, janitor_interval: 5s, presence_settle: 15s}
gateway: {url: "http://127.0.0.1:8081"} # the bots run in bot-scheduler's container
agents:
  agent: {command: [%s], slots: %d, lease: %s, kill_grace: 1s, linger: 1s}
routes: [{default: true, agent: agent, answer_budget: 150s}]
`, w.front.url, w.daily, simBot, o.slots, lease))
	env := map[string]string{
		"TRUNKLINE_CONFIG": "/etc/trunkline/trunkline.yaml", "NATS_URL": urls,
		"DAILY_API_KEY": storm.APIKey, "DAILY_PINLESS_HMAC": storm.PinlessHMAC, "DAILY_WEBHOOK_HMAC": storm.WebhookHMAC,
		"TRUNKLINE_SECRET": "the-secret-of-the-container-test",
	}
	for n := range o.each {
		for _, s := range stack.Services() {
			admin := storm.FreePort()
			ports := map[string]int{"9090/tcp": admin}
			if s.Name == "ingress" {
				if _, err := fmt.Sscanf(ingresses[n], "127.0.0.1:%d", &admin); err != nil {
					w.T.Fatal(err)
				}
				ports["8080/tcp"] = admin
			}
			b := w.run(fmt.Sprintf("%s-%d", s.Name, n+1), testcontainers.ContainerRequest{
				Image: "trunkline/" + s.Name, Env: env, Tmpfs: map[string]string{"/tmp": ""},
			}, mount{conf, "/etc/trunkline/trunkline.yaml"}, ports)
			b.ready = fmt.Sprintf("http://127.0.0.1:%d/readyz", ports["9090/tcp"])
		}
	}
}

// mount is a file of ours in a container.
type mount struct{ from, to string }

// run starts a container as docker-compose.yml would, for as long as the test lasts.
func (w *world) run(name string, req testcontainers.ContainerRequest, file mount, ports map[string]int) *box {
	w.T.Helper()
	b := &box{w: w, name: name, ip: w.address(len(w.boxes))}
	req.Labels = map[string]string{label: owner}
	req.Networks = []string{w.bus, w.outside}
	req.EndpointSettingsModifier = func(all map[string]*network.EndpointSettings) { all[w.bus].IPAMConfig = b.endpoint().IPAMConfig }
	bindings := network.PortMap{}
	for inside, port := range ports {
		req.ExposedPorts = append(req.ExposedPorts, inside)
		bindings[network.MustParsePort(inside)] = []network.PortBinding{{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: fmt.Sprint(port)}}
	}
	req.HostConfigModifier = func(c *container.HostConfig) {
		c.Binds = []string{file.from + ":" + file.to + ":ro"}
		c.PortBindings = bindings
		c.CapDrop, c.SecurityOpt = []string{"ALL"}, []string{"no-new-privileges:true"}
		c.ReadonlyRootfs = req.Tmpfs != nil
		if strings.HasPrefix(name, "bot-scheduler") {
			init := true
			c.Init = &init
		}
	}
	c, err := testcontainers.GenericContainer(w.T.Context(), testcontainers.GenericContainerRequest{ContainerRequest: req, Started: true, Logger: quiet{}})
	testcontainers.CleanupContainer(w.T, c, testcontainers.StopTimeout(0))
	if err != nil {
		w.T.Fatalf("start %s: %v", name, err)
	}
	b.Container = c
	w.T.Cleanup(b.keepLog)
	w.boxes = append(w.boxes, b)
	return b
}

// of gives the containers of a service, or of NATS.
func (w *world) of(service string) (some []*box) {
	for _, b := range w.boxes {
		if strings.HasPrefix(b.name, service+"-") {
			some = append(some, b)
		}
	}
	return some
}

func (w *world) awaitReady() {
	w.T.Helper()
	w.Poll(time.Minute, "the services", func() string {
		for _, b := range w.boxes {
			if why := b.unready(); why != "" {
				return why
			}
		}
		if state := w.Sim.Stats().Webhook; state != "ACTIVE" {
			return "the domain webhook: " + state
		}
		return ""
	})
}

// write writes a file that anybody may read, as a process in a container is somebody else.
func (w *world) write(name, text string) (path string) {
	w.T.Helper()
	path = filepath.Join(w.T.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.T.Fatal(err)
	}
	return path
}

// under runs a part of the test in the same world. What goes wrong in it leaves the world unfit for what follows.
func (w *world) under(name string, do func(t *testing.T)) {
	w.T.Helper()
	whole := w.T
	if !whole.Run(name, func(t *testing.T) {
		w.T = t
		defer func() { w.T = whole }()
		do(t)
	}) {
		whole.FailNow()
	}
}

// sweep removes what an earlier run has left behind that did not live to do so itself.
func sweep(ctx context.Context, docker *testcontainers.DockerClient) error {
	all, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", label)})
	if err != nil {
		return err
	}
	for _, c := range all.Items {
		if _, err := os.Stat("/proc/" + c.Labels[label]); err == nil {
			continue // its owner lives
		}
		if _, err := docker.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
			return err
		}
	}
	return nil
}
