package code

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// compiled makes objects of the sources in testdata/relink and gives their
// folder. Linking is a step of its own: in one step the compiler may run another
// optimiser over the program, if it finds one installed.
func compiled(t *testing.T, level string) string {
	t.Helper()
	sources, err := filepath.Glob("testdata/relink/*.c")
	if err != nil || len(sources) == 0 {
		t.Fatalf("testdata/relink: %d sources, %v", len(sources), err)
	}
	dir := t.TempDir()
	args := []string{"--target=wasm32-wasi", level, "-c"}
	for _, s := range sources {
		path, err := filepath.Abs(s)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	clang(t, dir, args...)
	return dir
}

// linked links a program with the library, whose units are linked in the given
// order, and with what it uses of the C library.
func linked(t *testing.T, dir, main string, units []string, flags ...string) []byte {
	t.Helper()
	out := main + ".wasm"
	clang(t, dir, slices.Concat([]string{"--target=wasm32-wasi", "-o", out, main + ".o"}, units, flags, []string{"-lm"})...)
	bin, err := os.ReadFile(filepath.Join(dir, out))
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

func clang(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("clang", args...)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v (test/setup.sh installs it): %v\n%s", cmd, err, text)
	}
}

// byName gives the functions by the name that only one has.
func byName(m *Module) map[string]*Function {
	list := make(map[string]*Function)
	for i := range m.Functions {
		name := m.wasm.Names.Func(uint32(m.Imported + i))
		if _, twice := list[name]; twice {
			list[name] = nil
			continue
		}
		list[name] = &m.Functions[i]
	}
	for name, f := range list {
		if f == nil {
			delete(list, name)
		}
	}
	return list
}

// share counts the functions of the library, or of the library and the C
// library, that two programs have in common, and in how many of them the hashes
// agree.
func share(a, b *Module, kit bool) (common, normal, exact int, differing []string) {
	others := byName(b)
	for name, f := range byName(a) {
		g := others[name]
		if g == nil || name == "" || kit && !strings.HasPrefix(name, "kit_") || strings.Contains(name, "main") {
			continue
		}
		common++
		if f.Exact == g.Exact {
			exact++
		}
		if f.Normal == g.Normal {
			normal++
		} else {
			differing = append(differing, fmt.Sprintf("%s (%d)", name, f.Fuzzy.Distance(g.Fuzzy)))
		}
	}
	return common, normal, exact, differing
}

func TestNormalisedHashesSurviveARelink(t *testing.T) {
	short := []string{"-Wl,-O2,--compress-relocations,--strip-debug"}
	tests := []struct {
		name  string
		level string
		first []string // flags of the linker
		other []string
	}{
		{name: "optimised", level: "-O2"},
		{name: "for size, elsewhere, behind the stack", level: "-Os", other: []string{"-Wl,--stack-first,--global-base=300000"}},
		{name: "not optimised", level: "-O0"},
		{name: "numbers of least length", level: "-O2", first: short, other: short},
		{name: "numbers of least length in one", level: "-O2", other: short},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := compiled(t, tt.level)
			a := analyse(t, linked(t, dir, "a", []string{"bytes.o", "map.o", "calc.o", "list.o"}, tt.first...))
			b := analyse(t, linked(t, dir, "b", []string{"list.o", "calc.o", "map.o", "bytes.o"}, tt.other...))
			for what, kit := range map[string]bool{"the library": true, "library and C library": false} {
				common, normal, exact, differing := share(a, b, kit)
				t.Logf("%s: %d functions in both, %d by normalised hash, %d by exact hash; differing: %v",
					what, common, normal, exact, differing)
				if common < 30 || normal*100 < common*90 {
					t.Errorf("%s: %d of %d functions have the same normalised hash, want 90 %%; others: %v",
						what, normal, common, differing)
				}
				if exact*100 >= common*60 {
					t.Errorf("%s: %d of %d functions have the same exact hash: the programs are too much alike", what, exact, common)
				}
			}
		})
	}
}

// A change of the code is a change of the hash, as far as it is not one that
// a linker makes.
func TestNormalisedHashTellsFunctionsApart(t *testing.T) {
	a := analyse(t, linked(t, compiled(t, "-O2"), "a", []string{"bytes.o", "map.o", "calc.o", "list.o"}))
	seen := make(map[Hash]string)
	var twice []string
	for name, f := range byName(a) {
		if f.Instructions < 10 {
			continue // a wrapper of a call may well be like another
		}
		if other, ok := seen[f.Normal]; ok {
			twice = append(twice, name+" and "+other)
		}
		seen[f.Normal] = name
	}
	if len(seen) < 80 || len(twice)*50 > len(seen) {
		t.Errorf("of %d functions %d have the hash of another: %v", len(seen), len(twice), twice)
	}
}
