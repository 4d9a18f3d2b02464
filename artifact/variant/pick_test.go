package variant_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/artifact/variant"
)

// target parses what a test knows to be a target.
func target(t *testing.T, s string) variant.Target {
	t.Helper()
	got, err := variant.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// code is what suits wanted, made for a target.
func code(t *testing.T, digest, platform string, change ...func(*variant.Candidate)) variant.Candidate {
	t.Helper()
	c := variant.Candidate{
		Digest: digest, Runtime: "wasmtime", Version: "39.0.1", Target: target(t, platform), Profile: "wreg-v1",
		CompatID: "id of " + platform, Source: "sha256:wasm",
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

// wanted is by an engine that loads every target there is here.
func wanted(t *testing.T, host string, change ...func(*variant.Wanted)) variant.Wanted {
	t.Helper()
	w := variant.Wanted{
		Host: target(t, host), Runtime: "wasmtime", Profile: "wreg-v1", Source: "sha256:wasm", CompatIDs: map[variant.Target][]string{},
	}
	for _, s := range []string{"linux/amd64/v1", "linux/amd64/v2", "linux/amd64/v3", "linux/arm64", "pulley64"} {
		w.CompatIDs[target(t, s)] = []string{"id of " + s, "fast id of " + s}
	}
	for _, f := range change {
		f(&w)
	}
	return w
}

func TestPick(t *testing.T) {
	portable := func(w *variant.Wanted) { w.Portable = true }
	deny := func(versions ...string) func(*variant.Wanted) {
		return func(w *variant.Wanted) { w.Deny = versions }
	}
	version := func(s string) func(*variant.Candidate) { return func(c *variant.Candidate) { c.Version = s } }
	fast := func(c *variant.Candidate) { c.Fast, c.CompatID = true, "fast "+c.CompatID }
	tests := []struct {
		name     string
		want     variant.Wanted
		from     []variant.Candidate
		best     string            // digest; "" for none
		rejected map[string]string // by digest
	}{
		{name: "nothing is offered", want: wanted(t, "linux/amd64/v3")},
		{
			name: "the highest level that the machine has",
			want: wanted(t, "linux/amd64/v2"),
			from: []variant.Candidate{code(t, "a", "linux/amd64/v1"), code(t, "b", "linux/amd64/v2"), code(t, "c", "linux/amd64/v3")},
			best: "b",
			rejected: map[string]string{
				"a": "it was made for linux/amd64/v1, and linux/amd64/v2 is better here",
				"c": "it was made for linux/amd64/v3, and this machine is linux/amd64/v2",
			},
		},
		{
			name: "native code before bytecode, even if the machine has no level",
			want: wanted(t, "linux/arm64", portable),
			from: []variant.Candidate{code(t, "a", "pulley64"), code(t, "b", "linux/arm64"), code(t, "c", "linux/amd64/v1")},
			best: "b",
			rejected: map[string]string{
				"a": "it was made for pulley64, and linux/arm64 is better here",
				"c": "it was made for linux/amd64/v1, and this machine is linux/arm64",
			},
		},
		{
			name: "the lowest level before bytecode",
			want: wanted(t, "linux/amd64/v3", portable),
			from: []variant.Candidate{code(t, "a", "pulley64"), code(t, "b", "linux/amd64/v1")},
			best: "b", rejected: map[string]string{"a": "it was made for pulley64, and linux/amd64/v1 is better here"},
		},
		{
			name: "bytecode where there is nothing else",
			want: wanted(t, "linux/arm64", portable), from: []variant.Candidate{code(t, "a", "pulley64")}, best: "a",
		},
		{
			name: "bytecode that is not allowed",
			want: wanted(t, "linux/arm64"), from: []variant.Candidate{code(t, "a", "pulley64")},
			rejected: map[string]string{"a": "it is portable bytecode, which is not allowed here"},
		},
		{
			name:     "another runtime",
			want:     wanted(t, "linux/amd64/v3"),
			from:     []variant.Candidate{code(t, "a", "linux/amd64/v3", func(c *variant.Candidate) { c.Runtime = "wamr" })},
			rejected: map[string]string{"a": "it is for wamr, and wasmtime runs here"},
		},
		{
			name:     "made of something else",
			want:     wanted(t, "linux/amd64/v3"),
			from:     []variant.Candidate{code(t, "a", "linux/amd64/v3", func(c *variant.Candidate) { c.Source = "sha256:other" })},
			rejected: map[string]string{"a": "it was made of sha256:other, and this package is sha256:wasm"},
		},
		{
			name:     "nothing is known of either source",
			want:     wanted(t, "linux/amd64/v3", func(w *variant.Wanted) { w.Source = "" }),
			from:     []variant.Candidate{code(t, "a", "linux/amd64/v3", func(c *variant.Candidate) { c.Source = "" })},
			rejected: map[string]string{"a": "it was made of nothing, and this package is nothing"},
		},
		{
			name:     "another profile",
			want:     wanted(t, "linux/amd64/v3"),
			from:     []variant.Candidate{code(t, "a", "linux/amd64/v3", func(c *variant.Candidate) { c.Profile = "fuel" })},
			rejected: map[string]string{"a": "it was compiled with the profile fuel, and wreg-v1 is loaded here"},
		},
		{
			name:     "another compat id",
			want:     wanted(t, "linux/amd64/v3"),
			from:     []variant.Candidate{code(t, "a", "linux/amd64/v3", version("38.0.0"), func(c *variant.Candidate) { c.CompatID = "x" })},
			rejected: map[string]string{"a": "the wasmtime that is here does not load code of wasmtime 38.0.0 with these settings"},
		},
		{
			name: "the compat id of another target, which the engine has",
			want: wanted(t, "linux/amd64/v3"),
			from: []variant.Candidate{
				code(t, "a", "linux/amd64/v1", func(c *variant.Candidate) { c.CompatID = "id of linux/amd64/v3" }),
			},
			rejected: map[string]string{"a": "the wasmtime that is here does not load code of wasmtime 39.0.1 with these settings"},
		},
		{
			name:     "no compat id at all, on both sides",
			want:     wanted(t, "linux/amd64/v3", func(w *variant.Wanted) { w.CompatIDs[w.Host] = []string{""} }),
			from:     []variant.Candidate{code(t, "a", "linux/amd64/v3", func(c *variant.Candidate) { c.CompatID = "" })},
			rejected: map[string]string{"a": "the wasmtime that is here does not load code of wasmtime 39.0.1 with these settings"},
		},
		{
			name:     "a target that the engine does not load",
			want:     wanted(t, "linux/amd64/v3", func(w *variant.Wanted) { w.CompatIDs = nil }),
			from:     []variant.Candidate{code(t, "a", "linux/amd64/v3")},
			rejected: map[string]string{"a": "the wasmtime that is here loads no code for linux/amd64/v3"},
		},
		{
			name: "a version that is denied, and one that only begins like it",
			want: wanted(t, "linux/amd64/v3", deny("39.0.1")),
			from: []variant.Candidate{code(t, "a", "linux/amd64/v3"), code(t, "b", "linux/amd64/v1", version("39.0.10"))},
			best: "b", rejected: map[string]string{"a": "it was compiled by wasmtime 39.0.1, which is denied"},
		},
		{
			name:     "a series of versions that is denied",
			want:     wanted(t, "linux/amd64/v3", deny("", "39.0")),
			from:     []variant.Candidate{code(t, "a", "linux/amd64/v3")},
			rejected: map[string]string{"a": "it was compiled by wasmtime 39.0.1, which is denied"},
		},
		{
			name: "optimised code of a lower level",
			want: wanted(t, "linux/amd64/v3", portable),
			from: []variant.Candidate{
				code(t, "a", "linux/amd64/v3", fast), code(t, "b", "linux/amd64/v1"), code(t, "c", "linux/amd64/v2"), code(t, "d", "pulley64"),
			},
			best: "c",
			rejected: map[string]string{
				"a": "it was not optimised, and another was",
				"b": "it was made for linux/amd64/v1, and linux/amd64/v2 is better here",
				"d": "it was made for pulley64, and linux/amd64/v2 is better here",
			},
		},
		{
			name: "native code that was not optimised before bytecode that was",
			want: wanted(t, "linux/amd64/v3", portable),
			from: []variant.Candidate{code(t, "a", "pulley64"), code(t, "b", "linux/amd64/v1", fast)},
			best: "b", rejected: map[string]string{"a": "it was made for pulley64, and linux/amd64/v1 is better here"},
		},
		{
			name: "optimised code of the same level",
			want: wanted(t, "linux/amd64/v3"),
			from: []variant.Candidate{code(t, "a", "linux/amd64/v3", fast), code(t, "b", "linux/amd64/v3")},
			best: "b", rejected: map[string]string{"a": "it was not optimised, and another was"},
		},
		{
			name: "the newest compiler, by number",
			want: wanted(t, "linux/amd64/v3"),
			from: []variant.Candidate{
				code(t, "a", "linux/amd64/v3", version("39.0.9")), code(t, "b", "linux/amd64/v3", version("39.0.10")),
				code(t, "c", "linux/amd64/v3", version("39.0")), code(t, "d", "linux/amd64/v3", version("39.0.rc")),
			},
			best: "d",
			rejected: map[string]string{
				"a": "it was compiled by wasmtime 39.0.9, and another by 39.0.rc",
				"b": "it was compiled by wasmtime 39.0.10, and another by 39.0.rc",
				"c": "it was compiled by wasmtime 39.0, and another by 39.0.rc",
			},
		},
		{
			name: "the lowest digest of equals",
			want: wanted(t, "linux/amd64/v3"),
			from: []variant.Candidate{code(t, "b", "linux/amd64/v3"), code(t, "a", "linux/amd64/v3"), code(t, "c", "linux/amd64/v3")},
			best: "a", rejected: map[string]string{"b": "it is the same as a", "c": "it is the same as a"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := variant.Pick(tt.want, tt.from)
			best := ""
			if got.Best != nil {
				best = got.Best.Digest
			}
			var rejected map[string]string
			for _, r := range got.Rejected {
				if rejected == nil {
					rejected = map[string]string{}
				}
				rejected[r.Digest] = r.Why
			}
			if diff := cmp.Diff(tt.rejected, rejected); best != tt.best || diff != "" {
				t.Errorf("Pick = %q; want %q; rejected (-want +got):\n%s", best, tt.best, diff)
			}
		})
	}
}

// Whatever the order of the candidates, the same one is picked, and the rest is
// accounted for.
func TestPickDoesNotDependOnTheOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	platforms := []string{"linux/amd64/v1", "linux/amd64/v2", "linux/amd64/v3", "linux/arm64", "pulley64"}
	w := wanted(t, "linux/amd64/v3", func(w *variant.Wanted) { w.Portable = true })
	for round := range 200 {
		var list []variant.Candidate
		for i := range 8 {
			list = append(list, code(t, fmt.Sprintf("%d", i), platforms[rng.IntN(len(platforms))], func(c *variant.Candidate) {
				c.Version = []string{"39.0.1", "39.0.2", "39.0.x", "", "40"}[rng.IntN(5)]
				c.Fast = rng.IntN(2) == 0
			}))
		}
		first := variant.Pick(w, list)
		for range 5 {
			rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			got := variant.Pick(w, list)
			if diff := cmp.Diff(first.Best, got.Best); diff != "" || len(got.Rejected) != len(first.Rejected) {
				t.Fatalf("round %d: Pick(%v) differs (-first +now):\n%s", round, list, diff)
			}
		}
	}
}
