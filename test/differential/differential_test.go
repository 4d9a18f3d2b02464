//go:build cgo

package differential

import (
	"archive/zip"
	"errors"
	"io"
	"math/rand/v2"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// foreign are the features that this wasmtime does not have, or that its Go
// interface cannot switch on. A module that needs one is not compared.
const foreign = wasm.FeatureExceptions | wasm.FeatureLegacyExceptions | wasm.FeatureCustomPageSizes |
	wasm.FeatureCustomDescriptors | wasm.FeatureSharedEverything | wasm.FeatureStackSwitching |
	wasm.FeatureMemoryControl | wasm.FeatureCompactImports

func engine() *wasmtime.Engine {
	c := wasmtime.NewConfig()
	for _, on := range []func(bool){
		c.SetWasmThreads, c.SetWasmReferenceTypes, c.SetWasmSIMD, c.SetWasmRelaxedSIMD, c.SetWasmBulkMemory, c.SetWasmMultiValue,
		c.SetWasmMultiMemory, c.SetWasmMemory64, c.SetWasmTailCall, c.SetWasmFunctionReferences, c.SetWasmGC, c.SetWasmWideArithmetic,
	} {
		on(true)
	}
	return wasmtime.NewEngineWithConfig(c)
}

// validate is our verdict.
func validate(file []byte) (wasm.Features, error) {
	b, err := wasm.Parse(file)
	if err != nil {
		return 0, err
	}
	return wasm.Validate(b)
}

// compare fails if only one of the two accepts a module.
func compare(t *testing.T, e *wasmtime.Engine, name string, file []byte) {
	t.Helper()
	if kind, err := wasm.Header(file); err == nil && kind == wasm.KindComponent {
		return
	}
	used, ours := validate(file)
	theirs := wasmtime.ModuleValidate(e, file)
	switch {
	case ours == nil && theirs != nil && used&foreign == 0 && !strings.Contains(theirs.Error(), "not supported"):
		t.Errorf("%s: Validate accepts what wasmtime refuses (features %v): %v\n% x", name, used, theirs, file)
	case ours != nil && theirs == nil && !errors.Is(ours, wasm.ErrLimit) && !bareIndex(ours):
		t.Errorf("%s: Validate refuses what wasmtime accepts: %v\n% x", name, ours, file)
	}
}

// bareIndex recognises what wasmtime 39 lets pass in places though the
// specification and later versions do not: the index of a type, of a byte below
// 0x40 or several, for a value type.
func bareIndex(err error) bool { return errors.Is(err, wasm.ErrCode) && index.MatchString(err.Error()) }

var index = regexp.MustCompile(` 0x[0-389a-f][0-9a-f] for a value type$`)

// suite calls f for each binary of the suite of core modules.
func suite(t testing.TB, f func(name string, file []byte)) {
	t.Helper()
	z, err := zip.OpenReader("../../inspect/wasm/testdata/core-spec.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	count := 0
	for _, entry := range z.File {
		if path.Ext(entry.Name) != ".wasm" {
			continue
		}
		r, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		file, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		count++
		f(entry.Name, file)
	}
	if count < 4000 {
		t.Fatalf("the suite holds %d binaries, want at least 4000", count)
	}
}

func TestSuiteIsJudgedAlike(t *testing.T) {
	e := engine()
	suite(t, func(name string, file []byte) { compare(t, e, name, file) })
}

// Each small binary is changed in one to three bytes, a few times; the changes
// are the same in every run.
func TestMutationsAreJudgedAlike(t *testing.T) {
	e := engine()
	random := rand.New(rand.NewPCG(1, 2))
	suite(t, func(name string, file []byte) {
		if len(file) > 400 || len(file) <= 8 {
			return
		}
		for range 20 {
			changed := append([]byte(nil), file...)
			for range 1 + random.IntN(3) {
				changed[8+random.IntN(len(changed)-8)] = byte(random.Uint32())
			}
			compare(t, e, name, changed)
		}
	})
}

// FuzzValidate looks for a module that only one of the two accepts.
func FuzzValidate(f *testing.F) {
	e := engine()
	cases, seeds := 0, 0
	suite(f, func(_ string, file []byte) {
		if cases++; cases%12 == 0 && len(file) <= 2000 { // all of them would take a short run's time
			seeds++
			f.Add(file)
		}
	})
	if seeds < 300 {
		f.Fatalf("%d seeds, want at least 300", seeds)
	}
	f.Fuzz(func(t *testing.T, file []byte) { compare(t, e, "fuzzed module", file) })
}
