package ref

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
)

const zeros = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

func TestParse(t *testing.T) {
	d := Defaults{Registry: "reg.example:5000", Prefix: "wasm/"}
	tests := []struct {
		name string
		in   string
		want Reference
		err  error
	}{
		{
			name: "a bare path lies in the default registry",
			in:   "demo/hello", want: Reference{Host: "reg.example:5000", Repository: "demo/hello"},
		},
		{
			name: "a path may have a tag",
			in:   "demo/hello:1.0.0", want: Reference{Host: "reg.example:5000", Repository: "demo/hello", Tag: "1.0.0"},
		},
		{
			name: "a single word that is no label pair has a tag",
			in:   "hello:1.0.0", want: Reference{Host: "reg.example:5000", Repository: "hello", Tag: "1.0.0"},
		},
		{name: "a host in any case", in: "LocalHost:5080/a:X", want: Reference{Host: "localhost:5080", Repository: "a", Tag: "X"}},
		{name: "localhost in capitals", in: "LOCALHOST/a", want: Reference{Host: "localhost", Repository: "a"}},
		{name: "localhost is a host", in: "localhost/hello:x", want: Reference{Host: "localhost", Repository: "hello", Tag: "x"}},
		{name: "a port makes a host", in: "reg:80/a/b", want: Reference{Host: "reg:80", Repository: "a/b"}},
		{name: "a dot makes a host", in: "ghcr.io/a/b@" + zeros, want: Reference{Host: "ghcr.io", Repository: "a/b", Digest: zeros}},
		{name: "an address of version 6 is a host", in: "[::1]:5080/a", want: Reference{Host: "[::1]:5080", Repository: "a"}},
		{name: "the digest wins over a tag", in: "ghcr.io/a:1@" + zeros, want: Reference{Host: "ghcr.io", Repository: "a", Digest: zeros}},
		{name: "a path may have a range", in: "ghcr.io/a@^1.2", want: Reference{Host: "ghcr.io", Repository: "a", Range: "^1.2"}},
		{
			name: "a package identifier means the newest",
			in:   "wasi:http", want: Reference{Host: "reg.example:5000", Repository: "wasm/wasi/http", Range: "*"},
		},
		{
			name: "a package version is a tag",
			in:   "wasi:http@0.2.0", want: Reference{Host: "reg.example:5000", Repository: "wasm/wasi/http", Tag: "0.2.0"},
		},
		{
			name: "build metadata is set off by an underscore",
			in:   "a:b@1.0.0+x.y", want: Reference{Host: "reg.example:5000", Repository: "wasm/a/b", Tag: "1.0.0_x.y"},
		},
		{
			name: "part of a version is a range",
			in:   "a-b:c-d@1.2", want: Reference{Host: "reg.example:5000", Repository: "wasm/a-b/c-d", Range: "1.2"},
		},
		{name: "oci forces a repository", in: "oci:hello:latest", want: Reference{Host: "reg.example:5000", Repository: "hello", Tag: "latest"}},
		{name: "a layout is a folder", in: "oci-layout:out/", want: Reference{Layout: "out"}},
		{name: "a layout may have a tag", in: "oci-layout:/tmp/out:1.2.3", want: Reference{Layout: "/tmp/out", Tag: "1.2.3"}},
		{name: "a layout may have a digest", in: "oci-layout:out@" + zeros, want: Reference{Layout: "out", Digest: zeros}},
		{name: "a colon before a slash is part of the folder", in: "oci-layout:c:/x", want: Reference{Layout: "c:/x"}},

		{name: "nothing", in: "", err: ErrName},
		{name: "an empty tag", in: "a/b:", err: ErrTag},
		{name: "a bad tag", in: "a/b:é", err: ErrTag},
		{name: "upper case in a name", in: "ghcr.io/A", err: ErrName},
		{name: "a way up", in: "ghcr.io/../x", err: ErrName},
		{name: "a short digest", in: "a/b@sha256:00", err: ErrDigest},
		{name: "an unknown algorithm", in: "a/b@md5:00", err: ErrAlgorithm},
		{name: "a port out of range", in: "reg:65536/a", err: ErrHost},
		{name: "a port with a zero in front", in: "reg:080/a", err: ErrHost},
		{name: "a host with a scheme", in: "http://reg.example/a", err: ErrHost},
		{name: "a version that is none", in: "a:b@new", err: ErrVersion},
		{name: "a layout without folder", in: "oci-layout::1", err: ErrReference},
		{name: "a tag and a version", in: "a/b:1@^2", err: ErrReference},
		{name: "more than any path", in: strings.Repeat("a", MaxReference+1), err: ErrReference},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.in, d)
			if !errors.Is(err, tt.err) || tt.err != nil && !errors.Is(err, ErrReference) {
				t.Fatalf("Parse(%q) = %+v, %v; want error %v", tt.in, got, err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Fatalf("Parse(%q) (-want +got):\n%s", tt.in, diff)
			}
		})
	}
}

