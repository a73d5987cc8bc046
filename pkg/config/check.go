// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trunkline/trunkline/pkg/phone"
)

// check reports what a schema cannot: how values fit together, and whether
// they mean something. c is what is right by the schema.
func check(d *document, c *Config) {
	if !phone.KnownRegion(c.Region) {
		d.report("region", "is not a region that has phone numbers")
	}
	checkNATS(d, c)
	checkListen(d, c)
	checkIngress(d, c)
	checkDaily(d, c)
	checkURL(d, "gateway.url", c.Gateway.URL, true, "http", "https")
	checkURL(d, "control.url", c.Control.URL, true, "http", "https")
	for name, a := range c.Agents {
		checkAgent(d, child("agents", name), a, c.Gateway.URL)
	}
	checkRoutes(d, c)
	checkDialout(d, c)
	checkPolicy(d, c)
	checkTransfer(d, c)
	checkTargets(d, c)
}

func checkNATS(d *document, c *Config) {
	for server := range strings.SplitSeq(c.NATS.URL, ",") {
		server = strings.TrimSpace(server)
		if u, err := url.Parse(server); err == nil && u.User != nil {
			d.report("nats.url", "must hold no password or token: set NATS_NKEY, or name a file in nats.credentials")
			continue
		}
		checkURL(d, "nats.url", server, false, "nats", "tls", "ws", "wss")
	}
	if (c.NATS.TLS.Cert == "") != (c.NATS.TLS.Key == "") {
		d.report("nats.tls", "must name both cert and key, or neither")
	}
	positive(d, "nats.max_age", c.NATS.MaxAge)
}

func checkListen(d *document, c *Config) {
	type door struct{ path, address string }
	var seen []door
	for _, l := range []door{
		{"listen.ingress", c.Listen.Ingress},
		{"listen.gateway", c.Listen.Gateway},
		{"listen.control", c.Listen.Control},
		{"listen.transfer", c.Listen.Transfer},
		{"listen.admin", c.Listen.Admin},
	} {
		_, port, err := net.SplitHostPort(l.address)
		n, perr := strconv.Atoi(port)
		if err != nil || perr != nil || n < 0 || n > 65535 {
			d.report(l.path, `must be host:port, such as "127.0.0.1:8080" or ":8080"`)
			continue
		}
		for _, other := range seen {
			if n != 0 && collide(l.address, other.address) {
				d.report(l.path, fmt.Sprintf("%s is taken by %s (%s)", l.address, other.path, other.address), other.path)
			}
		}
		seen = append(seen, l)
	}
}

// collide reports whether two addresses cannot be listened on at once.
func collide(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	return portA == portB && (hostA == hostB || isWildcard(hostA) || isWildcard(hostB))
}

func checkIngress(d *document, c *Config) {
	for i, path := range c.Ingress.DialinPaths {
		if path == c.Ingress.EventsPath {
			d.report(item("ingress.dialin_paths", i), "is ingress.events_path, too", "ingress.events_path")
		}
		if first := slices.Index(c.Ingress.DialinPaths, path); first < i {
			d.report(item("ingress.dialin_paths", i), fmt.Sprintf("is the same as [%d]", first))
		}
	}
	positive(d, "ingress.max_age", c.Ingress.MaxAge)
	positive(d, "ingress.publish_timeout", c.Ingress.PublishTimeout)
}

func checkDaily(d *document, c *Config) {
	checkURL(d, "daily.api_url", c.Daily.APIURL, false, "http", "https")
	production := isDaily(c.Daily.APIURL)
	if production && strings.HasPrefix(strings.ToLower(c.Daily.APIURL), "http:") {
		d.report("daily.api_url", "must begin with https://, or the account key is for all to read")
	}
	schemes := []string{"https"}
	if !production {
		schemes = append(schemes, "http") // a simulator reaches ingress as it likes
	}
	checkURL(d, "public_url", c.PublicURL, true, schemes...)
	wholeSeconds(d, "daily.max_idle_timeout", c.Daily.MaxIdleTimeout, time.Second)
	positive(d, "daily.presence_settle", c.Daily.PresenceSettle)
	interval := c.Daily.JanitorInterval
	switch {
	case !positive(d, "daily.janitor_interval", interval):
	case production && interval < 15*time.Second:
		d.report("daily.janitor_interval", "must be at least 15s, because Daily asks for no more")
	case interval >= c.Daily.PresenceSettle:
		d.report("daily.presence_settle", "must be longer than daily.janitor_interval ("+span(interval)+")", "daily.janitor_interval")
	}
}

// isDaily reports whether the REST API at apiURL is Daily's own.
func isDaily(apiURL string) bool {
	u, err := url.Parse(apiURL)
	if err != nil {
		return false
	}
	host := "." + strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	return strings.HasSuffix(host, ".daily.co")
}

// checkURL wants an absolute URL that more path can be added to.
func checkURL(d *document, path, value string, mayBeEmpty bool, schemes ...string) {
	if value == "" && mayBeEmpty {
		return
	}
	u, err := url.Parse(value)
	switch {
	case err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "":
		forms := make([]any, len(schemes))
		for i, scheme := range schemes {
			forms[i] = scheme + "://…"
		}
		d.report(path, "must be an address "+oneOf(forms))
	case u.User != nil:
		d.report(path, "must hold no user or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		d.report(path, "must end with its path, without ? or #")
	}
}

func positive(d *document, path string, v time.Duration) bool {
	if v <= 0 {
		d.report(path, "must be longer than 0s")
	}
	return v > 0
}

func wholeSeconds(d *document, path string, v, least time.Duration) {
	switch {
	case v < least:
		d.report(path, "must be at least "+span(least))
	case v%time.Second != 0:
		d.report(path, "must be in whole seconds")
	}
}

// span writes a duration as people do: 2m, not 2m0s.
func span(v time.Duration) string {
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// normalize brings what was checked to its one form.
func normalize(c *Config) {
	for _, u := range []*string{&c.PublicURL, &c.Daily.APIURL, &c.Gateway.URL, &c.Control.URL, &c.Transfer.URL} {
		*u = strings.TrimRight(*u, "/")
	}
	for i := range c.Routes {
		c.Routes[i].Number, _ = phone.Normalize(c.Routes[i].Number, c.Region)
	}
	for _, t := range c.Targets {
		for i := range t.Numbers {
			t.Numbers[i], _ = phone.Normalize(t.Numbers[i], c.Region)
		}
	}
}
