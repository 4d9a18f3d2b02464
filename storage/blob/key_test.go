package blob_test

import (
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
)

const (
	hex256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	hex512 = hex256 + hex256
)

func TestParseKey(t *testing.T) {
	tests := []struct {
		name, in string
		want     blob.Key
		path     string
		err      error
	}{
		{
			name: "first generation", in: "sha256:" + hex256,
			want: blob.Key{Digest: "sha256:" + hex256}, path: "sha256/e3/" + hex256,
		},
		{
			name: "later generation", in: "sha512:" + hex512 + ".12",
			want: blob.Key{Digest: "sha512:" + hex512, Generation: 12}, path: "sha512/e3/" + hex512 + ".12",
		},
		{
			name: "largest generation", in: "sha256:" + hex256 + ".9223372036854775807",
			want: blob.Key{Digest: "sha256:" + hex256, Generation: 1<<63 - 1},
			path: "sha256/e3/" + hex256 + ".9223372036854775807",
		},
		{name: "generation too large", in: "sha256:" + hex256 + ".9223372036854775808", err: blob.ErrKey},
		{name: "generation zero", in: "sha256:" + hex256 + ".0", err: blob.ErrKey},
		{name: "generation with a zero before it", in: "sha256:" + hex256 + ".01", err: blob.ErrKey},
		{name: "generation with a sign", in: "sha256:" + hex256 + ".+1", err: blob.ErrKey},
		{name: "negative generation", in: "sha256:" + hex256 + ".-1", err: blob.ErrKey},
		{name: "no generation after the dot", in: "sha256:" + hex256 + ".", err: blob.ErrKey},
		{name: "two generations", in: "sha256:" + hex256 + ".1.1", err: blob.ErrKey},
		{name: "capitals", in: "sha256:" + strings.ToUpper(hex256), err: blob.ErrKey},
		{name: "too short", in: "sha256:" + hex256[1:], err: blob.ErrKey},
		{name: "a folder", in: "sha256:../" + hex256[3:], err: blob.ErrKey},
		{name: "another algorithm", in: "sha384:" + hex256 + hex256[:32], err: blob.ErrKey},
		{name: "nothing", in: "", err: blob.ErrKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := blob.ParseKey(tt.in)
			if !errors.Is(err, tt.err) || err == nil && k != tt.want {
				t.Fatalf("ParseKey(%q) = %+v, %v; want %+v, %v", tt.in, k, err, tt.want, tt.err)
			}
			if err != nil {
				return
			}
			if got := k.String(); got != tt.in {
				t.Errorf("String = %q; want %q", got, tt.in)
			}
			if got := k.Path(); got != tt.path {
				t.Errorf("Path = %q; want %q", got, tt.path)
			}
		})
	}
}

// What ParseKey accepts is what String makes, and its path stays where it belongs.
func FuzzParseKey(f *testing.F) {
	for _, s := range []string{"sha256:" + hex256, "sha512:" + hex512 + ".3", "sha256:../../x", "sha256:" + hex256 + ".01", ".", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		k, err := blob.ParseKey(in)
		if err != nil {
			if !errors.Is(err, blob.ErrKey) || len(err.Error()) > 2000 {
				t.Fatalf("ParseKey(%.100q) = %v; want %v, not longer than 2000 bytes", in, err, blob.ErrKey)
			}
			return
		}
		if k.String() != in {
			t.Errorf("ParseKey(%q).String() = %q", in, k)
		}
		p := k.Path()
		if path.Clean(p) != p || strings.Count(p, "/") != 2 || strings.Contains(p, "..") {
			t.Errorf("ParseKey(%q).Path() = %q; want three plain components", in, p)
		}
	})
}

// An accepted name is a clean relative path, so that joined to a folder it stays
// below it.
func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"journal/00000000000000000042", "a", "../a", "/a", "a//b", "a\x00", "...", strings.Repeat("a/", 500)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if err := blob.CheckName(in); err != nil {
			if !errors.Is(err, blob.ErrName) || len(err.Error()) > 2000 {
				t.Fatalf("CheckName(%.100q) = %v; want %v, not longer than 2000 bytes", in, err, blob.ErrName)
			}
			return
		}
		if path.Clean(in) != in || path.IsAbs(in) || in == "." || in == ".." || strings.HasPrefix(in, "../") {
			t.Errorf("CheckName(%q) accepts a path that leads elsewhere", in)
		}
	})
}

func reader(s string) func() io.Reader { return func() io.Reader { return strings.NewReader(s) } }

func TestHasherNoticesBytesThatDoNotComeBack(t *testing.T) {
	h, err := blob.NewHasher(digest.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	h.Add([]byte("content"))
	err = h.Check(t.Context(), digest.SHA512.FromString("cont"), reader("cont"))
	if !errors.Is(err, blob.ErrDigest) {
		t.Errorf("Check with 4 of 7 bytes = %v; want %v", err, blob.ErrDigest)
	}
	if err := h.Check(t.Context(), digest.SHA512.FromString("content"), reader("content")); err != nil {
		t.Errorf("Check with all bytes = %v", err)
	}
}
