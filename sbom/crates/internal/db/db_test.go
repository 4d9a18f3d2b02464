package db

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-cmp/cmp"
)

func sample() (crates []Crate) {
	for _, name := range []string{
		"zeta", "alpha", "beta_one", "gamma", "delta", "eta", "theta", "iota", "kappa", "lambda",
		"mu", "nu", "xi", "omicron", "pi", "rho", "sigma", "tau",
	} {
		crates = append(crates, Crate{
			Name:     name,
			Versions: []Version{{Number: "0.1.0"}, {Number: "0.2.0", Record: 1}, {Number: "0.2.1-rc.1", Record: 1}},
			Records: []Record{{Edges: []Edge{}, Features: []Feature{}}, {
				Edges: []Edge{
					{Name: "beta-one", Requirement: "^1.2", Platforms: AllPlatforms, Default: true},
					{Name: "unlisted", Requirement: "*", As: "list", Optional: true, Platforms: Unknown | WASIp2, Features: []string{"a", "b"}},
				},
				Features: []Feature{{Name: "default", Enables: []string{"dep:list", "std"}}, {Name: "std", Enables: []string{"list?/std"}}},
			}},
		})
	}
	return crates
}

func encode(t testing.TB, crates []Crate) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := Encode(&buf, crates); err != nil {
		t.Fatalf("Encode(%v) = %v", crates, err)
	}
	return buf.Bytes()
}

func TestRoundTrip(t *testing.T) {
	crates := sample()
	data := encode(t, crates)
	slices.Reverse(crates)
	if again := encode(t, crates); !bytes.Equal(data, again) {
		t.Errorf("Encode of another order = % x, want % x", again, data)
	}
	d, err := Open(data)
	if err != nil {
		t.Fatalf("Open(% x) = %v", data, err)
	}
	for _, want := range crates {
		got, err := d.Find(want.Name)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("Find(%s) = %v (-want +got):\n%s", want.Name, err, diff)
		}
	}
	if got, err := d.Find("Beta-One"); err != nil || got.Name != "beta_one" || len(got.Versions) != 3 {
		t.Errorf("Find(Beta-One) = %v, %v; want beta_one in three versions", got, err)
	}
	if got, err := d.Find("nowhere"); err != nil || len(got.Versions) != 0 {
		t.Errorf("Find(nowhere) = %v, %v; want no versions", got, err)
	}
	if got, err := d.Crates(); err != nil || len(got) != d.Len() || d.Len() != len(crates) {
		t.Errorf("Crates() = %d crates, %v; Len() = %d; want %d", len(got), err, d.Len(), len(crates))
	}
}

func TestOpenRefuses(t *testing.T) {
	data := encode(t, sample())
	head := len(magic)
	tests := []struct {
		name string
		in   []byte
	}{
		{name: "nothing", in: nil},
		{name: "another file", in: []byte("\x00asm\x01\x00\x00\x00")},
		{name: "a file cut short", in: data[:len(data)-40]},
		{name: "the magic number alone", in: data[:head]},
		{name: "a table that claims a gigabyte", in: append([]byte(magic), 0x02, 0x80, 0x80, 0x80, 0x80, 0x04, 0x03, 0x00)},
		{name: "a number without end", in: append([]byte(magic), bytes.Repeat([]byte{0xff}, 20)...)},
		{name: "a table that is not deflated", in: append([]byte(magic), 0x02, 0x10, 0xff, 0xff, 0x00)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d, err := Open(tt.in); !errors.Is(err, ErrCorrupt) {
				t.Errorf("Open(% x) = %v, %v; want %v", tt.in, d, err, ErrCorrupt)
			}
		})
	}
}

// A file that opens reads to its end or is corrupt, and whatever it holds comes
// back from a file made of it.
func FuzzOpen(f *testing.F) {
	f.Add(encode(f, sample()))
	f.Add(encode(f, sample()[:1]))
	f.Add(encode(f, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Open(data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("Open = %v, want %v", err, ErrCorrupt)
			}
			return
		}
		crates, err := d.Crates()
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("Crates = %v, want %v", err, ErrCorrupt)
			}
			return
		}
		again, err := Open(encode(t, crates))
		if err != nil {
			t.Fatalf("Open of what was written again = %v", err)
		}
		back, err := again.Crates()
		if diff := cmp.Diff(crates, back); err != nil || diff != "" {
			t.Fatalf("Crates of what was written again = %v (-want +got):\n%s", err, diff)
		}
	})
}

