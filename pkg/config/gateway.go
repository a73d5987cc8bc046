// SPDX-License-Identifier: Apache-2.0

package config

import "net"

// GatewayURL is how bots reach the gateway: as set, else derived from the
// address it listens on, by the loopback where that is every interface.
func (c *Config) GatewayURL() string {
	if c.Gateway.URL != "" {
		return c.Gateway.URL
	}
	host, port, err := net.SplitHostPort(c.Listen.Gateway)
	if err != nil {
		return ""
	}
	if isWildcard(host) {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// isWildcard reports whether host stands for every interface.
func isWildcard(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}
