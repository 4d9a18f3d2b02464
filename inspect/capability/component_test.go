package capability_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/inspect/code"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// Encodings of the binary formats, as far as the tests below need them. All
// lengths and indices are less than 128, but for those of sections.

func str(s string) string { return string(rune(len(s))) + s }

func vec(entries ...string) string { return string(rune(len(entries))) + strings.Join(entries, "") }

func section(id byte, body string) string {
	n := len(body)
	size := []byte{byte(n)}
	for size[len(size)-1] = byte(n & 0x7f); n >= 0x80; {
		size[len(size)-1] |= 0x80
		n >>= 7
		size = append(size, byte(n&0x7f))
	}
	return string(id) + string(size) + body
}

func coreModule(sections ...string) string {
	return "\x00asm\x01\x00\x00\x00" + strings.Join(sections, "")
}

func component(sections ...string) string {
	return "\x00asm\x0d\x00\x01\x00" + strings.Join(sections, "")
}

const (
	noType   = "\x60\x00\x00"     // core function without parameters and results
	noFunc   = "\x40\x00\x01\x00" // component function without parameters and results
	getenv   = "get-environment"
	environ  = "wasi:cli/environment@0.2.0"
	funcSort = "\x01"
)

// environment is the type of an instance with the one function getenv.
var environment = "\x42" + vec("\x01"+noFunc, "\x04\x00"+str(getenv)+"\x01\x00")

// caller is a module that exports run, which calls its import, and dead, which
// nothing calls, for another import.
func caller() string {
	return coreModule(
		section(1, vec(noType)),
		section(2, vec(str("e")+str("get")+"\x00\x00", str("e")+str("other")+"\x00\x00")),
		section(3, vec("\x00", "\x00")),
		section(7, vec(str("run")+"\x00\x02")),
		section(10, vec("\x04\x00\x10\x00\x0b", "\x04\x00\x10\x01\x0b")),
	)
}

// importer is a component that imports the environment, and whose module calls
// it from run.
func importer() string {
	return component(
		section(7, vec(environment)),
		section(10, vec("\x00"+str(environ)+"\x05\x00")),
		section(1, caller()),
		section(6, vec(funcSort+"\x00\x00"+str(getenv))),
		section(8, vec("\x01\x00\x00\x00")), // lower
		section(2, vec("\x01"+vec(str("get")+"\x00\x00", str("other")+"\x00\x00"), "\x00\x00"+vec(str("e")+"\x12\x00"))),
		section(6, vec("\x00\x00\x01\x01"+str("run"))),
		section(7, vec(noFunc)),
		section(8, vec("\x00\x00\x01\x00\x01")), // lift
		section(11, vec("\x00"+str("run")+"\x01\x01\x00")),
	)
}

// provider is a component that exports the environment without importing
// anything.
func provider() string {
	module := coreModule(
		section(1, vec(noType)), section(3, vec("\x00")), section(7, vec(str("get")+"\x00\x00")), section(10, vec("\x02\x00\x0b")))
	return component(
		section(1, module),
		section(2, vec("\x00\x00\x00")),
		section(6, vec("\x00\x00\x01\x00"+str("get"))),
		section(7, vec(noFunc)),
		section(8, vec("\x00\x00\x00\x00\x00")),
		section(5, vec("\x01"+vec("\x00"+str(getenv)+"\x01\x00"))),
		section(11, vec("\x00"+str(environ)+"\x05\x00\x00")),
	)
}

// composed imports the environment and instantiates importer with it, or with
// what provider exports.
func composed(virtual bool) string {
	parts := []string{
		section(7, vec(environment)),
		section(10, vec("\x00"+str(environ)+"\x05\x00")),
		section(4, importer()),
	}
	last := "\x01"
	if virtual {
		parts = append(parts,
			section(4, provider()),
			section(5, vec("\x00\x01\x00")),
			section(6, vec("\x05\x00\x01"+str(environ))),
			section(5, vec("\x00\x00"+vec(str(environ)+"\x05\x02"))))
		last = "\x03"
	} else {
		parts = append(parts, section(5, vec("\x00\x00"+vec(str(environ)+"\x05\x00"))))
	}
	parts = append(parts,
		section(6, vec(funcSort+"\x00"+last+str("run"))),
		section(11, vec("\x00"+str("run")+"\x01\x00\x00")))
	return component(parts...)
}

