// SPDX-License-Identifier: Apache-2.0

// Package config reads trunkline.yaml and the secrets that stay outside it.
//
// A file is taken as a whole or not at all: Load and Parse report every
// problem at once, each with its line, and give no Config when there is one.
package config

import (
	"log/slog"
	"time"
)

// Config is what trunkline.yaml says, with defaults for what it does not say,
// and every number in E.164. It is not to be changed once it is loaded.
type Config struct {
	// Region is where numbers without a country code belong, such as "US".
	Region string `yaml:"region"`
	// PublicURL is where Daily reaches ingress, without a slash at its end.
	// Empty: no domain webhook is registered.
	PublicURL string            `yaml:"public_url"`
	NATS      NATS              `yaml:"nats"`
	Listen    Listen            `yaml:"listen"`
	Ingress   Ingress           `yaml:"ingress"`
	Daily     Daily             `yaml:"daily"`
	Gateway   Gateway           `yaml:"gateway"`
	Control   Control           `yaml:"control"`
	Agents    map[string]Agent  `yaml:"agents"` // by name
	Routes    []Route           `yaml:"routes"` // in the order of the file
	Dialout   Dialout           `yaml:"dialout"`
	Policy    Policy            `yaml:"policy"`
	Targets   map[string]Target `yaml:"targets"` // by name
	Transfer  Transfer          `yaml:"transfer"`
	// Drain is how long bot-scheduler, told to stop, takes no new calls and
	// waits for its bots; 0: it stops at once, and they live on.
	Drain time.Duration `yaml:"drain"`
	Log   Log           `yaml:"log"`
}

// NATS says where the record of every call is kept.
type NATS struct {
	URL         string        `yaml:"url"`         // servers, separated by commas
	Credentials string        `yaml:"credentials"` // path of a credentials file, or empty
	TLS         TLS           `yaml:"tls"`
	Replicas    int           `yaml:"replicas"` // copies of streams and buckets: 1, 3 or 5
	MaxAge      time.Duration `yaml:"max_age"`  // how long the stream keeps a call
}

// TLS names PEM files for the connection to NATS. Without them a server at tls:// is checked by the system's roots.
type TLS struct {
	CA   string `yaml:"ca"`   // of the server's certificate
	Cert string `yaml:"cert"` // our own, where the server wants one
	Key  string `yaml:"key"`  // of cert
}

// Listen holds an address (host:port) for each door.
type Listen struct {
	Ingress  string `yaml:"ingress"`  // Daily's webhooks
	Gateway  string `yaml:"gateway"`  // the bot gateway
	Control  string `yaml:"control"`  // Connect RPC
	Transfer string `yaml:"transfer"` // Connect RPC of transfer-service
	Admin    string `yaml:"admin"`    // health, readiness, metrics
}

// Ingress says how webhooks are taken.
type Ingress struct {
	DialinPaths    []string      `yaml:"dialin_paths"`    // of the dial-in webhook
	EventsPath     string        `yaml:"events_path"`     // of the domain webhook
	MaxBody        int64         `yaml:"max_body"`        // bytes
	MaxAge         time.Duration `yaml:"max_age"`         // of a signature, either way
	PublishTimeout time.Duration `yaml:"publish_timeout"` // for the broker to have the event
}

// Daily says how Daily's REST API is used.
type Daily struct {
	APIURL          string        `yaml:"api_url"`          // without a slash at its end
	Privacy         string        `yaml:"privacy"`          // of rooms: private or public
	Geo             string        `yaml:"geo"`              // of rooms; empty: the domain's
	MaxIdleTimeout  time.Duration `yaml:"max_idle_timeout"` // whole seconds
	SIPDisplayName  string        `yaml:"sip_display_name"` // of an anonymous caller
	Budget          Budget        `yaml:"budget"`
	JanitorInterval time.Duration `yaml:"janitor_interval"` // between two looks at presence
	PresenceSettle  time.Duration `yaml:"presence_settle"`  // absence after which a leg is lost
}

// Budget holds Daily's rate limits for the domain.
type Budget struct {
	RequestsPer5s int  `yaml:"requests_per_5s"`
	DeletesPer30s int  `yaml:"deletes_per_30s"`
	DialsPer5s    int  `yaml:"dials_per_5s"`
	Unlimited     bool `yaml:"unlimited"` // keep no budget at all
}

// Gateway says how bots reach the bot gateway.
type Gateway struct {
	// URL is empty where the address to listen on tells; see Config.GatewayURL.
	URL string `yaml:"url"`
}

// Control says how the API is used.
type Control struct {
	RequestsPerSecond int    `yaml:"requests_per_second"` // RPCs of one API key
	URL               string `yaml:"url"`                 // how other services reach call-control; see Config.ControlURL
}

// Log says what the log looks like.
type Log struct {
	Format string     `yaml:"format"` // text or json
	Level  slog.Level `yaml:"level"`
}

// Default is a Config with every default, and neither agents nor routes.
func Default() *Config {
	return &Config{
		Region: "US",
		NATS: NATS{
			URL:      "nats://127.0.0.1:4222",
			Replicas: 1,
			MaxAge:   168 * time.Hour,
		},
		Listen: Listen{
			Ingress:  ":8080",
			Gateway:  "127.0.0.1:8081",
			Control:  "127.0.0.1:8082",
			Transfer: "127.0.0.1:8083",
			Admin:    "127.0.0.1:9090",
		},
		Ingress: Ingress{
			DialinPaths:    []string{"/daily-dialin-webhook", "/start"},
			EventsPath:     "/daily-events",
			MaxBody:        65536,
			MaxAge:         5 * time.Minute,
			PublishTimeout: 5 * time.Second,
		},
		Daily: Daily{
			APIURL:          "https://api.daily.co/v1",
			Privacy:         "private",
			MaxIdleTimeout:  30 * time.Second,
			SIPDisplayName:  "Caller",
			Budget:          Budget{RequestsPer5s: 100, DeletesPer30s: 50, DialsPer5s: 5},
			JanitorInterval: 20 * time.Second,
			PresenceSettle:  60 * time.Second,
		},
		Control:  Control{RequestsPerSecond: 500},
		Dialout:  defaultDialout(),
		Policy:   defaultPolicy(),
		Transfer: defaultTransfer(),
		Log:      Log{Format: "text", Level: slog.LevelInfo},
	}
}
