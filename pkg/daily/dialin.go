// SPDX-License-Identifier: Apache-2.0

package daily

import "errors"

// Dialin is the body of the dial-in webhook: somebody has dialled one of our numbers, and Daily holds the call until
// [Client.PinlessCallUpdate] (Daily guide "SIP interconnect and pinless dial-in").
type Dialin struct {
	To, From   string // as Daily wrote them: E.164, or a SIP user or URI; an anonymous caller's From is ""
	CallID     string // the session's id on the SIP network; with CallDomain it names the call
	CallDomain string
	SIPHeaders map[string]string // those of a SIP interconnect; what is not a string is its JSON text

	// Test means that Daily is trying the URL, and that nobody is calling.
	Test bool
}

// ParseDialin reads the body of a dial-in webhook. It fails with ErrNotJSON, or if only one of callId and callDomain is
// there, naming the other. Neither of them, or a field "test" or "Test", makes it a test.
func ParseDialin(body []byte) (Dialin, error) {
	f, err := parseFields(body)
	if err != nil {
		return Dialin{}, err
	}
	d := Dialin{
		To:         f.text("To"),
		From:       f.text("From"),
		CallID:     f.text("callId"),
		CallDomain: f.text("callDomain"),
		SIPHeaders: f.texts("sipHeaders"),
	}
	switch {
	case f.has("test"), f.has("Test"), d.CallID == "" && d.CallDomain == "":
		d.Test = true
	case d.CallID == "":
		return Dialin{}, errors.New("daily: dial-in webhook: callId is missing")
	case d.CallDomain == "":
		return Dialin{}, errors.New("daily: dial-in webhook: callDomain is missing")
	}
	return d, nil
}
