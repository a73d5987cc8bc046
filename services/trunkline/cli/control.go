// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
)

// control is where call-control is, and the API key to ask it with.
type control struct{ url, key string }

func (c *control) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&c.url, "control", "http://127.0.0.1:8082", "URL of call-control")
	cmd.PersistentFlags().StringVar(&c.key, "key", "", "API key; goes before TRUNKLINE_KEY and the key of trunkline dev in "+keyFile(devDir))
}

func (c *control) client() (controlv1connect.CallServiceClient, error) {
	key := c.key
	if key == "" {
		key = os.Getenv("TRUNKLINE_KEY")
	}
	if key == "" {
		text, err := os.ReadFile(keyFile(devDir))
		if errors.Is(err, os.ErrNotExist) {
			return nil, errors.New("no API key: set TRUNKLINE_KEY; trunkline keys add makes a key")
		}
		if err != nil {
			return nil, err
		}
		key = strings.TrimSpace(string(text))
	}
	return controlv1connect.NewCallServiceClient(http.DefaultClient, c.url, connect.WithInterceptors(auth.Bearer(key))), nil
}

// devDir is where `trunkline dev` keeps its files unless told otherwise.
const devDir = ".trunkline"

// keyFile is the file in which `trunkline dev` leaves its key.
func keyFile(dir string) string { return filepath.Join(dir, "key") }