func TestComponents(t *testing.T) {
	tests := []struct {
		name, file string
		want       []string
		roles      []string
	}{
		{
			name: "a module that calls the host", file: importer(),
			want: []string{"environment reachable program"}, roles: []string{"module 0 main"},
		},
		{
			name: "a component inside that is given the host's interface", file: composed(false),
			want: []string{"environment reachable program"}, roles: []string{"component 0, module 0 main"},
		},
		{
			name: "a component inside that is given another's interface", file: composed(true),
			want:  []string{"environment declared program"},
			roles: []string{"component 0, module 0 main", "component 1, module 0 main"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := analyse(t, []byte(tt.file))
			if diff := cmp.Diff(tt.want, summary(r.Capabilities)); diff != "" {
				t.Errorf("Analyse (-want +got)\n%s", diff)
			}
			var roles []string
			for _, m := range r.Modules {
				roles = append(roles, m.Path+" "+m.Role)
			}
			if !slices.Equal(roles, tt.roles) {
				t.Errorf("Analyse: modules %q; want %q", roles, tt.roles)
			}
			if len(r.Notes) > 0 {
				t.Errorf("Analyse: notes %q; want none", r.Notes)
			}
		})
	}
}

// module is a core module with imports, each "module name", of functions without
// parameters, and with run, which calls the first of them.
func module(imports ...string) string {
	var entries []string
	for _, im := range imports {
		m, n, _ := strings.Cut(im, " ")
		entries = append(entries, str(m)+str(n)+"\x00\x00")
	}
	return coreModule(
		section(1, vec(noType)),
		section(2, vec(entries...)),
		section(3, vec("\x00")),
		section(7, vec(str("run")+"\x00"+string(rune(len(imports))))),
		section(10, vec("\x04\x00\x10\x00\x0b")),
	)
}

func TestModules(t *testing.T) {
	const p1 = "wasi_snapshot_preview1 "
	tests := []struct {
		name    string
		imports []string
		want    []string
	}{
		{
			"what is called is reachable, the rest declared",
			[]string{p1 + "random_get", p1 + "clock_time_get"},
			[]string{"clock declared program", "random reachable program"},
		},
		{
			"descriptors are standard streams where nothing opens",
			[]string{p1 + "fd_write"},
			[]string{"stdio reachable program: stderr stdout"},
		},
		{
			"a directory may be listed where nothing opens",
			[]string{p1 + "fd_readdir"},
			[]string{"files-read reachable program: listing"},
		},
		{
			"opening without reading and writing only looks",
			[]string{p1 + "path_open"},
			[]string{"files-read reachable program: metadata"},
		},
		{
			"a way to write that is never called does not make writing reachable",
			[]string{p1 + "path_open", p1 + "fd_write"},
			[]string{
				"stdio declared program possible: stderr stdout", "files-read reachable program: metadata",
				"files-write declared program: contents",
			},
		},
		{"unknown imports are named", []string{"env something"}, []string{"unknown-host-call reachable program"}},
		{"short names tell of a minified build", []string{"a b", "a c"}, []string{"host-javascript reachable program: minified"}},
		{"one long name does not", []string{"a b", "a something"}, []string{"unknown-host-call reachable program"}},
		{
			"two calls of the same name are two imports",
			[]string{p1 + "fd_write", p1 + "fd_write"},
			[]string{"stdio reachable program: stderr stdout"},
		},
		{"plumbing is nothing", []string{"env __assert_fail"}, []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := analyse(t, []byte(module(tt.imports...)))
			if diff := cmp.Diff(tt.want, summary(r.Capabilities)); diff != "" {
				t.Errorf("Analyse of %q (-want +got)\n%s", tt.imports, diff)
			}
		})
	}
}

