// SPDX-License-Identifier: Apache-2.0

package config

import "net"

// GatewayURL is how bots reach the gateway: as set, else derived from the
// address it listens on, by the loopback where that is every interface.
func (c *Config) GatewayURL() string { return reach(c.Gateway.URL, c.Listen.Gateway) }

// TransferURL is how bots reach transfer-service, in the same way.
func (c *Config) TransferURL() string { return reach(c.Transfer.URL, c.Listen.Transfer) }

// ControlURL is how services reach call-control, in the same way.
func (c *Config) ControlURL() string { return reach(c.Control.URL, c.Listen.Control) }

func reach(url, listen string) string {
	if url != "" {
		return url
	}
	host, port, err := net.SplitHostPort(listen)
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
