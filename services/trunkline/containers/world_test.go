// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	dockermount "github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/nats-io/nats.go"
	"github.com/testcontainers/testcontainers-go"
	networks "github.com/testcontainers/testcontainers-go/network"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/engine"
	"github.com/trunkline/trunkline/services/trunkline/stack"
	"github.com/trunkline/trunkline/services/trunkline/storm"
)

const (
	simBot = "/usr/local/bin/sim-bot"

	drain = time.Minute // how long bot-scheduler waits for its bots when it is told to stop
)

// The time that a container has to stop, as docker-compose.yml gives it: half a minute more than drain.
var grace = map[string]time.Duration{"nats": 30 * time.Second, "bot-scheduler": drain + 30*time.Second}

const graceOfOthers = 20 * time.Second

// world is Trunkline as containers. They meet on one network, the bus, and reach the simulator by another. The
// simulator is in this process: it is the world outside and is never killed.
type world struct {
	*storm.World
	options
	docker  *testcontainers.DockerClient
	bus     string // the network on which the parts meet
	outside string // the network by which they reach Daily, and Daily them
	subnet  netip.Prefix
	daily   string // address of the simulator
	front   *front
	keys    map[string]string // files with the seeds of NATS's users
	public  map[string]string // and their public keys, as NATS's environment has them
	certs   *certs            // nil without TLS
	boxes   []*box            // NATS first
}

// options are what a test chooses about its world.
type options struct {
	nodes int // NATS servers
	each  int // of every service
	slots int
	lease time.Duration
	tls   bool // between the services and NATS, with certificates on both sides
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
	w := &world{World: &storm.World{T: t, Slots: o.slots, Patience: time.Minute}, options: o, docker: docker}
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
	w.makeKeys()
	if o.tls {
		w.certs = w.makeCerts()
	}
	w.startServices(w.startNATS(), ingresses)
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

// address is that of a container on the bus, by its number. By it the services know NATS: the engine's name service knows
// only who runs, and takes seconds to say so.
func (w *world) address(n int) netip.Addr {
	ip := w.subnet.Addr()
	for range 10 + n { // the first ones are the network's own
		ip = ip.Next()
	}
	return ip
}

// makeKeys makes a key for each user of NATS, as trunkline nats keys does.
func (w *world) makeKeys() {
	w.T.Helper()
	public, seeds, err := stack.NewNKeys()
	if err != nil {
		w.T.Fatal(err)
	}
	w.keys, w.public = map[string]string{}, map[string]string{}
	for user, seed := range seeds {
		w.keys[user] = w.write(user+".nk", seed.Reveal())
		w.public[stack.PublicVariable(user)] = public[user]
	}
}

// startNATS starts NATS with the configuration that is shipped, and gives its addresses for the services. What it
// advertises is where it is on the bus: services must not find it elsewhere.
func (w *world) startNATS() (urls string) {
	w.T.Helper()
	conf, scheme := "nats.conf", "nats"
	mounts := []mount{}
	for _, name := range []string{"nats.conf", "cluster.conf", "users.conf", "tls.conf"} {
		mounts = append(mounts, mount{shipped(w.T, "nats/"+name), "/etc/nats/" + name})
	}
	if w.nodes > 1 {
		conf = "cluster.conf"
	}
	if w.certs != nil {
		scheme = "tls"
		mounts = append(mounts[:len(mounts)-1], w.certs.ofNATS...)
	}
	var all, mine []string
	for n := range w.nodes {
		name, address := fmt.Sprintf("nats-%d", n+1), w.address(n)
		port, monitor := storm.FreePort(), storm.FreePort()
		env := maps.Clone(w.public)
		env["NATS_NAME"] = name
		b := w.run(name, testcontainers.ContainerRequest{
			Image: "trunkline/nats", User: "0:0", Env: env,
			Cmd: []string{
				"supervise", "--url", "http://127.0.0.1:8222/healthz", "--fatal", "write error", fmt.Sprintf("--only-fatal=%t", w.nodes > 1), "--",
				"/nats-server", "--config", "/etc/nats/" + conf,
				"--client_advertise", fmt.Sprintf("%s:4222", address), "--cluster_advertise", fmt.Sprintf("%s:6222", address),
			},
		}, mounts, map[string]int{"4222/tcp": port, "8222/tcp": monitor})
		b.ready = fmt.Sprintf("http://127.0.0.1:%d/healthz", monitor)
		all = append(all, fmt.Sprintf("%s://%s:4222", scheme, address))
		mine = append(mine, fmt.Sprintf("%s://127.0.0.1:%d", scheme, port))
	}
	operator, err := nats.NkeyOptionFromSeed(w.keys[stack.Operator])
	if err != nil {
		w.T.Fatal(err)
	}
	options := []nats.Option{operator}
	if w.certs != nil {
		options = append(options, nats.RootCAs(w.certs.ca.from), nats.ClientCert(w.certs.cert.from, w.certs.key.from))
	}
	w.Connect(strings.Join(mine, ","), w.nodes, options...)
	return strings.Join(all, ",")
}

// shipped is the path of a file that is shipped in deploy.
func shipped(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../../deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (w *world) startServices(urls string, ingresses []string) {
	w.T.Helper()
	text := fmt.Sprintf(`
public_url: %s # as the simulator reaches it
listen: {ingress: ":8080", gateway: ":8081", control: ":8082", transfer: ":8083", admin: ":9090"}
daily: {api_url: %s/v1, budget: {unlimited: true}, janitor_interval: 5s, presence_settle: 15s}
gateway: {url: "http://127.0.0.1:8081"} # the bots run in bot-scheduler's container
control: {url: "http://call-control:8082"}
transfer: {url: "http://transfer-service:8083"}
drain: %s
agents:
  agent: {command: [%s], slots: %d, lease: %s, kill_grace: 1s, linger: 1s}
routes: [{default: true, agent: agent, answer_budget: 150s}]
`, w.front.url, w.daily, drain, simBot, w.slots, w.lease)
	mounts := []mount{}
	if c := w.certs; c != nil {
		text += fmt.Sprintf("nats: {tls: {ca: %s, cert: %s, key: %s}}\n", c.ca.to, c.cert.to, c.key.to)
		mounts = append(mounts, c.ca, c.cert, c.key)
	}
	mounts = append(mounts, mount{w.write("trunkline.yaml", text), "/etc/trunkline/trunkline.yaml"})
	env := map[string]string{
		"TRUNKLINE_CONFIG": "/etc/trunkline/trunkline.yaml", "NATS_URL": urls, "NATS_NKEY_FILE": "/run/secrets/nats-nkey",
		"DAILY_API_KEY": storm.APIKey, "DAILY_PINLESS_HMAC": storm.PinlessHMAC, "DAILY_WEBHOOK_HMAC": storm.WebhookHMAC,
		"TRUNKLINE_SECRET": "the-secret-of-the-container-test",
	}
	for n := range w.each {
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
				Image: "trunkline/" + s.Name, Env: env,
			}, append(slices.Clone(mounts), mount{w.keys[s.Name], "/run/secrets/nats-nkey"}), ports)
			b.ready = fmt.Sprintf("http://127.0.0.1:%d/readyz", ports["9090/tcp"])
		}
	}
}