// The examples are those of The Cargo Book, "Specifying Dependencies".
func TestMatches(t *testing.T) {
	tests := []struct {
		requirement string
		yes, no     []string
	}{
		{"^1.2.3", []string{"1.2.3", "1.9.0"}, []string{"1.2.2", "2.0.0", "1.3.0-rc.1"}},
		{"1.2.3", []string{"1.2.3", "1.9.0"}, []string{"1.2.2", "2.0.0"}},
		{"^1.2", []string{"1.2.0", "1.9.0"}, []string{"1.1.9", "2.0.0"}},
		{"^1", []string{"1.0.0", "1.9.9"}, []string{"0.9.0", "2.0.0"}},
		{"^0.2.3", []string{"0.2.3", "0.2.9"}, []string{"0.2.2", "0.3.0"}},
		{"^0.2", []string{"0.2.0", "0.2.9"}, []string{"0.1.9", "0.3.0"}},
		{"^0.0.3", []string{"0.0.3"}, []string{"0.0.2", "0.0.4"}},
		{"^0.0", []string{"0.0.0", "0.0.9"}, []string{"0.1.0"}},
		{"^0", []string{"0.0.0", "0.9.0"}, []string{"1.0.0"}},
		{"~1.2.3", []string{"1.2.3", "1.2.9"}, []string{"1.2.2", "1.3.0"}},
		{"~1.2", []string{"1.2.0", "1.2.9"}, []string{"1.1.9", "1.3.0"}},
		{"~1", []string{"1.0.0", "1.9.0"}, []string{"0.9.0", "2.0.0"}},
		{"*", []string{"0.0.0", "9.9.9"}, []string{"1.0.0-alpha"}},
		{"1.*", []string{"1.0.0", "1.9.0"}, []string{"2.0.0"}},
		{"0.*", []string{"0.1.0", "0.9.0"}, []string{"1.0.0"}},
		{"1.2.*", []string{"1.2.0", "1.2.9"}, []string{"1.3.0"}},
		{"=1.2.3", []string{"1.2.3", "1.2.3+build"}, []string{"1.2.4"}},
		{"=1.2", []string{"1.2.0", "1.2.9"}, []string{"1.3.0"}},
		{">=1.2, <1.5", []string{"1.2.0", "1.4.9"}, []string{"1.1.9", "1.5.0", "1.4.0-beta"}},
		{">1.2", []string{"1.3.0", "2.0.0"}, []string{"1.2.0", "1.2.9"}},
		{">1.2.3", []string{"1.2.4"}, []string{"1.2.3"}},
		{"<=1.2", []string{"1.2.9", "0.1.0"}, []string{"1.3.0"}},
		{"<2", []string{"1.9.9"}, []string{"2.0.0", "2.0.0-rc.1"}},
		{"^1.0.0-rc.1", []string{"1.0.0-rc.1", "1.0.0-rc.2", "1.0.0", "1.1.0"}, []string{"1.0.0-alpha", "1.1.0-rc.1", "2.0.0"}},
		{"=0.5.0-pre.2", []string{"0.5.0-pre.2"}, []string{"0.5.0-pre.1", "0.5.0"}},
		{"^1.x", []string{"1.7.0"}, []string{"2.0.0"}},
		{"not a version", nil, []string{"1.0.0"}},
		{"==1.0.0", nil, []string{"1.0.0"}},
		{"1.2.3.4", nil, []string{"1.2.3"}},
		{"", nil, []string{"1.0.0"}},
	}
	for _, tt := range tests {
		for i, list := range [][]string{tt.no, tt.yes} {
			for _, s := range list {
				v, err := semver.StrictNewVersion(s)
				if err != nil {
					t.Fatal(err)
				}
				if got := Matches(tt.requirement, v); got != (i == 1) {
					t.Errorf("Matches(%q, %s) = %v, want %v", tt.requirement, s, got, i == 1)
				}
			}
		}
	}
}
