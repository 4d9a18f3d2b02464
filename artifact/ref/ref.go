// Package ref reads the names of packages: repositories, tags, digests, whole
// references, and the namespace:name@version form of the Wasm package tools.
//
// Every name from outside passes through here first, so the bounds and the
// grammar of the OCI distribution specification live in this one place. The
// functions say what is wrong and where; none of them touches a network.
package ref

import (
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Bounds of the names, in bytes. MaxName is the limit of the distribution
// specification's recommendation for host and name together, which leaves a
// host of any practical length; MaxTag is its grammar's own.
const (
	MaxName = 255
	MaxTag  = 128
)

// Errors of this package, always wrapped with the place; test with [errors.Is].
var (
	ErrName      = errors.New("invalid repository name")
	ErrTag       = errors.New("invalid tag")
	ErrDigest    = errors.New("invalid digest")
	ErrAlgorithm = errors.New("unsupported digest algorithm")
	ErrReference = errors.New("invalid reference")
)

// CheckName reports whether name is a repository name of the distribution
// specification: path components of lower-case letters and digits, separated
// within by one dot, one or two underscores, or any number of dashes.
func CheckName(name string) error {
	if name == "" {
		return fmt.Errorf("%w: it is empty", ErrName)
	}
	if len(name) > MaxName {
		return fmt.Errorf("%w: %d bytes, more than %d", ErrName, len(name), MaxName)
	}
	start := 0
	for start <= len(name) {
		end := strings.IndexByte(name[start:], '/')
		if end < 0 {
			end = len(name)
		} else {
			end += start
		}
		if err := checkComponent(name[start:end]); err != nil {
			return fmt.Errorf("%w %q: component at byte %d %w", ErrName, clip(name), start, err)
		}
		start = end + 1
	}
	return nil
}

func checkComponent(c string) error {
	if c == "" {
		return errors.New("is empty")
	}
	for i := 0; i < len(c); {
		if !lowerAlnum(c[i]) {
			return fmt.Errorf("has %q where a lower-case letter or digit belongs", c[i])
		}
		for i < len(c) && lowerAlnum(c[i]) {
			i++
		}
		if i == len(c) {
			return nil
		}
		sep := i
		switch c[i] {
		case '.':
			i++
		case '_':
			i++
			if i < len(c) && c[i] == '_' {
				i++
			}
		case '-':
			for i < len(c) && c[i] == '-' {
				i++
			}
		default:
			return fmt.Errorf("has %q, which no name may contain", c[i])
		}
		if i == len(c) {
			return fmt.Errorf("ends in the separator %q", c[sep:])
		}
	}
	return nil
}

func lowerAlnum(b byte) bool { return 'a' <= b && b <= 'z' || '0' <= b && b <= '9' }

// CheckTag reports whether tag matches the specification's grammar,
// [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}.
func CheckTag(tag string) error {
	if tag == "" {
		return fmt.Errorf("%w: it is empty", ErrTag)
	}
	if len(tag) > MaxTag {
		return fmt.Errorf("%w: %d bytes, more than %d", ErrTag, len(tag), MaxTag)
	}
	for i := 0; i < len(tag); i++ {
		b := tag[i]
		word := lowerAlnum(b) || 'A' <= b && b <= 'Z' || b == '_'
		if !word && (i == 0 || b != '.' && b != '-') {
			return fmt.Errorf("%w %q: byte %d is %q", ErrTag, tag, i, b)
		}
	}
	return nil
}

// ParseDigest reads algorithm:hex. SHA-256 and SHA-512 are supported
// (ErrAlgorithm otherwise); the hex must be lower case and of the algorithm's
// length.
func ParseDigest(s string) (digest.Digest, error) {
	alg, hex, ok := strings.Cut(s, ":")
	if !ok {
		return "", fmt.Errorf("%w %q: no colon between algorithm and hex", ErrDigest, clip(s))
	}
	want := 0
	switch digest.Algorithm(alg) {
	case digest.SHA256:
		want = 2 * sha256.Size
	case digest.SHA512:
		want = 2 * sha512.Size
	default:
		return "", fmt.Errorf("%w %q: use sha256 or sha512", ErrAlgorithm, clip(alg))
	}
	if len(hex) != want {
		return "", fmt.Errorf("%w: %s has %d hex digits, got %d", ErrDigest, alg, want, len(hex))
	}
	for i := 0; i < len(hex); i++ {
		if b := hex[i]; (b < '0' || b > '9') && (b < 'a' || b > 'f') {
			return "", fmt.Errorf("%w %q: hex digit %d is %q", ErrDigest, s, i, b)
		}
	}
	return digest.Digest(s), nil
}

// clip keeps hostile input out of error messages past the first 80 bytes.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