// mount is a file of ours in a container.
type mount struct{ from, to string }

// run starts a container as docker-compose.yml would, for as long as the test lasts.
func (w *world) run(name string, req testcontainers.ContainerRequest, files []mount, ports map[string]int) *box {
	w.T.Helper()
	service := name[:strings.LastIndexByte(name, '-')]
	b := &box{w: w, name: name, service: service, ip: w.address(len(w.boxes))}
	req.Labels = map[string]string{label: owner}
	req.Networks = []string{w.bus, w.outside}
	req.NetworkAliases = map[string][]string{w.bus: b.aliases()}
	req.EndpointSettingsModifier = func(all map[string]*network.EndpointSettings) { all[w.bus].IPAMConfig = b.endpoint().IPAMConfig }
	bindings := network.PortMap{}
	for inside, port := range ports {
		req.ExposedPorts = append(req.ExposedPorts, inside)
		bindings[network.MustParsePort(inside)] = []network.PortBinding{{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: fmt.Sprint(port)}}
	}
	req.HostConfigModifier = func(c *container.HostConfig) {
		for _, f := range files {
			c.Binds = append(c.Binds, f.from+":"+f.to+":ro")
		}
		c.PortBindings = bindings
		c.ReadonlyRootfs, c.CapDrop, c.SecurityOpt = true, []string{"ALL"}, []string{"no-new-privileges:true"}
		switch service {
		case "nats":
			c.RestartPolicy.Name = container.RestartPolicyUnlessStopped
			c.Mounts = append(c.Mounts, dockermount.Mount{Type: dockermount.TypeVolume, Target: "/data"})
		case "bot-scheduler":
			init := true
			c.Init = &init
			fallthrough
		default:
			c.Tmpfs = map[string]string{"/tmp": ""}
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
