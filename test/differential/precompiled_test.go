//go:build cgo && amd64

package differential

import (
	"bytes"
	"slices"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/wreg-project/wreg/inspect/precompiled"
	"github.com/wreg-project/wreg/inspect/signal"
)

// What the inspector reads of native code is what wasmtime was told when it made
// it.
func TestNativeCodeIsRead(t *testing.T) {
	tests := []struct {
		target, arch, triple string
		flags                []string
	}{
		{"x86_64-unknown-linux-gnu", "amd64", "x86_64-unknown-linux-gnu", nil},
		{"x86_64-unknown-linux-gnu", "amd64", "x86_64-unknown-linux-gnu", []string{"has_sse3", "has_ssse3"}},
		{"pulley64", "pulley64", "pulley64-unknown-unknown-elf", nil},
	}
	seen := map[string]bool{}
	for _, tt := range tests {
		c := wasmtime.NewConfig()
		if err := c.SetTarget(tt.target); err != nil {
			t.Fatal(err)
		}
		for _, f := range tt.flags {
			c.EnableCraneliftFlag(f)
		}
		m, err := wasmtime.NewModule(wasmtime.NewEngineWithConfig(c), []byte("\x00asm\x01\x00\x00\x00"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.Serialize()
		if err != nil {
			t.Fatal(err)
		}
		got, ok := precompiled.Read(bytes.NewReader(b), int64(len(b)))
		if !ok || got.Runtime != precompiled.Wasmtime || got.Form != precompiled.Module || got.Version != "39" || got.Arch != tt.arch ||
			got.Triple != tt.triple || !slices.Equal(got.Flags, tt.flags) {
			t.Errorf("Read of code for %s with %v = %+v, %v", tt.target, tt.flags, got, ok)
			continue
		}
		if seen[string(got.Settings)] {
			t.Errorf("code for %s with %v has the settings of another target", tt.target, tt.flags)
		}
		seen[string(got.Settings)] = true
		if _, ok := signal.Precompiled(b); !ok {
			t.Errorf("Precompiled of code for %s = false; want true", tt.target)
		}
	}
}
