package blob

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
)

// A Key is the physical name of a blob. The generation is zero for the first
// copy of a digest and grows when bytes come back while an earlier copy waits
// for its deletion, so that a delete that was already decided can never meet
// the new copy. Package meta knows which generation is live.
type Key struct {
	Digest     digest.Digest
	Generation int64
}

// ParseKey is the inverse of [Key.String]. Anything that String does not make is
// ErrKey.
func ParseKey(s string) (Key, error) {
	d, gen, more := strings.Cut(s, ".")
	k := Key{Digest: digest.Digest(d)}
	if more {
		n, err := strconv.ParseInt(gen, 10, 64)
		if err != nil || n <= 0 || strconv.FormatInt(n, 10) != gen {
			return Key{}, fmt.Errorf("generation in %q: %w", clip(s), ErrKey)
		}
		k.Generation = n
	}
	return k, k.Validate()
}

// String gives algorithm:hex, with .generation behind it when that is not zero.
func (k Key) String() string {
	if k.Generation == 0 {
		return string(k.Digest)
	}
	return string(k.Digest) + "." + strconv.FormatInt(k.Generation, 10)
}

// Validate returns ErrKey unless the digest is one of SHA-256 or SHA-512 in lower
// case and the generation is not negative. A valid key is safe in a path.
func (k Key) Validate() error {
	if !validDigest(k.Digest) || k.Generation < 0 {
		return fmt.Errorf("%q: %w", clip(k.String()), ErrKey)
	}
	return nil
}

// Path is where drivers that have folders keep a valid key: algorithm, the first
// two hex digits, then the hex with .generation behind it when that is not zero,
// separated by slashes.
func (k Key) Path() string {
	alg, hex, _ := strings.Cut(string(k.Digest), ":")
	p := alg + "/" + hex[:2] + "/" + hex
	if k.Generation == 0 {
		return p
	}
	return p + "." + strconv.FormatInt(k.Generation, 10)
}

func validDigest(d digest.Digest) bool {
	alg, hex, _ := strings.Cut(string(d), ":")
	switch digest.Algorithm(alg) {
	case digest.SHA256:
		return len(hex) == 64 && isHex(hex)
	case digest.SHA512:
		return len(hex) == 128 && isHex(hex)
	default:
		return false
	}
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// maxName bounds an object name, in bytes: what S3 allows less a prefix.
const (
	maxName      = 900
	maxComponent = 200 // bytes; leaves room for what a driver appends
)

// CheckName returns ErrName unless name may name an object: components of
// [a-z0-9.-], at least one and none empty, "." or "..", separated by slashes. A
// name has at most 900 bytes and a component at most 200.
func CheckName(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("name of %d bytes: %w", len(name), ErrName)
	}
	for c := range strings.SplitSeq(name, "/") {
		if !validComponent(c) {
			return fmt.Errorf("%q: %w", clip(name), ErrName)
		}
	}
	return nil
}

// CheckDir is CheckName for the folder given to ListObjects, that may be "".
func CheckDir(dir string) error {
	if dir == "" {
		return nil
	}
	return CheckName(dir)
}

func validComponent(c string) bool {
	if c == "" || c == "." || c == ".." || len(c) > maxComponent {
		return false
	}
	for i := range len(c) {
		if b := c[i]; (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '.' && b != '-' {
			return false
		}
	}
	return true
}

// clip shortens what may be hostile for an error message.
func clip(s string) string {
	const longest = 200
	if len(s) > longest {
		return s[:longest] + "…"
	}
	return s
}