// Without a call graph nothing can be excluded.
func TestWithoutACallGraphEverythingIsReachable(t *testing.T) {
	for _, file := range []string{module("wasi_snapshot_preview1 random_get"), importer()} {
		b, err := wasm.Parse([]byte(file))
		if err != nil {
			t.Fatal(err)
		}
		r := capability.Analyse(b, func(*wasm.Binary) *code.Graph { return nil })
		for _, c := range r.Capabilities {
			if c.Level != capability.Reachable {
				t.Errorf("Analyse: %s is %v; want reachable", c.ID, c.Level)
			}
		}
		if len(r.Notes) == 0 {
			t.Errorf("Analyse: no notes; want one that says so")
		}
	}
}

// FuzzAnalyse holds results against their bounds, and against themselves.
func FuzzAnalyse(f *testing.F) {
	seeds := []string{
		module("wasi_snapshot_preview1 path_open", "wasi_snapshot_preview1 fd_read"), importer(), composed(false), composed(true),
	}
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		b, err := wasm.Parse(file)
		if err != nil {
			return
		}
		graph := graph
		if _, err := wasm.Validate(b); err != nil {
			graph = func(*wasm.Binary) *code.Graph { return nil }
		}
		r := capability.Analyse(b, graph)
		for _, list := range append([][]capability.Capability{r.Capabilities}, lists(r)...) {
			for _, c := range list {
				if len(c.Evidence) > capability.MaxEvidence || c.Imports < len(c.Evidence) || len(c.Evidence) == 0 {
					t.Fatalf("%s has %d pieces of evidence of %d imports", c.ID, len(c.Evidence), c.Imports)
				}
				for _, e := range c.Evidence {
					if len(e.Path) > capability.MaxPath+1 || e.Level > c.Level {
						t.Fatalf("%s: evidence %+v of a capability that is %v", c.ID, e, c.Level)
					}
				}
			}
		}
		first, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := json.Marshal(capability.Analyse(b, graph)); string(again) != string(first) {
			t.Fatalf("two results for one binary:\n%s\n%s", first, again)
		}
	})
}

func lists(r *capability.Result) (list [][]capability.Capability) {
	for _, m := range r.Modules {
		list = append(list, m.Capabilities)
	}
	return list
}

// Functions of the modules of the next test: writer is the import fd_write, and
// function 1 may be a wrapper with one parameter; run is the last.
func writer(run string, wrapper ...string) string {
	funcs := strings.Repeat("\x01", len(wrapper)) + "\x02"
	bodies := make([]string, 0, len(wrapper)+1)
	for _, b := range append(wrapper, run) {
		bodies = append(bodies, str("\x00"+b+"\x0b"))
	}
	return coreModule(
		section(1, vec("\x60\x04\x7f\x7f\x7f\x7f\x01\x7f", "\x60\x01\x7f\x00", "\x60\x00\x00")),
		section(2, vec(str("wasi_snapshot_preview1")+str("fd_write")+"\x00\x00")),
		section(3, vec(strings.Split(funcs, "")...)),
		section(7, vec(str("run")+"\x00"+string(rune(len(wrapper)+1)))),
		section(10, vec(bodies...)),
	)
}

func TestConstantsOfCalls(t *testing.T) {
	const (
		rest    = "\x41\x00\x41\x00\x41\x00\x10\x00\x1a" // three zeros, call fd_write, drop
		one     = "\x41\x01"
		two     = "\x41\x02"
		nine    = "\x41\x09"
		param   = "\x20\x00"
		wrapped = "\x10\x01"
	)
	tests := []struct {
		name, file, want string
	}{
		{"a constant", writer(one + rest), "stdio reachable program: stdout"},
		{"two calls", writer(one + rest + two + rest), "stdio reachable program: stderr stdout"},
		{"another descriptor", writer(nine + rest), "stdio reachable program: inherited"},
		{"a sum", writer(one + one + "\x6a" + rest), "stdio reachable program: stderr"},
		{"a wrapper", writer(two+wrapped, param+rest), "stdio reachable program: stderr"},
		{"a wrapper of a wrapper", writer(two+"\x10\x02", param+rest, param+wrapped), "stdio reachable program: stderr"},
		{"a wrapper that changes its parameter", writer(two+wrapped, one+"\x21\x00"+param+rest), "stdio reachable program: stdout"},
		{
			"a wrapper that may change its parameter", writer(two+wrapped, param+"\x04\x40"+one+"\x21\x00\x0b"+param+rest),
			"stdio reachable program: stderr stdout",
		},
		{
			"a loop that changes the parameter", writer(two+wrapped, "\x03\x40"+param+rest+one+"\x21\x00\x0c\x00\x0b"),
			"stdio reachable program: stderr stdout",
		},
		{"either of two", writer(one + two + one + "\x1b" + rest), "stdio reachable program: stderr stdout"},
		{"a constant before a block", writer(one + "\x02\x40\x0b" + rest), "stdio reachable program: stderr stdout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := analyse(t, []byte(tt.file))
			if got := summary(r.Capabilities); len(got) != 1 || got[0] != tt.want {
				t.Errorf("Analyse = %q; want %q", got, tt.want)
			}
		})
	}
}

