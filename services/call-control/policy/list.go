// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/trunkline/trunkline/pkg/phone"
)

// list holds numbers in E.164, without the plus, in order. A number takes 8 bytes.
type list []uint64

func (l list) has(digits uint64) bool {
	_, found := slices.BinarySearch(l, digits)
	return found
}

// readList takes a file with a number on each line, in any usual form; # begins a comment. A line that is not a number
// makes the whole file wrong: it may be somebody who does not want to be called. The error names it, but not the number.
func readList(path, region string) (list, os.FileInfo, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	numbers := make(list, 0, info.Size()/int64(len("+14155550100\n"))+1)
	lines := bufio.NewScanner(file)
	line := 1
	for ; lines.Scan(); line++ {
		text, _, _ := bytes.Cut(lines.Bytes(), []byte("#"))
		if line == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff")) // spreadsheets begin files with it
		}
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		digits, ok := plain(text)
		if !ok {
			digits, ok = written(string(text), region)
		}
		if !ok {
			return nil, nil, fmt.Errorf("%s: line %d is not a phone number", path, line)
		}
		numbers = append(numbers, digits)
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, nil, fmt.Errorf("%s: line %d is not a phone number", path, line)
	case err != nil:
		return nil, nil, err
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), info, nil
}

// written reads a number in any form that is understood elsewhere.
func written(text, region string) (uint64, bool) {
	number, err := phone.Normalize(text, region)
	if err != nil || !e164.MatchString(number) {
		return 0, false
	}
	return decimal([]byte(number[1:]))
}
