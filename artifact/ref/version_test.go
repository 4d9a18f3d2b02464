package ref

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestTagOf(t *testing.T) {
	tests := []struct {
		in, want string
		err      error
	}{
		{in: "1.2.3", want: "1.2.3"},
		{in: "v1.2.3-rc.1", want: "v1.2.3-rc.1"},
		{in: "1.2.3-pre+build.7", want: "1.2.3-pre_build.7"},
		{in: "1.2", err: ErrVersion},
		{in: "01.2.3", err: ErrVersion},
		{in: "latest", err: ErrVersion},
		{in: "1.2.3_build", err: ErrVersion},
		{in: "1.2.3-" + strings.Repeat("a", MaxTag), err: ErrVersion},
	}
	for _, tt := range tests {
		got, err := TagOf(tt.in)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("TagOf(%q) = %q, %v; want %q, %v", tt.in, got, err, tt.want, tt.err)
		}
		if err != nil {
			continue
		}
		if v, ok := VersionOf(got); !ok || v.String() != strings.TrimPrefix(tt.in, "v") {
			t.Errorf("VersionOf(%q) = %v, %t; want %q", got, v, ok, tt.in)
		}
	}
}

func TestPick(t *testing.T) {
	tags := []string{
		"latest", "1.9.0", "1.10.0", "v1.2.3", "2.0.0-rc.1", "oci-image-3.0.0", "sha256-" + strings.Repeat("0", 64), "1.10.0_b2", "1.10.0_b1",
		"0.2.0", "1", "1.10",
	}
	tests := []struct {
		name        string
		in          string
		prereleases bool
		want        string
		err         error
	}{
		{name: "everything, by number and not by text", in: "*", want: "1.10.0_b2"},
		{name: "prereleases when asked for", in: "*", prereleases: true, want: "2.0.0-rc.1"},
		{name: "a prerelease the range names", in: ">=2.0.0-rc.0", want: "2.0.0-rc.1"},
		{name: "a caret", in: "^0.2", want: "0.2.0"},
		{name: "a tilde over a tag with v", in: "~1.2", want: "v1.2.3"},
		{name: "two bounds", in: ">=1.3 <1.10", want: "1.9.0"},
		{name: "views never match", in: "^3", err: ErrNoVersion},
		{name: "no range at all", in: "newest", err: ErrVersion},
		{name: "an empty range", in: "", err: ErrVersion},
		{name: "a huge range", in: strings.Repeat("1||", 1000), err: ErrVersion},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Pick(tags, tt.in, tt.prereleases)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Fatalf("Pick(tags, %q, %t) = %q, %v; want %q, %v", tt.in, tt.prereleases, got, err, tt.want, tt.err)
			}
			slices.Reverse(tags)
			if again, _ := Pick(tags, tt.in, tt.prereleases); again != got {
				t.Fatalf("Pick(reversed tags, %q, %t) = %q, want %q", tt.in, tt.prereleases, again, got)
			}
		})
	}
}

func TestSortTags(t *testing.T) {
	tags := []string{"latest", "1.9.0", "oci-image-1.9.0", "1.10.0-rc.1", "1.10.0", "1.10.0_b"}
	want := []string{"1.10.0_b", "1.10.0", "1.10.0-rc.1", "1.9.0", "latest", "oci-image-1.9.0"}
	if SortTags(tags); !slices.Equal(tags, want) {
		t.Fatalf("SortTags gave %q, want %q", tags, want)
	}
}

// A tag that stands for a version is the tag that version is published under.
func FuzzVersionOf(f *testing.F) {
	countSeeds(f, "FuzzVersionOf", 12)
	f.Fuzz(func(t *testing.T, in string) {
		v, ok := VersionOf(in)
		if !ok {
			return
		}
		tag, err := TagOf(v.String())
		if err != nil || tag != strings.TrimPrefix(in, "v") || CheckTag(tag) != nil {
			t.Fatalf("VersionOf(%q) = %s, published as %q, %v", in, v, tag, err)
		}
	})
}
