package ociapi

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/wreg-project/wreg/registry"
)

// span is part of a body: n bytes from off on.
type span struct{ off, n int64 }

// errUnsatisfiable says that no byte of the body is in the range.
var errUnsatisfiable = &registry.Error{
	Code: registry.SizeInvalid, Message: "the range is not one of this blob's", Err: registry.ErrRange,
}

// parseRange reads a Range header (RFC 9110, 14.2) for a body of size bytes.
// ok is false if the whole body is to be sent: without a header, for a unit
// other than bytes, and for several ranges at once, which a server may ignore.
// A range that is malformed or has none of the bytes is errUnsatisfiable.
func parseRange(header string, size int64) (s span, ok bool, err error) {
	unit, set, found := strings.Cut(header, "=")
	if !found || !strings.EqualFold(strings.TrimSpace(unit), "bytes") || strings.Contains(set, ",") {
		return span{}, false, nil
	}
	first, last, found := strings.Cut(strings.TrimSpace(set), "-")
	if !found {
		return span{}, false, errUnsatisfiable
	}
	if first == "" { // the last so many bytes
		n, err := position(last)
		if err != nil || n == 0 || size == 0 {
			return span{}, false, errUnsatisfiable
		}
		n = min(n, size)
		return span{size - n, n}, true, nil
	}
	from, err := position(first)
	if err != nil || from >= size {
		return span{}, false, errUnsatisfiable
	}
	to := size - 1
	if last != "" {
		end, err := position(last)
		if err != nil || end < from {
			return span{}, false, errUnsatisfiable
		}
		to = min(to, end)
	}
	return span{from, to - from + 1}, true, nil
}

// contentRange is the header for s of a body of size bytes.
func (s span) contentRange(size int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", s.off, s.off+s.n-1, size)
}

// parseContentRange reads the Content-Range of a chunk, which in this
// specification is two positions and nothing else.
func parseContentRange(header string) (start, end int64, err error) {
	first, last, found := strings.Cut(header, "-")
	if !found {
		return 0, 0, errors.New("no dash between start and end")
	}
	if start, err = position(first); err != nil {
		return 0, 0, err
	}
	if end, err = position(last); err != nil {
		return 0, 0, err
	}
	if end < start || end-start == 1<<63-1 { // the length has to be a number too
		return 0, 0, errors.New("its end does not follow its start")
	}
	return start, end, nil
}

// position reads a byte position: digits only, without the signs that
// strconv would take.
func position(s string) (int64, error) {
	if s == "" {
		return 0, errors.New("a position is missing")
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, errors.New("a position is not a number")
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, errors.New("a position is too large")
	}
	return n, nil
}
