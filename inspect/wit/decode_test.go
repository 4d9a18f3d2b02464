package wit

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// decodeFile reads a file of testdata.
func decodeFile(t testing.TB, file string) *Document {
	t.Helper()
	d, problems, err := FromBinary(parseFile(t, file))
	if err != nil {
		t.Fatalf("FromBinary(%s): %v", file, err)
	}
	if len(problems) > 0 {
		t.Fatalf("FromBinary(%s) has problems: %q", file, problems)
	}
	return d
}

func parseFile(t testing.TB, file string) *wasm.Binary {
	t.Helper()
	bin, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	b, err := wasm.Parse(bin)
	if err != nil {
		t.Fatalf("wasm.Parse(%s): %v", file, err)
	}
	return b
}

// binaries lists the files of testdata, of which there must be as many as the
// README says.
func binaries(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.wasm")
	if err != nil || len(files) != 21 {
		t.Fatalf("testdata has %d binaries, %v; want 21", len(files), err)
	}
	for i, f := range files {
		files[i] = filepath.Base(f)
	}
	return files
}

// The golden texts were compared with what wit-component 0.259 prints of the
// same files: they are the same, except composed.wit, where that leaves out the
// use of two types.
func TestBinariesPrintAsGolden(t *testing.T) {
	for _, file := range binaries(t) {
		t.Run(file, func(t *testing.T) {
			d := decodeFile(t, file)
			got, err := Print(d)
			if err != nil {
				t.Fatalf("Print: %v", err)
			}
			golden := filepath.Join("testdata", "golden", strings.TrimSuffix(file, ".wasm")+".wit")
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("Print(%s) (-want +got):\n%s", file, diff)
			}
			back, err := Parse(got)
			if err != nil {
				t.Fatalf("Parse of what was printed: %v", err)
			}
			if diff := cmp.Diff(d, back); diff != "" {
				t.Errorf("Parse(Print(%s)) (-decoded +parsed):\n%s", file, diff)
			}
		})
	}
}

// What a package says as text and as a binary is the same.
func TestTextIsWhatTheBinarySays(t *testing.T) {
	text, err := os.ReadFile("testdata/words.wit")
	if err != nil {
		t.Fatal(err)
	}
	written, err := Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	decoded := decodeFile(t, "words.wasm").Package
	for _, want := range written.Package.Interfaces {
		got := decoded.Interface(want.Name)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("interface %s (-written +decoded):\n%s", want.Name, diff)
		}
	}
	if len(decoded.Interfaces) != len(written.Package.Interfaces) || len(decoded.Worlds) != len(written.Package.Worlds) {
		t.Errorf("decoded %d interfaces and %d worlds, want %d and %d", len(decoded.Interfaces), len(decoded.Worlds),
			len(written.Package.Interfaces), len(written.Package.Worlds))
	}
}

func TestBinaryWithoutWIT(t *testing.T) {
	empty := "\x00asm\x01\x00\x00\x00"
	component := "\x00asm\x0d\x00\x01\x00"
	tests := []struct {
		name string
		in   string
		want error
	}{
		{"a module without a world", empty, ErrNoWIT},
		{"a module whose world is a module", empty + "\x00\x17\x0ecomponent-type" + empty, ErrNotWIT},
		{"a module whose world is no binary", empty + "\x00\x11\x0ecomponent-type\x00\x01", wasm.ErrMagic},
		{"a component that exports a type", component + "\x07\x02\x01\x7f" + "\x0b\x07\x01\x00\x01a\x03\x00\x00", ErrNotWIT},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := wasm.Parse([]byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := FromBinary(b); !errors.Is(err, tt.want) {
				t.Errorf("FromBinary = %v, want %v", err, tt.want)
			}
		})
	}
}

// What FromBinary accepts and Print writes, Parse reads as the same document.
func FuzzFromBinary(f *testing.F) {
	for _, name := range binaries(f) {
		bin, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		if len(bin) < 8<<10 { // what is larger repeats itself, and is slow to mutate
			f.Add(bin)
		}
	}
	f.Fuzz(func(t *testing.T, bin []byte) {
		b, err := wasm.Parse(bin)
		if err != nil {
			return
		}
		d, _, err := FromBinary(b)
		if err != nil {
			return
		}
		text, err := Print(d)
		if errors.Is(err, ErrLimit) {
			return
		}
		if err != nil {
			t.Fatalf("Print: %v", err)
		}
		back, err := Parse(text)
		if err != nil {
			t.Fatalf("Parse of what was printed: %v\n%s", err, text)
		}
		if !reflect.DeepEqual(d, back) {
			t.Fatalf("Parse(Print) (-decoded +parsed):\n%s\n%s", cmp.Diff(d, back), text)
		}
	})
}
