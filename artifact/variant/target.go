// Package variant chooses among the forms in which a package can be run: the
// WebAssembly itself, and native code made of it ahead of time for certain CPUs.
// It is pure: what the machine at hand is, package host tells.
package variant

import (
	"fmt"
	"slices"
	"strings"
)

// Target is what native code is made for. The zero Target is none.
type Target struct {
	OS    string // of Go's names: "linux"; "" for portable bytecode
	Arch  string // of Go's names: "amd64", "arm64"; or Pulley64
	Level string // of the CPU: "v1", "v2", "v3" on amd64; "" elsewhere
}

// Pulley64 is the portable bytecode of wasmtime, which runs on every 64-bit
// little-endian machine, ten to thirty times slower than native code.
const Pulley64 = "pulley64"

// Portable is the target of portable bytecode.
var Portable = Target{Arch: Pulley64}

// levels are the microarchitecture levels of the x86-64 psABI that are worth
// code of their own, lowest first: v4 was measured to gain nothing.
var levels = []string{"v1", "v2", "v3"}

// Parse reads a target as people write it and as platforms are printed:
// "linux/amd64/v3", "linux/amd64" (which is v1), "linux/arm64", "pulley64".
func Parse(s string) (Target, error) {
	if s == Pulley64 {
		return Portable, nil
	}
	parts := strings.Split(s, "/")
	t := Target{OS: parts[0]}
	if len(parts) > 1 {
		t.Arch = parts[1]
	}
	if len(parts) > 2 {
		t.Level = parts[2]
	}
	if t.Arch == "amd64" && t.Level == "" && len(parts) == 2 {
		t.Level = levels[0]
	}
	if len(parts) > 3 || !t.valid() {
		return Target{}, fmt.Errorf("target %q is none that is known: linux/amd64/v1, v2 or v3, linux/arm64, pulley64", s)
	}
	return t, nil
}

func (t Target) valid() bool {
	switch {
	case t.OS != "linux" && t.OS != "darwin" && t.OS != "windows":
		return false
	case t.Arch == "amd64":
		return slices.Contains(levels, t.Level)
	}
	return t.Arch == "arm64" && t.Level == ""
}

// String writes a target as [Parse] reads it.
func (t Target) String() string {
	if t.OS == "" {
		return t.Arch
	}
	s := t.OS + "/" + t.Arch
	if t.Level != "" {
		s += "/" + t.Level
	}
	return s
}

// RunsOn tells whether a machine runs code that was made for t. Portable
// bytecode runs everywhere.
func (t Target) RunsOn(host Target) bool {
	if t == Portable {
		return true
	}
	return t.OS == host.OS && t.Arch == host.Arch && slices.Index(levels, t.Level) <= slices.Index(levels, host.Level)
}

// MarshalText writes a target as [Target.String] does.
func (t Target) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what [Parse] reads.
func (t *Target) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err == nil {
		*t = parsed
	}
	return err
}
