package config

import (
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// A Size is a number of bytes. Its text form is a whole number with an optional
// unit: B, KB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024).
type Size int64

var units = []struct {
	suffix string
	bytes  int64
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"KB", 1e3},
	{"B", 1},
}

// UnmarshalText reads the text form. Negative sizes and such as do not fit into
// 63 bits are errors.
func (s *Size) UnmarshalText(text []byte) error {
	number, unit := string(text), int64(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(number, u.suffix); ok {
			number, unit = strings.TrimSpace(n), u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil {
		return fmt.Errorf("%q is not a size: want a number with a unit, like 512KiB or 10GB", clip(string(text)))
	}
	if int64(n) > math.MaxInt64/unit {
		return fmt.Errorf("size %q is too large", clip(string(text)))
	}
	*s = Size(int64(n) * unit)
	return nil
}

// String gives the text form with the largest power of 1024 that keeps it whole.
func (s Size) String() string {
	for _, u := range units[:4] {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// A DSN is an address that may hold secrets. Printing or logging it shows them
// as xxxxx; convert it to string where the secrets are needed.
type DSN string

var (
	keywordSecret = regexp.MustCompile(`(?i)\b(\w*(?:password|secret|token|key)\s*=\s*)('(?:[^'\\]|\\.)*'?|[^\s&]+)`)
	userinfo      = regexp.MustCompile(`(//[^:/@]*):.*@`)
)

// String is the address without its secrets.
func (d DSN) String() string {
	s := userinfo.ReplaceAllString(string(d), "$1:xxxxx@")
	return keywordSecret.ReplaceAllString(s, "${1}xxxxx")
}

// GoString keeps %#v from showing the secrets.
func (d DSN) GoString() string { return strconv.Quote(d.String()) }

// LogValue keeps slog from showing the secrets.
func (d DSN) LogValue() slog.Value { return slog.StringValue(d.String()) }

// MarshalText keeps JSON and YAML from showing the secrets.
func (d DSN) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Scheme is what stands before the first colon, "" if there is none.
func (d DSN) Scheme() string {
	scheme, _, ok := strings.Cut(string(d), ":")
	if !ok {
		return ""
	}
	return scheme
}

// Postgres reports whether the address names a PostgreSQL database.
func (d DSN) Postgres() bool { return d.Scheme() == "postgres" || d.Scheme() == "postgresql" }

// SQLite is the path of the SQLite file the address names, with or without the
// scheme sqlite: before it.
func (d DSN) SQLite() string { return strings.TrimPrefix(string(d), "sqlite:") }

// Rest is what stands behind the scheme, percent-decoded query and all left to
// the driver.
func (d DSN) Rest() string {
	_, rest, _ := strings.Cut(string(d), ":")
	return rest
}

// Query splits Rest into the part before the first question mark and the
// parameters behind it.
func (d DSN) Query() (string, url.Values, error) {
	path, query, _ := strings.Cut(d.Rest(), "?")
	v, err := url.ParseQuery(query)
	if err != nil {
		return "", nil, fmt.Errorf("parameters of %s are not a query string", d) // without the cause, which quotes them
	}
	return path, v, nil
}

// clip keeps hostile input out of error messages past the first 80 bytes.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
