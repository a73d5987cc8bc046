// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"errors"
	"strings"
	"time"
)

// CreateRoom asks for a room (Daily REST reference, rooms/create-room).
type CreateRoom struct {
	Name       string         `json:"name,omitempty"`    // A-Z a-z 0-9 - _, at most 128 characters; "" = Daily makes one up
	Privacy    string         `json:"privacy,omitempty"` // "public", which is Daily's default, or "private"
	Properties RoomProperties `json:"properties,omitzero"`
}

// RoomProperties are what a phone call needs of a room's configuration (Daily REST reference, rooms/config). A field that
// is not set is not sent, and Daily's default or the domain's holds.
type RoomProperties struct {
	NotBefore      int64          `json:"nbf,omitempty"` // unix seconds
	Exp            int64          `json:"exp,omitempty"` // unix seconds; Daily refuses one in the past, and keeps a room without one for ever
	EjectAtRoomExp bool           `json:"eject_at_room_exp,omitempty"`
	EnableDialout  bool           `json:"enable_dialout,omitempty"`
	DialoutConfig  *DialoutConfig `json:"dialout_config,omitempty"`
	SIP            *SIP           `json:"sip,omitempty"`
	Geo            string         `json:"geo,omitempty"` // such as "eu-central-1"
	Permissions    *Permissions   `json:"permissions,omitempty"`

	MaxParticipants      int   `json:"max_participants,omitempty"`
	StartVideoOff        bool  `json:"start_video_off,omitempty"`
	StartAudioOff        bool  `json:"start_audio_off,omitempty"`
	EnableChat           *bool `json:"enable_chat,omitempty"`
	EnablePrejoinUI      *bool `json:"enable_prejoin_ui,omitempty"`
	EnableEmojiReactions *bool `json:"enable_emoji_reactions,omitempty"`
	EnforceUniqueUserIDs *bool `json:"enforce_unique_user_ids,omitempty"`
}

// DialoutConfig is how dial-outs behave in a room.
type DialoutConfig struct {
	AllowRoomStart    bool   `json:"allow_room_start,omitempty"` // dial into an empty room
	DialoutGeo        string `json:"dialout_geo,omitempty"`
	MaxIdleTimeoutSec int    `json:"max_idle_timeout_sec,omitempty"` // seconds a dialled leg may stay after the bots left; 0 = none
}

// SIPDialIn is the one mode of a SIP block that Daily knows.
const SIPDialIn = "dial-in"

// SIP gives a room addresses that a call can be sent to.
type SIP struct {
	DisplayName  string        `json:"display_name"` // required
	Mode         string        `json:"sip_mode"`     // required: SIPDialIn
	Video        bool          `json:"video"`
	NumEndpoints int           `json:"num_endpoints,omitempty"` // 0 = 1; each counts towards the room's 5 phone legs
	Codecs       *Codecs       `json:"codecs,omitempty"`
	Provider     string        `json:"provider,omitempty"` // "daily"; "" = Daily's default
	DialinConfig *DialinConfig `json:"dialin_config,omitempty"`
}

// Codecs are names in order of preference: OPUS, G722, PCMU, PCMA; H264, VP8.
type Codecs struct {
	Audio []string `json:"audio,omitempty"`
	Video []string `json:"video,omitempty"`
}

// DialinConfig is how dial-ins behave in a room.
type DialinConfig struct {
	AllowRoomStart                    bool   `json:"allow_room_start,omitempty"` // take a call into an empty room
	DialinGeo                         string `json:"dialin_geo,omitempty"`
	MaxIdleTimeoutSec                 int    `json:"max_idle_timeout_sec,omitempty"` // seconds a caller may stay after the bots left; 0 = none
	MaxIdleTimeoutPostConversationSec int    `json:"max_idle_timeout_post_conversation_sec,omitempty"`
	HoldMusicEnabled                  bool   `json:"hold_music_enabled,omitempty"` // until another participant is heard, at most 60 s
}

// Room is a room at Daily.
type Room struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	URL       string     `json:"url"`
	Privacy   string     `json:"privacy"`
	CreatedAt time.Time  `json:"created_at"`
	Config    RoomConfig `json:"config"`
}

// RoomConfig is what Trunkline reads of a room's configuration. Daily sends only what is not a default.
type RoomConfig struct {
	Exp    float64    `json:"exp"` // unix seconds; Pipecat sends it with a fraction
	SIPURI SIPAddress `json:"sip_uri"`
}

// SIPAddress is where a call can be sent.
type SIPAddress struct {
	Endpoint string `json:"endpoint"` // with or without "sip:"; Room.SIPURI settles it
}

func (r *Room) check() error {
	if r.Name == "" || r.URL == "" {
		return errors.New("room without a name or a URL")
	}
	return nil
}

// Expires is zero for a room that stays.
func (r *Room) Expires() time.Time {
	t, err := unixTime(r.Config.Exp)
	if err != nil || r.Config.Exp == 0 {
		return time.Time{}
	}
	return t
}

// SIPURI is the address to forward a call to, with exactly one "sip:", or "" for a room that has none. Daily's samples
// show the endpoint both with the prefix and without.
func (r *Room) SIPURI() string {
	uri := strings.TrimSpace(r.Config.SIPURI.Endpoint)
	for len(uri) >= 4 && strings.EqualFold(uri[:4], "sip:") {
		uri = uri[4:]
	}
	if uri == "" {
		return ""
	}
	return "sip:" + uri
}
