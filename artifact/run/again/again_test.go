//go:build unix

package again

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wreg-project/wreg/artifact/aot/cache/folder"
	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
)

// asWpkg has the test's program be wpkg: it starts what its command line ran
// before, or says that it did not.
const asWpkg = "AGAIN_TEST_AS_WPKG"

func TestMain(m *testing.M) {
	if os.Getenv(asWpkg) != "" {
		Start(os.Args)
		os.Stdout.WriteString("nothing was started\n")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const reference = "demo:hello@1.2.0"

// engine prints the arguments, the run that it is handed, and the code in it.
const engine = `#!/bin/sh
echo "args: $*"
spec=$(cat /dev/fd/$3)
echo "spec: $spec"
echo "code: $(cat "$(echo "$spec" | sed 's/.*"code":"\([^"]*\)".*/\1/')")"
`

// home is a machine with a cache and a note for one command line.
type home struct {
	*testing.T
	dir  string // the cache
	argv []string
	note Note
}

func newHome(t *testing.T, argv ...string) *home {
	t.Helper()
	root := t.TempDir()
	t.Chdir(root)
	t.Setenv("HOME", root)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(root, "cache"))
	t.Setenv(asWpkg, "1")
	h := &home{T: t, argv: append([]string{os.Args[0], "run"}, argv...)}
	var err error
	if h.dir, err = folder.Default(); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{folder.Code, folder.Entries, folder.Packages} {
		if err := os.MkdirAll(filepath.Join(h.dir, kind), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h.write("engine", engine, 0o700)
	h.write("trust.yaml", "trusted", 0o600)
	h.write(filepath.Join(h.dir, folder.Code, "abc"), "native", 0o400)
	h.write(filepath.Join(h.dir, folder.Entries, "abc.json"), "{}", 0o600)
	if err := os.Mkdir("data", 0o700); err != nil {
		t.Fatal(err)
	}
	program, err := ProgramOf(filepath.Join(root, "engine"))
	if err != nil {
		t.Fatal(err)
	}
	h.note = Note{
		Files:     []File{FileOf(filepath.Join(root, "trust.yaml")), FileOf(filepath.Join(root, "absent.yaml"))},
		Reference: reference, Engine: *program, Code: Code{Name: "abc", Size: 6, Entry: "abc.json"},
		Spec: wire.Spec{Protocol: wire.Protocol, Kind: wire.Module, Args: []string{"hello"}, Dirs: []wire.Dir{{Host: filepath.Join(root, "data"), Guest: "/"}}},
	}
	return h
}

func (h *home) write(name, text string, perm os.FileMode) {
	h.Helper()
	if err := os.WriteFile(name, []byte(text), perm); err != nil {
		h.Fatal(err)
	}
}

// save writes the note of the command line up to the package.
func (h *home) save(argv ...string) {
	h.Helper()
	text, err := json.Marshal(h.note)
	if err != nil {
		h.Fatal(err)
	}
	said := Words(append([]string{os.Args[0], "run"}, argv...))
	if said == "" {
		h.Fatalf("Words(%q) = nothing", argv)
	}
	h.write(filepath.Join(h.dir, folder.Packages, folder.Record(said)), string(text), 0o600)
}

// run is what the command line prints.
func (h *home) run(argv ...string) string {
	h.Helper()
	out, err := exec.CommandContext(h.Context(), os.Args[0], append([]string{"run"}, argv...)...).CombinedOutput()
	if err != nil {
		h.Fatalf("run %q: %v\n%s", argv, err, out)
	}
	return string(out)
}

const nothing = "nothing was started\n"

func TestWhatRanBeforeIsStarted(t *testing.T) {
	h := newHome(t)
	h.save("--dir", "data:/", reference)
	long := time.Now().Add(-time.Hour)
	entry := filepath.Join(h.dir, folder.Entries, "abc.json")
	if err := os.Chtimes(entry, long, long); err != nil {
		t.Fatal(err)
	}
	got := h.run("--dir", "data:/", reference, "-r", "main", "--", "x")
	if !strings.Contains(got, " -- -r main -- x\n") || !strings.Contains(got, `"args":["hello"]`) || !strings.HasSuffix(got, "\ncode: native\n") {
		t.Errorf("what ran before prints\n%s\nwant the arguments behind the package, the run of the note, and the code", got)
	}
	if info, err := os.Stat(entry); err != nil || time.Since(info.ModTime()) > time.Minute {
		t.Errorf("Stat of the entry = %v, %v; want it to have been used now", info.ModTime(), err)
	}
}

func TestAnotherCommandLineIsNotStarted(t *testing.T) {
	h := newHome(t)
	h.save("--dir", "data:/", reference)
	for name, argv := range map[string][]string{
		"without the flag":        {reference},
		"with another flag":       {"--net", "--dir", "data:/", reference},
		"with another package":    {"--dir", "data:/", "demo:hello@1.2.1"},
		"the package as a value":  {"--dir", reference},
		"the shell completes it":  {"--dir", "data:/", reference, completing},
		"no package":              {"--dir", "data:/"},
		"more words than allowed": append(strings.Fields(strings.Repeat("--net ", MaxWords)), reference),
	} {
		if got := h.run(argv...); got != nothing {
			t.Errorf("%s: run %q prints\n%s\nwant %q", name, argv, got, nothing)
		}
	}
	out, err := exec.CommandContext(t.Context(), os.Args[0], "pull", "--dir", "data:/", reference).Output()
	if err != nil || string(out) != nothing {
		t.Errorf("another command prints %q, %v; want %q", out, err, nothing)
	}
}

func TestANoteHoldsWhileNothingChanges(t *testing.T) {
	tests := []struct {
		name   string
		change func(*home)
	}{
		{"the trust policy", func(h *home) { h.write("trust.yaml", "distrust", 0o600) }},
		{"the trust policy goes", func(h *home) { h.remove("trust.yaml") }},
		{"a file that was not there", func(h *home) { h.write("absent.yaml", "x", 0o600) }},
		{"a file that was not there and cannot be read", func(h *home) {
			if err := os.Mkdir("absent.yaml", 0o700); err != nil {
				h.Fatal(err)
			}
		}},
		{"a file that was not there and is too large", func(h *home) { h.write("absent.yaml", string(make([]byte, MaxFile+1)), 0o600) }},
		{"a file has the name of the package", func(h *home) { h.write(reference, "\x00asm", 0o600) }},
		{"the engine", func(h *home) { h.write("engine", engine+"#\n", 0o700) }},
		{"the engine goes", func(h *home) { h.remove("engine") }},
		{"the time of the engine", func(h *home) {
			if err := os.Chtimes("engine", time.Time{}, time.Now().Add(time.Hour)); err != nil {
				h.Fatal(err)
			}
		}},
		{"the code goes", func(h *home) { h.remove(filepath.Join(h.dir, folder.Code, "abc")) }},
		{"the code is shorter", func(h *home) { h.note.Code.Size++; h.save(reference) }},
		{"the folder that is granted goes", func(h *home) { h.remove("data") }},
		{"the note is of another package", func(h *home) { h.note.Reference = "demo:hello@1.3.0"; h.save(reference) }},
		{"the note is damaged", func(h *home) {
			h.write(filepath.Join(h.dir, folder.Packages, folder.Record(Words([]string{os.Args[0], "run", reference}))), `{"files":`, 0o600)
		}},
		{"the engine of the note cannot be started", func(h *home) {
			h.write("engine", "\x7fELF", 0o700)
			if p, err := ProgramOf(h.note.Engine.Path); err != nil {
				h.Fatal(err)
			} else {
				h.note.Engine = *p
			}
			h.save(reference)
		}},
		{"others can write to the cache", func(h *home) {
			if err := os.Chmod(h.dir, 0o770); err != nil {
				h.Fatal(err)
			}
		}},
		{"others can write to the notes", func(h *home) {
			if err := os.Chmod(filepath.Join(h.dir, folder.Packages), 0o707); err != nil {
				h.Fatal(err)
			}
		}},
		{"others can write to the code", func(h *home) {
			if err := os.Chmod(filepath.Join(h.dir, folder.Code), 0o720); err != nil {
				h.Fatal(err)
			}
		}},
		{"the folder in which it runs", func(h *home) { h.Chdir("data") }},
		{"a setting", func(h *home) { h.Setenv("WPKG_TRUST_POLICY", "other.yaml") }},
		{"the folder for configuration", func(h *home) { h.Setenv("XDG_CONFIG_HOME", h.TempDir()) }},
		{"the home", func(h *home) { h.Setenv("HOME", h.TempDir()) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHome(t)
			h.save(reference)
			if got := h.run(reference); !strings.HasSuffix(got, "\ncode: native\n") {
				t.Fatalf("before the change it prints\n%s\nwant the code", got)
			}
			tt.change(h)
			if got := h.run(reference); got != nothing {
				t.Errorf("after the change it prints\n%s\nwant %q", got, nothing)
			}
		})
	}
}

func (h *home) remove(name string) {
	h.Helper()
	if err := os.Remove(name); err != nil {
		h.Fatal(err)
	}
}

func TestSumOf(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if got := SumOf(name); got != "" {
		t.Errorf("SumOf of no file = %q, want nothing", got)
	}
	if got := SumOf(filepath.Dir(name)); got != Unreadable {
		t.Errorf("SumOf of a folder = %q, want %q", got, Unreadable)
	}
	if Unchanged([]File{FileOf(filepath.Dir(name))}) {
		t.Error("what cannot be read is unchanged")
	}
	for size, want := range map[int64]int{0: 64, MaxFile: 64, MaxFile + 1: len(Unreadable)} {
		if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := SumOf(name); len(got) != want {
			t.Errorf("SumOf of %d bytes = %q, want %d digits", size, got, want)
		}
	}
}
