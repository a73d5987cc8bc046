// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	pageSize    = 100  // the most a list gives at a time
	deleteBatch = 1000 // the most that one DELETE /batch/rooms takes
	maxRoomName = 128
)

// CreateRoom makes a room (Daily REST reference, rooms/create-room). It is sent once: after a doubtful end there may be a
// room. A name that is taken is ErrRefused, and so is a bad one; EnsureRoom tells them apart.
func (c *Client) CreateRoom(ctx context.Context, r CreateRoom) (*Room, error) {
	return c.createRoom(ctx, r, false)
}

// EnsureRoom creates a room, or finds it if there is one of that name, whatever its properties; existed says which. The
// name is the key that makes it safe to repeat, so it must not be empty. Where Daily's 400 was not about the name being
// taken, that error is returned. After an attempt without a clear end, the room found may be the one it made.
func (c *Client) EnsureRoom(ctx context.Context, r CreateRoom) (room *Room, existed bool, err error) {
	if _, err := roomPath("create room", r.Name); err != nil {
		return nil, false, err
	}
	room, err = c.createRoom(ctx, r, true)
	var refused *Error
	if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest {
		return room, false, err
	}
	// A duplicate and any other bad request share one "error", so only the room itself can tell.
	found, getErr := c.GetRoom(ctx, r.Name)
	switch {
	case errors.Is(getErr, ErrNotFound):
		return nil, false, err
	case getErr != nil:
		return nil, false, getErr
	}
	return found, true, nil
}

func (c *Client) createRoom(ctx context.Context, r CreateRoom, repeatable bool) (*Room, error) {
	return one(call[Room](ctx, c, request{
		op: "create room", class: ClassRoom, repeatable: repeatable,
		method: http.MethodPost, path: "/rooms", body: r,
	}))
}

// GetRoom finds a room by name. One that has expired is ErrNotFound (Daily REST reference, rooms/get-room-config).
func (c *Client) GetRoom(ctx context.Context, name string) (*Room, error) {
	path, err := roomPath("get room", name)
	if err != nil {
		return nil, err
	}
	return one(call[Room](ctx, c, request{
		op: "get room", class: ClassRoom, repeatable: true,
		method: http.MethodGet, path: path,
	}))
}

type page struct {
	Data []Room `json:"data"`
}

// ListRooms goes through all rooms that have not expired, the newest first (Daily REST reference, rooms/list-rooms). An
// error is the last thing it yields.
func (c *Client) ListRooms(ctx context.Context) iter.Seq2[Room, error] {
	return func(yield func(Room, error) bool) {
		after := ""
		for {
			query := url.Values{"limit": {strconv.Itoa(pageSize)}}
			if after != "" {
				query.Set("starting_after", after)
			}
			p, err := call[page](ctx, c, request{
				op: "list rooms", class: ClassJanitor, repeatable: true,
				method: http.MethodGet, path: "/rooms", query: query,
			})
			if err != nil {
				yield(Room{}, err)
				return
			}
			for _, room := range p.Data {
				if !yield(room, nil) {
					return
				}
			}
			if len(p.Data) < pageSize {
				return
			}
			last := p.Data[len(p.Data)-1].ID
			if last == "" || last == after {
				yield(Room{}, errors.New("daily: list rooms: the same page again"))
				return
			}
			after = last
		}
	}
}

// DeleteRooms deletes rooms, and so ends the calls in them, 1000 a request (Daily REST reference, rooms/batch/delete). A
// request that fails has deleted none of its rooms; deleted counts those of the requests before it. What Daily says to a
// name that is gone already is not documented.
func (c *Client) DeleteRooms(ctx context.Context, names []string) (deleted int, err error) {
	for batch := range slices.Chunk(names, deleteBatch) {
		reply, err := call[struct {
			Count int `json:"deleted_count"`
		}](ctx, c, request{
			op: "delete rooms", class: ClassDelete, repeatable: true,
			method: http.MethodDelete, path: "/batch/rooms", body: map[string][]string{"room_names": batch},
		})
		if err != nil {
			return deleted, err
		}
		deleted += reply.Count
	}
	return deleted, nil
}

// roomPath refuses a name that could not be a room's: in a path it might mean something else.
func roomPath(op, name string) (string, error) {
	bad := strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
	if name == "" || len(name) > maxRoomName || bad {
		return "", fmt.Errorf("%w: %s: %q is not a room name", ErrRefused, op, name)
	}
	return "/rooms/" + name, nil
}

// one turns a value into a pointer that is nil beside an error.
func one[T any](v T, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return &v, nil
}
