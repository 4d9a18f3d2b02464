package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A marker is a project kind told by one file.
type marker string

func (m marker) Name() string                         { return string(m) }
func (m marker) Build(context.Context, Options) error { return nil }

func (m marker) Detect(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, string(m)))
	return err == nil, nil
}

func TestDetect(t *testing.T) {
	tests := []struct {
		name  string
		files []string
		want  string
		err   error
	}{
		{name: "one kind", files: []string{"a"}, want: "a"},
		{name: "none", err: ErrUnknown},
		{name: "two kinds", files: []string{"a", "b"}, err: ErrAmbiguous},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, f := range tt.files {
				if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			b, err := Detect([]Builder{marker("a"), marker("b")}, dir)
			if !errors.Is(err, tt.err) || err == nil && b.Name() != tt.want {
				t.Fatalf("Detect(%v) = %v, %v; want %q, %v", tt.files, b, err, tt.want, tt.err)
			}
		})
	}
	if _, err := Detect(nil, filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("Detect of an absent folder = %v, want %v", err, os.ErrNotExist)
	}
}

func TestPlace(t *testing.T) {
	const module = "\x00asm\x01\x00\x00\x00"
	boom := errors.New("boom")
	tests := []struct {
		name    string
		compile func(string) error
		want    string
		err     error
	}{
		{name: "a module", compile: func(p string) error { return os.WriteFile(p, []byte(module), 0o755) }, want: module},
		{name: "no output", compile: func(string) error { return nil }, want: "before", err: ErrNotWasm},
		{
			name:    "something else",
			compile: func(p string) error { return os.WriteFile(p, []byte("!<arch>\n"), 0o600) }, want: "before", err: ErrNotWasm,
		},
		{name: "a failure", compile: func(string) error { return boom }, want: "before", err: boom},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			out := filepath.Join(dir, "x.wasm")
			if err := os.WriteFile(out, []byte("before"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := Place(out, tt.compile); !errors.Is(err, tt.err) {
				t.Fatalf("Place = %v, want %v", err, tt.err)
			}
			if got, err := os.ReadFile(out); string(got) != tt.want {
				t.Errorf("the output is %q, %v; want %q", got, err, tt.want)
			}
			if left, err := os.ReadDir(dir); len(left) != 1 {
				t.Errorf("the folder holds %v, %v; want the output alone", left, err)
			}
		})
	}
}

func TestPlaceReplacesOnlyFiles(t *testing.T) {
	dir := t.TempDir()
	if err := Place(dir, func(string) error { return nil }); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("Place over a folder = %v, want it refused", err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var all strings.Builder
	tail := Tail{Next: &all}
	for range 3 {
		_, _ = tail.Write([]byte(strings.Repeat("x", MaxText-1) + "\n"))
	}
	_, _ = tail.Write([]byte("the cause"))
	if got := tail.String(); len(got) != MaxText || !strings.HasSuffix(got, "\nthe cause") {
		t.Fatalf("the tail has %d bytes and ends in %q; want %d and the cause", len(got), got[max(0, len(got)-20):], MaxText)
	}
	if all.Len() != 3*MaxText+9 {
		t.Fatalf("%d bytes were passed on, want %d", all.Len(), 3*MaxText+9)
	}
}
