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
	"github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1/transferv1connect"
)

// control is where call-control is, and the API key to ask it with.
type control struct {
	url string
	apiKey
}

func (c *control) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&c.url, "control", "http://127.0.0.1:8082", "URL of call-control")
	c.apiKey.flags(cmd)
}

func (c *control) client() (controlv1connect.CallServiceClient, error) {
	with, err := c.find()
	if err != nil {
		return nil, err
	}
	return controlv1connect.NewCallServiceClient(http.DefaultClient, c.url, with), nil
}

// transfers is where transfer-service is, and the API key to ask it with.
type transfers struct {
	url string
	apiKey
}

func (t *transfers) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&t.url, "transfers", "http://127.0.0.1:8083", "URL of transfer-service")
	t.apiKey.flags(cmd)
}

func (t *transfers) client() (transferv1connect.TransferServiceClient, error) {
	with, err := t.find()
	if err != nil {
		return nil, err
	}
	return transferv1connect.NewTransferServiceClient(http.DefaultClient, t.url, with), nil
}

// apiKey is what requests are made with.
type apiKey struct{ key string }

func (k *apiKey) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&k.key, "key", "", "API key; goes before TRUNKLINE_KEY and the key of trunkline dev in "+keyFile(devDir))
}

// find looks for a key wherever one may be, and gives what adds it to requests.
func (k *apiKey) find() (connect.ClientOption, error) {
	key := k.key
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
	return connect.WithInterceptors(auth.Bearer(key)), nil
}

// devDir is where `trunkline dev` keeps its files unless told otherwise.
const devDir = ".trunkline"

// keyFile is the file in which `trunkline dev` leaves its key.
func keyFile(dir string) string { return filepath.Join(dir, "key") }
