// SPDX-License-Identifier: Apache-2.0

package daily_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trunkline/trunkline/pkg/daily"
)

// A dial-in webhook is verified over the bytes as received, then read.
func ExampleVerifier() {
	body := []byte(`{"To":"+15550199","From":null,"callId":"c1","callDomain":"d1"}`)
	timestamp := fmt.Sprint(time.Now().UnixMilli())
	signature, _ := daily.Sign("c2VjcmV0", timestamp, body) // what Daily does

	verifier := daily.Verifier{Secrets: []string{"bmV3LXNlY3JldA==", "c2VjcmV0"}}
	if err := verifier.Verify(signature, timestamp, body); err != nil {
		fmt.Println(err)
		return
	}
	call, err := daily.ParseDialin(body)
	fmt.Println(call.CallID, call.To, call.From == "", err)
	// Output: c1 +15550199 true <nil>
}

// A forward is sent once; its error says what may be done next.
func ExampleClient_PinlessCallUpdate() {
	forward := func(ctx context.Context, c *daily.Client, callID, callDomain string, room *daily.Room) string {
		err := c.PinlessCallUpdate(ctx, callID, callDomain, room.SIPURI())
		switch {
		case err == nil:
			return "forwarded"
		case daily.Doubtful(err):
			return "wait for dialin.connected, do not send it again at once"
		case errors.Is(err, daily.ErrNotFound):
			return "the caller has gone, or was forwarded before"
		case daily.Retryable(err):
			return "Daily did nothing: try again"
		}
		return "Daily refuses"
	}
	_ = forward
}
