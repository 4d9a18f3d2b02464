package wasmtime

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func realCode(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestReadCode(t *testing.T) {
	for name, want := range map[string]Code{
		"module.cwasm":           {Kind: "module", Arch: "amd64", CompatID: "sha256:ea7d056dac47043c9677fdc17935a54830e647caf7995fb1e94b8dfd1ccc632a"},
		"component.pulley.cwasm": {Kind: "component", Arch: "pulley64", CompatID: "sha256:bd8c2f2ad8810d6c9a42e2ffdd07e65a743785f72cefa06b3a2ba674e48ac47a"},
	} {
		b := realCode(t, name)
		got, err := ReadCode(bytes.NewReader(b), int64(len(b)))
		if err != nil || !cmp.Equal(got, &want) {
			t.Errorf("ReadCode(%s) = %+v, %v; want %+v", name, got, err, want)
		}
	}
}

func TestReadCodeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		at   int
		to   byte
	}{
		{"another ABI", 7, 0},
		{"32 bits", 4, 1},
		{"an unknown machine", 18, 1},
		{"neither module nor component", 48, 0},
		{"both", 48, 3},
		{"bytecode of 32 bits", 48, 5},
		{"long entries of sections", 58, 65},
		{"too many sections", 61, 255},
		{"no section of names", 62, 60},
		{"sections outside of the file", 47, 1},
		{"another name", len(realCode(t, "module.cwasm")), 0},
	} {
		b := realCode(t, "module.cwasm")
		if tt.at < len(b) {
			b[tt.at] = tt.to
		} else {
			b = bytes.ReplaceAll(b, []byte(".wasmtime.engine"), []byte(".wasmtime.ensign"))
		}
		if got, err := ReadCode(bytes.NewReader(b), int64(len(b))); !errors.Is(err, ErrCode) {
			t.Errorf("%s: ReadCode = %+v, %v; want %v", tt.name, got, err, ErrCode)
		}
	}
}

var compatID = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Whatever is read is told in known words, or refused with ErrCode, and what
// follows the end of the file changes nothing.
func FuzzReadCode(f *testing.F) {
	for _, name := range []string{"module.cwasm", "component.pulley.cwasm"} {
		f.Add(realCode(f, name))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := ReadCode(bytes.NewReader(in), int64(len(in)))
		if err != nil {
			if !errors.Is(err, ErrCode) {
				t.Fatalf("ReadCode = %v, which is not %v", err, ErrCode)
			}
			return
		}
		if got.Kind != "module" && got.Kind != "component" || !compatID.MatchString(got.CompatID) {
			t.Fatalf("ReadCode = %+v", got)
		}
		again, err := ReadCode(bytes.NewReader(append(in[:len(in):len(in)], 1, 2, 3)), int64(len(in)))
		if err != nil || *again != *got {
			t.Fatalf("read %+v, and with bytes behind its end %+v, %v", got, again, err)
		}
	})
}
