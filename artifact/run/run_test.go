package run

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/capability"
)

func TestFoldersAreGrantedByTheirNames(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Mkdir("data", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	for in, want := range map[string]wire.Dir{
		"data":          {Host: data, Guest: "data"},
		"data:ro":       {Host: data, Guest: "data", ReadOnly: true},
		"data:/":        {Host: data, Guest: "/"},
		"data:/in:ro":   {Host: data, Guest: "/in", ReadOnly: true},
		"data:/in/:rw":  {Host: data, Guest: "/in"},
		"./data/:/x/..": {Host: data, Guest: "/"},
		".:.":           {Host: dir, Guest: "."},
	} {
		if got, err := ParseDir(in); err != nil || got != want {
			t.Errorf("ParseDir(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"":               "write HOST:GUEST",
		":/":             "write HOST:GUEST",
		"data:":          "write HOST:GUEST",
		"absent:/":       "no such file",
		"file:/":         "is no folder; grant the one that it is in: .",
		"data:/in:wo":    "it is ro or rw",
		"data:/in:ro:ro": "it is ro or rw",
	} {
		if got, err := ParseDir(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseDir(%q) = %+v, %v; want an error with %q", in, got, err, want)
		}
	}
}

func TestVariablesAreGrantedByTheirNames(t *testing.T) {
	for in, want := range map[string][2]string{"A=1": {"A", "1"}, "A=": {"A", ""}, "A=b=c": {"A", "b=c"}} {
		if got, err := ParseEnv(in); err != nil || got != want {
			t.Errorf("ParseEnv(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for in, want := range map[string]string{"HOME": "--inherit-env HOME", "=x": "no name", "A\x00=x": "no name"} {
		if got, err := ParseEnv(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseEnv(%q) = %v, %v; want an error with %q", in, got, err, want)
		}
	}
}

func TestGrantsThatContradictEachOtherAreRefused(t *testing.T) {
	for name, g := range map[string]Grants{
		"two folders under one name": {Dirs: []wire.Dir{{Host: "/a", Guest: "/"}, {Host: "/b", Guest: "/"}}},
		"a negative time":            {Timeout: -time.Second},
		"a negative size":            {MaxMemory: -1},
	} {
		if err := g.Check(); err == nil {
			t.Errorf("Check allows %s", name)
		}
	}
	g := Grants{Dirs: []wire.Dir{{Host: "/a", Guest: "/"}, {Host: "/a", Guest: "/b"}}}
	if err := g.Check(); err != nil {
		t.Errorf("Check(%+v) = %v", g, err)
	}
}

func TestGrantsAreShown(t *testing.T) {
	g := Grants{
		Net: true, Dirs: []wire.Dir{{Host: "/a", Guest: "/", ReadOnly: true}, {Host: "/b", Guest: "/b"}},
		Env: [][2]string{{"TOKEN", "secret"}}, InheritEnv: []string{"HOME"}, Timeout: 90 * time.Second, MaxMemory: 64 << 20,
	}
	want := []string{
		"network: whatever this machine reaches", "read /a, as /", "read and write /b, as /b", "variable TOKEN", "variable HOME, of your environment",
		"at most 1m30s of time", "at most 64.0 MiB of memory",
	}
	if diff := cmp.Diff(want, g.Lines()); diff != "" {
		t.Errorf("Lines (-want +got):\n%s", diff)
	}
	if got := (&Grants{}).Lines(); !slices.Equal(got, []string{"nothing: no files, no network, no environment"}) {
		t.Errorf("Lines of no grants = %q", got)
	}
}

func report(kind inspect.Kind, imports []inspect.Import, exports []inspect.Export, can ...capability.Capability) *inspect.Report {
	return &inspect.Report{
		Kind: kind, Imports: imports, Exports: exports,
		Analysis: inspect.Analysis{Capabilities: &capability.Result{Capabilities: can}},
	}
}

var (
	writesFile = inspect.Import{Module: "wasi_snapshot_preview1", Name: "fd_write", Kind: "func"}
	start      = inspect.Export{Name: "_start", Kind: "func"}
)

func TestWhatCannotRunIsRefusedWithTheReason(t *testing.T) {
	for _, c := range []struct {
		name   string
		rep    *inspect.Report
		grants Grants
		invoke string
		want   string // of the error and its hint; "" is none
	}{
		{"a command", report(inspect.KindModule, []inspect.Import{writesFile}, []inspect.Export{start}), Grants{}, "", ""},
		{"a function of a library", report(inspect.KindModule, nil, []inspect.Export{{Name: "add", Kind: "func"}}), Grants{}, "add", ""},
		{"a command component", report(inspect.KindComponent, []inspect.Import{
			{Name: "wasi:cli/environment@0.2.6", Kind: "instance"}, {Name: "wasi:io/streams@0.2.0", Kind: "instance"},
		}, []inspect.Export{{Name: "wasi:cli/run@0.2.6", Kind: "instance"}}), Grants{}, "", ""},
		{"a WIT package", report(inspect.KindWITPackage, nil, nil), Grants{}, "", "has no code"},
		{"a server", report(inspect.KindComponent, []inspect.Import{{Name: "wasi:http/types@0.2.0", Kind: "instance"}}, []inspect.Export{
			{Name: "wasi:http/incoming-handler@0.2.0", Kind: "instance"},
		}), Grants{}, "", "wasmtime serve"},
		{"imports of another host", report(inspect.KindModule, []inspect.Import{
			{Module: "env", Name: "a"}, {Module: "env", Name: "b"}, {Module: "env", Name: "c"}, {Module: "env", Name: "d"}, {Module: "env", Name: "e"},
		}, []inspect.Export{start}), Grants{}, "", "env.a, env.b, env.c, env.d and 1 more"},
		{"WASI 0.3", report(inspect.KindComponent, []inspect.Import{{Name: "wasi:cli/stdout@0.3.0", Kind: "instance"}}, nil), Grants{}, "", "wasi:cli/stdout@0.3.0"},
		{"an outgoing request", report(inspect.KindComponent, []inspect.Import{{Name: "wasi:http/outgoing-handler@0.2.0", Kind: "instance"}}, []inspect.Export{
			{Name: "wasi:cli/run@0.2.0", Kind: "instance"},
		}), Grants{}, "", "wasi:http/outgoing-handler@0.2.0"},
		{"the network", report(inspect.KindModule, nil, []inspect.Export{start}), Grants{Net: true}, "", "no sockets"},
		{"a library", report(inspect.KindModule, nil, []inspect.Export{{Name: "add", Kind: "func"}, {Name: "memory", Kind: "memory"}}), Grants{}, "", "--invoke calls one of them: add"},
		{"nothing at all", report(inspect.KindModule, nil, nil), Grants{}, "", "exports no function"},
		{"a library of components", report(inspect.KindComponent, nil, nil), Grants{}, "", "wpkg wit show"},
		{"an absent function", report(inspect.KindModule, nil, []inspect.Export{start}), Grants{}, "sub", "it has _start"},
		{"a function of a component", report(inspect.KindComponent, nil, []inspect.Export{{Name: "wasi:cli/run@0.2.0", Kind: "instance"}}), Grants{}, "f", "leave out --invoke"},
	} {
		p := Describe(c.rep)
		err := p.Check(&c.grants, c.invoke)
		got := ""
		var cannot *CannotError
		if errors.As(err, &cannot) {
			got = cannot.Why + "; " + cannot.Hint
		}
		if c.want == "" && err != nil || !strings.Contains(got, c.want) {
			t.Errorf("Check of %s = %q, want %q", c.name, got, c.want)
		}
	}
}

func TestWhatIsNotGrantedIsNamedWithItsFlag(t *testing.T) {
	can := func(id capability.ID, l capability.Level, o capability.Origin) capability.Capability {
		return capability.Capability{ID: id, Level: l, Origin: o}
	}
	reads := can(capability.FilesRead, capability.Reachable, capability.Program)
	writes := can(capability.FilesWrite, capability.Reachable, capability.Program)
	for _, c := range []struct {
		name   string
		can    []capability.Capability
		grants Grants
		want   string
	}{
		{"a reader without a folder", []capability.Capability{reads}, Grants{}, "--dir .:/:ro"},
		{"a writer without a folder", []capability.Capability{reads, writes}, Grants{}, "--dir .:/ "},
		{"a reader with a folder", []capability.Capability{reads}, Grants{Dirs: []wire.Dir{{Host: "/a", Guest: "/"}}}, ""},
		{"a folder that is not the root", []capability.Capability{reads}, Grants{Dirs: []wire.Dir{{Host: "/a", Guest: "data"}}}, ""},
		{"a folder with the name .", []capability.Capability{writes}, Grants{Dirs: []wire.Dir{{Host: "/a", Guest: "."}}}, "--dir /a:/ "},
		{"one to read from", []capability.Capability{reads}, Grants{Dirs: []wire.Dir{{Host: "/a", Guest: ".", ReadOnly: true}}}, "--dir /a:/:ro "},
		{"a program that opens nothing", nil, Grants{Dirs: []wire.Dir{{Host: "/a", Guest: "."}}}, ""},
		{"what the runtime alone does", []capability.Capability{can(capability.FilesRead, capability.Reachable, capability.Runtime)}, Grants{}, ""},
		{"what no call leads to", []capability.Capability{can(capability.FilesRead, capability.Declared, capability.Program)}, Grants{}, ""},
		{"the environment", []capability.Capability{can(capability.Environment, capability.Reachable, capability.Program)}, Grants{}, ""},
	} {
		p := Describe(report(inspect.KindModule, []inspect.Import{writesFile}, []inspect.Export{start}, c.can...))
		if got := p.Hint(&c.grants); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("Hint for %s = %q, want %q in it", c.name, got, c.want)
		}
	}
	p := Describe(report(inspect.KindModule, nil, []inspect.Export{start}, can(capability.Environment, capability.Reachable, capability.Program), reads))
	want := []Lack{
		{[]capability.ID{capability.FilesRead}, "read files", "--dir .:/:ro"},
		{[]capability.ID{capability.Environment}, "read variables of the environment", "--env NAME=VALUE"},
	}
	if diff := cmp.Diff(want, p.Lacking(&Grants{})); diff != "" {
		t.Errorf("Lacking (-want +got):\n%s", diff)
	}
}