// A module named like an adapter that does something else for a call than its
// name says is found out.
func TestAFalseAdapterIsNotBelieved(t *testing.T) {
	// Module 1 asks module 0 for random numbers, and that asks the host for the
	// environment.
	main := coreModule(
		section(1, vec(noType)),
		section(2, vec(str("wasi_snapshot_preview1")+str("random_get")+"\x00\x00")),
		section(3, vec("\x00")),
		section(7, vec(str("run")+"\x00\x01")),
		section(10, vec("\x04\x00\x10\x00\x0b")),
	)
	adapter := coreModule(
		section(1, vec(noType)),
		section(2, vec(str("e")+str("get")+"\x00\x00")),
		section(3, vec("\x00")),
		section(7, vec(str("random_get")+"\x00\x01")),
		section(10, vec("\x04\x00\x10\x00\x0b")),
	)
	file := component(
		section(7, vec(environment)),
		section(10, vec("\x00"+str(environ)+"\x05\x00")),
		section(1, adapter),
		section(1, main),
		section(6, vec(funcSort+"\x00\x00"+str(getenv))),
		section(8, vec("\x01\x00\x00\x00")),
		section(2, vec("\x01"+vec(str("get")+"\x00\x00"), "\x00\x00"+vec(str("e")+"\x12\x00"),
			"\x00\x01"+vec(str("wasi_snapshot_preview1")+"\x12\x01"))),
		section(6, vec("\x00\x00\x01\x02"+str("run"))),
		section(7, vec(noFunc)),
		section(8, vec("\x00\x00\x01\x00\x01")),
		section(11, vec("\x00"+str("run")+"\x01\x01\x00")),
	)
	r := analyse(t, []byte(file))
	want := []string{"environment reachable program"}
	if diff := cmp.Diff(want, summary(r.Capabilities)); diff != "" {
		t.Errorf("Analyse (-want +got)\n%s", diff)
	}
	if r.Modules[0].Role != "adapter" {
		t.Errorf("Analyse: module 0 is %s; want adapter", r.Modules[0].Role)
	}
}

// What a module with very many imports can do is not lost among them.
func TestACrowdedModuleKeepsItsCapabilities(t *testing.T) {
	var imports strings.Builder
	const n = 3000
	for range n {
		imports.WriteString(str("a") + str("b") + "\x00\x00")
	}
	imports.WriteString(str("wasi_snapshot_preview1") + str("path_unlink_file") + "\x00\x00")
	file := coreModule(section(1, vec(noType)), section(2, "\xb9\x17"+imports.String())) // n+1
	r := analyse(t, []byte(file))
	want := []string{"files-write reachable program: names", "unknown-host-call reachable program"}
	if diff := cmp.Diff(want, summary(r.Capabilities)); diff != "" {
		t.Errorf("Analyse of %d imports (-want +got)\n%s", n+1, diff)
	}
	if len(r.Notes) == 0 {
		t.Errorf("Analyse of %d imports: no notes; want one", n+1)
	}
	outer := component(section(7, vec(environment)), section(10, vec("\x00"+str(environ)+"\x05\x00")), section(1, file))
	if got, want := summary(analyse(t, []byte(outer)).Capabilities), []string{"environment reachable program"}; !slices.Equal(got, want) {
		t.Errorf("Analyse of a component with it = %q; want %q", got, want)
	}
}
