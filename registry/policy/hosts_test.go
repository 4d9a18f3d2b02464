package policy

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect"
)

// inspected gives the facts of a file.
func inspected(t testing.TB, path string) (*Report, *Capabilities) {
	t.Helper()
	file := readFile(t, path)
	rep, err := inspect.Inspect(file, inspect.Options{Strings: -1})
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	r, c := ReportFacts(rep), CapabilityFacts(rep)
	if err := r.HashExports(file); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return &r, &c
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parsed(t testing.TB, path string) *Policy {
	t.Helper()
	p, err := Parse(readFile(t, path))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return p
}

// Checkfiles of three hosts say of right and wrong modules, which clang made, what
// they should.
func TestCheckfilesOfHosts(t *testing.T) {
	proxy, extism, wasi := "proxy-wasm.mod.yaml", "extism.mod.yaml", "wasi-command.mod.yaml"
	tests := []struct {
		name      string
		checkfile string
		module    string
		fails     []string
	}{
		{"a filter passes the proxy", proxy, "filter.wasm", nil},
		{
			"a filter of an earlier ABI lacks the version that the proxy asks for", proxy, "filter-old.wasm",
			[]string{"exports.include.proxy_abi_version_0_2_1"},
		},
		{
			"a filter that sends requests imports what is excluded, and not included", proxy, "filter-calls.wasm",
			[]string{"imports.exclude.proxy_http_call", "imports.include.env::proxy_http_call"},
		},
		{
			"a function of another type is not the one of the ABI", proxy, "filter-typed.wasm",
			[]string{"exports.include.proxy_on_request_headers.params"},
		},
		{
			"a command of WASI is no filter", proxy, "command.wasm",
			[]string{
				"exports.include.proxy_abi_version_0_2_1", "exports.include.proxy_on_context_create",
				"exports.include.proxy_on_memory_allocate", "exports.include.proxy_on_request_headers", "imports.namespace.include.env",
			},
		},
		{"a plug-in passes Extism", extism, "plugin.wasm", nil},
		{
			"a plug-in that sends requests imports what is not included", extism, "plugin-net.wasm",
			[]string{"imports.include.extism:host/env::http_request"},
		},
		{
			"a plug-in that asks WASI for the time is refused", extism, "plugin-wasi.wasm",
			[]string{"allow_wasi", "imports.include.wasi_snapshot_preview1::clock_time_get"},
		},
		{
			"a plug-in of the first version imports from env", extism, "plugin-env.wasm",
			[]string{
				"imports.include.env::extism_alloc", "imports.include.env::extism_input_length", "imports.include.env::extism_output_set",
				"imports.include.env::extism_store_u8", "imports.namespace.exclude.env", "imports.namespace.include.extism:host/env",
				"imports.namespace.include.extism:host/env::output_set",
			},
		},
		{"a command passes WASI", wasi, "command.wasm", nil},
		{
			"a command that uses sockets imports functions of some hosts only", wasi, "command-socket.wasm",
			[]string{"imports.include.wasi_snapshot_preview1::sock_connect", "imports.include.wasi_snapshot_preview1::sock_open"},
		},
		{
			"a command of the snapshot before is another ABI", wasi, "command-unstable.wasm",
			[]string{
				"imports.include.wasi_unstable::fd_write", "imports.include.wasi_unstable::proc_exit",
				"imports.namespace.exclude.wasi_unstable", "imports.namespace.include.wasi_snapshot_preview1",
			},
		},
		{
			"a reactor has no start", wasi, "command-reactor.wasm",
			[]string{"exports.exclude._initialize", "exports.include._start"},
		},
	}
	used := map[string]bool{}
	for _, tt := range tests {
		used[tt.module] = true
		t.Run(tt.name, func(t *testing.T) {
			p := parsed(t, "testdata/hosts/"+tt.checkfile)
			r, c := inspected(t, "testdata/hosts/"+tt.module)
			got := p.Checkfile.Check(r)
			if d := cmp.Diff(tt.fails, slices.Sorted(maps.Keys(got.Fails))); d != "" || got.Error != "" {
				t.Errorf("Check(%s) fails, error %q (-want +got):\n%s", tt.module, got.Error, d)
			}
			p.Name = "host"
			s, err := Compile(p)
			if err != nil {
				t.Fatal(err)
			}
			f := &Facts{Package: Package{Repository: "a/b"}, Action: Push, File: File{Path: tt.module, Wasm: true}, Report: r, Capabilities: c}
			res := s.Eval(context.Background(), f)
			if want := len(tt.fails); len(res.Violations) != want || (res.Outcome == Denied) != (want > 0) {
				t.Errorf("Eval(%s) = %s with %d violations, want %d: %+v", tt.module, res.Outcome, len(res.Violations), want, res.Violations)
			}
		})
	}
	files, err := filepath.Glob("testdata/hosts/*.wasm")
	if err != nil || len(files) != len(used) {
		t.Errorf("testdata/hosts has %d modules, %v; the test uses %d", len(files), err, len(used))
	}
}
