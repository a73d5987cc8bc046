// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/services/call-control/policy"
)

const (
	listed = 1_000_000 // numbers
	judged = 100_000   // calls
)

// decisions measures what policy takes to decide on a call with a long do-not-call list, and what the list takes. There is
// no broker in it.
func (f *Figures) decisions(_ context.Context, p place) error {
	path := p.dir + ".txt"
	if err := writeList(path); err != nil {
		return err
	}
	before, began := memory(), time.Now()
	judge, err := policy.New(config.Policy{
		Countries: []string{"US", "CA"}, BlockedPrefixes: []string{"+1900", "+1976"}, DoNotCall: path, Hours: config.Hours{From: "09:00", To: "20:00"},
	}, "US")
	if err != nil {
		return err
	}
	f.Policy = Policy{Listed: listed, Read: time.Since(began), Bytes: memory() - before}
	took, noon := make([]time.Duration, judged), time.Date(2026, 7, 15, 16, 0, 0, 0, time.UTC)
	for i := range took {
		number := fmt.Sprintf("+1415555%04d", i%10_000)
		asked := time.Now()
		policy.Decide(judge.Judge(number, noon))
		took[i] = time.Since(asked)
	}
	runtime.KeepAlive(judge)
	f.Policy.P50, f.Policy.P99 = quantile(took, .5), quantile(took, .99)
	return nil
}

// writeList writes numbers in no order.
func writeList(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	for i := range listed {
		fmt.Fprintf(w, "+1%03d%07d\n", 201+i%700, (i*7919)%10_000_000)
	}
	return errors.Join(w.Flush(), file.Close())
}
