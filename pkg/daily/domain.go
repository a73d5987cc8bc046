// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"context"
	"errors"
	"net/http"
)

// Domain is the domain that the API key belongs to.
type Domain struct {
	Name string `json:"domain_name"` // as in https://<name>.daily.co
	ID   string `json:"domain_id"`   // goes into every MeetingToken
}

func (d *Domain) check() error {
	if d.Name == "" || d.ID == "" {
		return errors.New("domain without a name or an id")
	}
	return nil
}

// Domain asks which domain the key belongs to (Daily REST reference, domain/get-domain-config). ErrRefused with status
// 401 means that the key is wrong.
func (c *Client) Domain(ctx context.Context) (Domain, error) {
	return call[Domain](ctx, c, request{
		// Asked once, and until it is answered no bot can be started: every caller waits for it.
		op: "get domain", class: ClassForward, repeatable: true,
		method: http.MethodGet, path: "/",
	})
}
