// SPDX-License-Identifier: Apache-2.0

package compose

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

const root = "../../.."

// file is docker-compose.yml, as far as it is looked at here.
type file struct {
	Services map[string]struct {
		Profiles        []string
		Environment     map[string]string
		Ports           []string
		StopGracePeriod string `yaml:"stop_grace_period"`
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func composeFile(t *testing.T) file {
	t.Helper()
	var f file
	if err := yaml.Load([]byte(read(t, "docker-compose.yml")), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// variable is one that can be set, with its default. One that must be set has none.
type variable struct {
	value string
	must  bool
}

// example is what .env.example says.
func example(t *testing.T) map[string]variable {
	t.Helper()
	known := map[string]variable{}
	for _, m := range regexp.MustCompile(`(?m)^(#?)([A-Z][A-Z0-9_]*)=(.*)$`).FindAllStringSubmatch(read(t, ".env.example"), -1) {
		if _, twice := known[m[2]]; twice {
			t.Errorf("%s is there twice", m[2])
		}
		known[m[2]] = variable{value: m[3], must: m[1] == ""}
	}
	return known
}

// asked are the variables that Compose asks for, as it says what to do without them.
func asked(t *testing.T) map[string]variable {
	t.Helper()
	found := map[string]variable{}
	for _, name := range []string{"docker-compose.yml", "deploy/compose/real.env", "deploy/compose/real-nats.env"} {
		text := regexp.MustCompile(`(?m)#.*$`).ReplaceAllString(read(t, name), "")
		for _, m := range regexp.MustCompile(`\$\{([A-Z0-9_]+)(:[-?])?([^}]*)\}`).FindAllStringSubmatch(text, -1) {
			v := variable{value: m[3]}
			if m[2] == ":?" {
				v = variable{must: true}
			}
			if before, ok := found[m[1]]; ok && before != v && !before.must && !v.must {
				t.Errorf("%s has the defaults %q and %q", m[1], before.value, v.value)
			}
			v.must = v.must || found[m[1]].must
			if v.must {
				v.value = ""
			}
			found[m[1]] = v
		}
	}
	return found
}

// readByTheCode are the variables that the services read.
func readByTheCode(t *testing.T) []string {
	t.Helper()
	names := []string{}
	getenv := regexp.MustCompile(`os\.(?:Getenv|LookupEnv)\("([A-Z0-9_]+)"\)`)
	secret := regexp.MustCompile(`(?m)^\tEnv\w+\s+= "([A-Z0-9_]+)"`)
	code(t, func(text string) {
		for _, m := range getenv.FindAllStringSubmatch(text, -1) {
			names = append(names, m[1])
		}
		for _, m := range secret.FindAllStringSubmatch(text, -1) {
			names = append(names, m[1], m[1]+"_FILE")
		}
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// code gives the text of every Go file that is in an image.
func code(t *testing.T, see func(text string)) {
	t.Helper()
	for _, module := range []string{"pkg", "services"} {
		err := filepath.WalkDir(filepath.Join(root, module), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil || strings.Contains(string(text), "//go:build breakable") { // is in no image
				return err
			}
			see(string(text))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryVariableIsInTheExampleWithItsDefault(t *testing.T) {
	known, compose, code := example(t), asked(t), readByTheCode(t)
	if len(code) < 10 || len(compose) < 8 {
		t.Fatalf("Compose asks for %v, and the code reads %v only", compose, code)
	}
	for name, v := range compose {
		if known[name] != v {
			t.Errorf("%s is %+v in Compose and %+v in .env.example", name, v, known[name])
		}
	}
	for _, name := range code {
		if _, ok := known[name]; !ok {
			t.Errorf("%s is not in .env.example", name)
		}
	}
	const profiles = "COMPOSE_PROFILES" // read by Compose itself
	for name := range known {
		if _, ok := compose[name]; !ok && name != profiles && !slices.Contains(code, name) {
			t.Errorf("nobody reads %s", name)
		}
	}
	for _, name := range []string{"TRUNKLINE_CONFIG", "NATS_URL"} {
		t.Setenv(name, "")
	}
	defaults := config.Default()
	for name, want := range map[string]string{
		"TRUNKLINE_CONFIG": app.ConfigPath(), "NATS_URL": app.NATSURL(), "NATS_REPLICAS": strconv.Itoa(defaults.NATS.Replicas),
		"DAILY_SIM_LISTEN": sim.DefaultListen, "SIM_PORT": port(t, sim.DefaultListen),
		"INGRESS_PORT": port(t, defaults.Listen.Ingress), "CONTROL_PORT": port(t, defaults.Listen.Control),
		"TRANSFER_PORT": port(t, defaults.Listen.Transfer),
	} {
		if known[name].value != want {
			t.Errorf("%s is %s in .env.example, and %s in the code", name, known[name].value, want)
		}
	}
	if !strings.Contains(read(t, "pkg/app/app.go"), "gcPercent = "+known["GOGC"].value+"\n") {
		t.Errorf("GOGC is not %s in the code", known["GOGC"].value)
	}
}

func TestThePortsAreThoseOfTheConfiguration(t *testing.T) {
	cfg, err := config.Load(filepath.Join(root, "deploy/compose/trunkline.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defaults := config.Default().Listen
	for name, addr := range map[string][2]string{
		"ingress": {cfg.Listen.Ingress, defaults.Ingress}, "gateway": {cfg.Listen.Gateway, defaults.Gateway},
		"control": {cfg.Listen.Control, defaults.Control}, "transfer": {cfg.Listen.Transfer, defaults.Transfer},
		"admin": {cfg.Listen.Admin, defaults.Admin},
	} {
		if port(t, addr[0]) != port(t, addr[1]) {
			t.Errorf("%s listens on %s in Compose, and on %s by default", name, addr[0], addr[1])
		}
	}
	inside := map[string]string{
		"ingress": port(t, cfg.Listen.Ingress), "call-control": port(t, cfg.Listen.Control), "transfer-service": port(t, cfg.Listen.Transfer),
		"daily-sim":    port(t, sim.DefaultListen),
		"real-ingress": port(t, defaults.Ingress), "real-call-control": port(t, defaults.Control), "real-transfer-service": port(t, defaults.Transfer),
	}
	for name, s := range composeFile(t).Services {
		for _, published := range s.Ports {
			if !strings.HasPrefix(published, "127.0.0.1:") || !strings.HasSuffix(published, ":"+inside[name]) {
				t.Errorf("%s publishes %s, and listens on %s", name, published, inside[name])
			}
			delete(inside, name)
		}
	}
	for name, missing := range inside {
		t.Errorf("%s does not publish %s", name, missing)
	}
}

func TestTheREADMENamesThePortsAndTheVariables(t *testing.T) {
	text, known, defaults := read(t, "README.md"), example(t), config.Default()
	ports := []string{
		port(t, defaults.Listen.Ingress), port(t, defaults.Listen.Gateway), port(t, defaults.Listen.Control), port(t, defaults.Listen.Transfer),
		port(t, defaults.Listen.Admin), port(t, sim.DefaultListen), port(t, strings.TrimPrefix(defaults.NATS.URL, "nats://")),
	}
	for _, p := range ports {
		if !regexp.MustCompile(`\b` + p + `\b`).MatchString(text) {
			t.Errorf("README.md does not name the port %s", p)
		}
	}
	ports = append(ports, "9091") // of a second process on the same machine
	for _, m := range regexp.MustCompile(`(?:127\.0\.0\.1|localhost):([0-9]+)`).FindAllStringSubmatch(text, -1) {
		if !slices.Contains(ports, m[1]) {
			t.Errorf("README.md names %s, which is nobody's", m[0])
		}
	}
	for _, m := range regexp.MustCompile(`\b(?:DAILY|TRUNKLINE|NATS|OTEL|COMPOSE|INGRESS|CONTROL|TRANSFER|SIM|BOTS)_[A-Z_]*[A-Z]\b`).FindAllString(text, -1) {
		if _, ok := known[m]; !ok {
			t.Errorf("README.md names %s, and .env.example does not", m)
		}
	}
}

func TestEveryMetricIsListed(t *testing.T) {
	metric := regexp.MustCompile(`\btrunkline_[a-z_]+\b`)
	listed, there := metric.FindAllString(read(t, "docs/operations.md"), -1), []string{}
	code(t, func(text string) {
		for _, m := range regexp.MustCompile(`Name: "(trunkline_[a-z_]+)"`).FindAllStringSubmatch(text, -1) {
			there = append(there, m[1])
		}
	})
	if len(there) < 9 {
		t.Fatalf("the code has the metrics %q only", there)
	}
	for _, m := range there {
		if !slices.Contains(listed, m) {
			t.Errorf("docs/operations.md does not list %s", m)
		}
	}
	for _, m := range listed {
		if !slices.Contains(there, m) {
			t.Errorf("docs/operations.md lists %s, which is nowhere", m)
		}
	}
}

// Docker kills what has not stopped in time: it must give longer than the bots are waited for, by what ending those takes
// that are left.
func TestBotSchedulerIsGivenTheTimeToDrain(t *testing.T) {
	const rest = 30 * time.Second
	cfg, err := config.Load(filepath.Join(root, "deploy/compose/trunkline.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{composeFile(t).Services["bot-scheduler"].StopGracePeriod, asked(t)["BOTS_STOP_GRACE"].value} {
		if grace, err := time.ParseDuration(text); err != nil || cfg.Drain == 0 || grace != cfg.Drain+rest {
			t.Errorf("it drains for %s and is killed after %q", cfg.Drain, text)
		}
	}
}

func TestThePublicSecretsAreForTheSimulatorAlone(t *testing.T) {
	f := composeFile(t)
	public := f.Services["ingress"].Environment
	for name, s := range f.Services {
		real := slices.Contains(s.Profiles, "real")
		if simulated := slices.Contains(s.Profiles, "") || slices.Contains(s.Profiles, "cluster"); simulated == real && name != "nats" {
			t.Errorf("%s belongs to the profiles %q", name, s.Profiles)
		}
		for _, secret := range []string{config.EnvDailyAPIKey, config.EnvDailyPinlessHMAC, config.EnvDailyWebhookHMAC, config.EnvTrunklineSecret} {
			if public[secret] == "" {
				t.Fatalf("%s is not set for the simulator", secret)
			}
			if _, set := s.Environment[secret]; set && real {
				t.Errorf("%s has %s in the Compose file", name, secret)
			}
			if !asked(t)[secret].must {
				t.Errorf("%s need not be set", secret)
			}
		}
	}
}

// What is tested is what is run.
func TestTheNATSServerIsTheOneThatIsTested(t *testing.T) {
	tested := regexp.MustCompile(`nats-io/nats-server/v2 v(\S+)`).FindStringSubmatch(read(t, "pkg/go.mod"))
	for _, name := range []string{"docker-compose.yml", "README.md"} {
		for _, m := range regexp.MustCompile(`nats:([0-9]+\.[0-9.]+)`).FindAllStringSubmatch(read(t, name), -1) {
			if m[1] != tested[1] {
				t.Errorf("%s names %s, and %s is tested", name, m[0], tested[1])
			}
		}
	}
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
