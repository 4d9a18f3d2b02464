package aot_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/test/corpus/hostile"
)

func TestCheckCountsAndRefuses(t *testing.T) {
	twice := hostile.InComponent(hostile.Functions(aot.MaxFunctions/2+1), hostile.Functions(aot.MaxFunctions/2+1))
	tests := []struct {
		name string
		file []byte
		want error
		text string
	}{
		{"an empty module", []byte("\x00asm\x01\x00\x00\x00"), nil, ""},
		{"as many functions as are allowed", hostile.Functions(aot.MaxFunctions), nil, ""},
		{"a function too many", hostile.Functions(aot.MaxFunctions + 1), aot.ErrLimit, "200001 functions at byte 0, at most 200000"},
		{"too many in two modules of a component", twice, aot.ErrLimit, "200002 functions at byte 400048"},
		{"as many targets as are allowed", hostile.BranchTable(aot.MaxTargets), nil, ""},
		{"a target too many", hostile.BranchTable(aot.MaxTargets + 1), aot.ErrLimit, "1000001 targets of br_table at byte "},
		{"a function too long", hostile.Straight(aot.MaxBody), aot.ErrLimit, "bytes in one function at byte "},
		{"a file too long", make([]byte, aot.MaxInput+1), aot.ErrLimit, "67108865 bytes"},
		{"no WebAssembly", []byte("\x7fELF"), aot.ErrInput, "precompiled code"},
		{"invalid WebAssembly", []byte("\x00asm\x01\x00\x00\x00\x03\x02\x01\x00"), aot.ErrInput, "byte"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, err := aot.Check(tt.file)
			if !errors.Is(err, tt.want) || tt.want != nil && !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("Check(%d bytes) = %+v, %v; want %v with %q", len(tt.file), n, err, tt.want, tt.text)
			}
			if tt.want == nil && n.Kind != wasm.KindModule {
				t.Errorf("Check(%d bytes) counts %+v, want those of a module", len(tt.file), n)
			}
		})
	}
}

func TestCheckSaysWhatThereIs(t *testing.T) {
	file := hostile.InComponent(hostile.BranchTable(7), hostile.Functions(3))
	got, err := aot.Check(file)
	if err != nil || got.Kind != wasm.KindComponent || got.Functions != 4 || got.Targets != 7 || got.Code == 0 || got.Body == 0 {
		t.Errorf("Check = %+v, %v; want a component of 4 functions and 7 targets", got, err)
	}
}
