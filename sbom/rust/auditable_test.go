package rust

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const list = `{"packages":[
 {"name":"app","version":"0.1.0","source":"local","dependencies":[1,2,3],"root":true},
 {"name":"serde","version":"1.0.219","source":"crates.io","dependencies":[2]},
 {"name":"serde_derive","version":"1.0.219","source":"crates.io","kind":"build"},
 {"name":"fork","version":"2.0.0-rc.1","source":"git","kind":"runtime"}],"format":8}`

func TestAuditable(t *testing.T) {
	want := []string{
		"proven app@0.1.0 from local main auditable 1.0", "proven fork@2.0.0-rc.1 from git auditable 1.0", "proven serde@1.0.219 auditable 1.0",
	}
	for _, name := range []string{".dep-v0", ".rust-deps-v0"} {
		b := parse(t, file(custom(name, packed(t, list))))
		if d := cmp.Diff(want, briefs(extract(b))); d != "" {
			t.Errorf("Extract(%s) (-want +got):\n%s", name, d)
		}
		var edges []string
		for _, e := range Edges(b) {
			edges = append(edges, e.From.Name+" "+e.To.Name)
		}
		if d := cmp.Diff([]string{"app serde", "app fork"}, edges); d != "" {
			t.Errorf("Edges(%s) (-want +got):\n%s", name, d)
		}
	}
}

// A real program of cargo-auditable, see testdata/README.md: what only its build
// script uses is not in it.
func TestAuditableOfARealProgram(t *testing.T) {
	bin, err := os.ReadFile("testdata/listed/listed.wasm")
	if err != nil {
		t.Fatal(err)
	}
	b := parse(t, bin)
	want := []string{
		"proven bs58@0.5.1 auditable 1.0", "proven bytemuck@1.25.2 auditable 1.0", "proven hex@0.4.3 auditable 1.0",
		"proven listed@0.1.0 from local main auditable 1.0", "proven static_assertions@1.1.0 auditable 1.0",
	}
	if d := cmp.Diff(want, briefs(extract(b))); d != "" {
		t.Errorf("Extract(listed.wasm) (-want +got):\n%s", d)
	}
	if got := Edges(b); len(got) != 4 || got[0].From.Name != "listed" || got[0].To.Name != "bs58" {
		t.Errorf("Edges(listed.wasm) = %v, want four of listed, the first to bs58", got)
	}
}

func TestAuditableLeavesNothingToNames(t *testing.T) {
	b := parse(t, file(funcs("_ZN6webpki3end17h0123456789abcdefE"), custom(".dep-v0", packed(t, list))))
	if got := briefs(extract(b)); len(got) != 3 {
		t.Fatalf("Extract = %q, want the three packages of the list", got)
	}
}

// The component model's tools write lengths of five bytes.
func TestAuditableAfterAPaddedLength(t *testing.T) {
	body := append(lebString(".dep-v0"), packed(t, list)...)
	n := len(body)
	bin := append(file(), 0, byte(n)|0x80, byte(n>>7)|0x80, 0x80, 0x80, 0)
	if got := briefs(extract(parse(t, append(bin, body...)))); len(got) != 3 {
		t.Fatalf("Extract = %q, want 3 components", got)
	}
}

func TestAuditableJoinsPaths(t *testing.T) {
	b := parse(t, file(data(index+"serde-1.0.219/src/de.rs"+index+"late-1.0.0/src/lib.rs"), custom(".dep-v0", packed(t, list))))
	for _, c := range extract(b) {
		if c.Name == "serde" && len(c.Evidence) != 2 {
			t.Errorf("evidence of serde = %+v, want the list's and the path's", c.Evidence)
		}
	}
	if got := briefs(extract(b)); len(got) != 4 {
		t.Errorf("Extract = %q, want what the list has and the crate that only a path has", got)
	}
}

func TestAuditableRefuses(t *testing.T) {
	long := `{"packages":[` + strings.TrimSuffix(strings.Repeat(`{},`, maxPackages+1), ",") + `]}`
	var varied strings.Builder
	for i := range 400_000 {
		fmt.Fprintf(&varied, `{"name":"a%x"},`, i*2654435761)
	}
	tests := []struct {
		name string
		text string
		err  error
	}{
		{"a circle", `{"packages":[{"name":"a","dependencies":[1]},{"name":"b","dependencies":[0]}]}`, ErrGraph},
		{"itself", `{"packages":[{"name":"a","dependencies":[0]}]}`, ErrGraph},
		{"an index too large", `{"packages":[{"name":"a","dependencies":[1]}]}`, ErrGraph},
		{"a negative index", `{"packages":[{"name":"a","dependencies":[-1]}]}`, ErrGraph},
		{"a bomb", `{"packages":[` + strings.Repeat(" ", 9<<20) + `]}`, ErrLimit},
		{"too many bytes", `{"x":[` + strings.TrimSuffix(varied.String(), ",") + `]}`, ErrLimit},
		{"too many packages", long, ErrLimit},
		{"too many dependencies", `{"packages":[{"dependencies":[0` + strings.Repeat(",0", maxDependencies) + `]}]}`, ErrLimit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := parse(t, file(custom(".dep-v0", packed(t, tt.text))))
			if got, err := ReadAuditable(b); !errors.Is(err, tt.err) {
				t.Fatalf("ReadAuditable = %v, %v; want %v", got, err, tt.err)
			}
			if got := briefs(extract(b)); len(got) > 0 {
				t.Fatalf("Extract = %q, want nothing", got)
			}
		})
	}
}

func TestAuditableRefusesWhatIsNoList(t *testing.T) {
	tests := []struct {
		name string
		body []byte
	}{
		{"nothing", nil},
		{"no zlib", []byte(list)},
		{"cut short", packed(t, list)[:60]},
		{"an array", packed(t, `[]`)},
		{"packages that are none", packed(t, `{"packages":{}}`)},
		{"a number for a name", packed(t, `{"packages":[{"name":1}]}`)},
		{"nested too deep", packed(t, `{"x":`+strings.Repeat("[", 100_000))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := parse(t, file(custom(".dep-v0", tt.body)))
			if got, err := ReadAuditable(b); err == nil {
				t.Fatalf("ReadAuditable = %v, want an error", got)
			}
		})
	}
	if _, err := ReadAuditable(parse(t, file())); !errors.Is(err, ErrNoList) {
		t.Fatalf("ReadAuditable of an empty module: %v, want %v", err, ErrNoList)
	}
}
