package attest

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/inspect/origin"
)

// A report that a hostile file blew up is cut, and says by how much.
func TestBinaryOfIsBounded(t *testing.T) {
	rep := &inspect.Report{
		Kind: inspect.KindModule, Truncated: []inspect.Cut{{List: "exports", Listed: 3, Total: 10}},
		Module:  &inspect.Module{Memories: make([]inspect.Memory, maxSmall+5)},
		Exports: []inspect.Export{{Name: "b"}, {Name: "a"}, {Name: "a"}},
	}
	for i := range maxListed + 7 {
		rep.Imports = append(rep.Imports, inspect.Import{Module: "env", Name: fmt.Sprintf("%04d%s", i, strings.Repeat("é", maxText))})
	}
	rep.Origin = &origin.Origin{Toolchains: make([]origin.Finding, maxSmall+3)}
	rep.Capabilities = &capability.Result{Unresolved: []string{"z", "y", "z"}}
	b := BinaryOf(rep, "name", subject.Digest)
	want := map[string]int{"imports": 7, "exports": 7, "memories": 5, "toolchains": 3}
	if diff := cmp.Diff(want, b.Omitted); diff != "" {
		t.Errorf("omitted (-want +got):\n%s", diff)
	}
	if len(b.Imports) != maxListed || len(b.Memories) != maxSmall || len(b.Toolchains) != maxSmall {
		t.Errorf("%d imports, %d memories, %d toolchains are listed", len(b.Imports), len(b.Memories), len(b.Toolchains))
	}
	if diff := cmp.Diff([]string{"a", "b"}, b.Exports); diff != "" {
		t.Errorf("exports (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"y", "z"}, b.Unresolved); diff != "" {
		t.Errorf("unresolved (-want +got):\n%s", diff)
	}
	for _, name := range b.Imports {
		if len(name) > maxText || !utf8.ValidString(name) || !strings.HasSuffix(name, "…") {
			t.Fatalf("%q has %d bytes; want at most %d of whole characters", name, len(name), maxText)
		}
	}
}
