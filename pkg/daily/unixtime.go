// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"errors"
	"math"
	"strconv"
	"time"
)

// parseUnix reads a time that Daily wrote as a number: unix seconds, whole or
// with a fraction, or unix milliseconds.
func parseUnix(s string) (time.Time, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return time.Time{}, err
	}
	return unixTime(n)
}

// lastSecond is in the year 5138: a time that adds a duration to it can still be written as RFC 3339.
const lastSecond = 1e11

// unixTime takes what is greater than 1e12 for milliseconds: as seconds it would be the year 33658.
func unixTime(n float64) (time.Time, error) {
	if n > 1e12 {
		n /= 1000
	}
	if math.IsNaN(n) || n < 0 || n > lastSecond {
		return time.Time{}, errors.New("daily: time out of range")
	}
	sec, frac := math.Modf(n)
	return time.UnixMilli(int64(sec)*1000 + int64(math.Round(frac*1000))).UTC(), nil
}