func TestReferenceSelectsOneVersion(t *testing.T) {
	r := Reference{Host: "h:1", Repository: "a", Range: "^1"}
	for _, tt := range []struct {
		in   Reference
		want string
	}{
		{r, "h:1/a@^1"},
		{r.WithTag("2"), "h:1/a:2"},
		{r.WithTag("2").WithDigest(digest.Digest(zeros)), "h:1/a@" + zeros},
	} {
		if got := tt.in.String(); got != tt.want {
			t.Errorf("(%+v).String() = %q, want %q", tt.in, got, tt.want)
		}
		if v := tt.in.Version(); v == "" || !strings.HasSuffix(tt.want, v) {
			t.Errorf("(%+v).Version() = %q, want the end of %q", tt.in, v, tt.want)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:5080": true, "LOCALHOST": true, "reg.localhost:1": true, "127.0.0.1": true, "127.9.9.9:80": true,
		"[::1]:80": true, "[::ffff:127.0.0.1]": true, "localhost.example": false, "127.0.0.1.example": false, "10.0.0.1": false,
		"[::2]": false, "": false, "notlocalhost": false, "[::1": false,
	} {
		if got := IsLoopback(host); got != want {
			t.Errorf("IsLoopback(%q) = %t, want %t", host, got, want)
		}
	}
}

// What Parse accepts has valid parts, and its String reads as the same.
func FuzzParse(f *testing.F) {
	countSeeds(f, "FuzzParse", 20)
	d := Defaults{Registry: "reg.example", Prefix: "p/"}
	f.Fuzz(func(t *testing.T, in string) {
		r, err := Parse(in, d)
		if err != nil {
			if !errors.Is(err, ErrReference) {
				t.Fatalf("Parse(%q) = %v, which is no ErrReference", in, err)
			}
			return
		}
		if (r.Layout == "") == (r.Repository == "") {
			t.Fatalf("Parse(%q) = %+v, both or neither of a layout and a repository", in, r)
		}
		if r.Repository != "" && (CheckName(r.Repository) != nil || CheckHost(r.Host) != nil) {
			t.Fatalf("Parse(%q) = %+v with a bad host or repository", in, r)
		}
		if len(r.String()) > MaxReference {
			return // folders grow by a slash
		}
		back, err := Parse(r.String(), d)
		if err != nil || back != r {
			t.Fatalf("Parse(%q) = %+v, whose String %q reads as %+v, %v", in, r, r.String(), back, err)
		}
	})
}

// countSeeds fails if the committed seed corpus is not there: a pattern that
// matches nothing would pass silently.
func countSeeds(f *testing.F, name string, want int) {
	f.Helper()
	list, err := os.ReadDir("testdata/fuzz/" + name)
	if err != nil || len(list) < want {
		f.Fatalf("%d seeds of %s, %v; want at least %d", len(list), name, err, want)
	}
}
