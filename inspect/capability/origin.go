package capability

import (
	"strings"

	"github.com/wreg-project/wreg/inspect/symbol"
)

// owners says of each imported function whether the program asks for it, as far
// as names of functions tell. It is nil if they do not tell, and then everything
// counts as the program's.
//
// The runtime of a language carries imports into every program: Go's reads
// clocks and the environment before main begins, Rust's writes a message when a
// program panics. Names can be forged, so that this is for understanding a
// module and not for refusing one.
func (u *unit) owners() []bool {
	if !u.trusted() || u.m.Names.CountFuncs() == 0 {
		return nil
	}
	switch u.language() {
	case "go":
		return u.goOwners()
	case "rust":
		return u.forward(rustKind)
	case "c":
		return u.forward(cKind)
	}
	return nil
}

// language recognises the runtimes that this package knows, by functions that
// each program of theirs has.
func (u *unit) language() string {
	var rust, start, main bool
	for _, n := range u.m.Names.Funcs() {
		switch {
		case n == "runtime.rt0_go" || strings.HasPrefix(n, "_rt0_wasm_"):
			return "go"
		case strings.Contains(n, "lang_start_internal"):
			rust = true
		case n == "_start" || n == "__wasm_call_ctors":
			start = true
		case cMain[n]:
			main = true
		}
	}
	switch {
	case rust:
		return "rust"
	case start && main:
		return "c"
	}
	return ""
}

// A part says to which part of a program a function belongs.
type part byte

const (
	partLibrary part = iota // counts for whoever calls it
	partProgram             // counts as the program, whoever calls it
	partRuntime             // never counts
)

// forward finds what can be reached from the program's functions without
// passing through the runtime's.
func (u *unit) forward(kind func(u *unit, f uint32, name string) part) []bool {
	n := len(u.m.Functions)
	kinds := make([]part, n)
	var queue []uint32
	seen := make([]bool, n)
	for f, name := range u.m.Names.Funcs() {
		if int64(f) >= int64(n) || int(f) < len(u.uses) {
			continue
		}
		if kinds[f] = kind(u, f, name); kinds[f] == partProgram {
			queue, seen[f] = append(queue, f), true
		}
	}
	if len(queue) == 0 {
		return nil
	}
	sets := make(map[int]bool)
	visit := func(f uint32) {
		if !seen[f] && kinds[f] != partRuntime {
			queue, seen[f] = append(queue, f), true
		}
	}
	for i := 0; i < len(queue); i++ {
		for _, f := range u.g.Callees(queue[i]) {
			visit(f)
		}
		for _, s := range u.g.Sets(queue[i]) {
			if sets[s] {
				continue
			}
			sets[s] = true
			_, members := u.g.Set(s)
			for _, f := range members {
				visit(f)
			}
		}
	}
	return seen[:len(u.uses)]
}

// cMain are the names under which compilers and wasi-libc know the function
// main, with what fetches its arguments.
var cMain = map[string]bool{
	"main": true, "__original_main": true, "__main_argc_argv": true, "__main_void": true, "__main_argc_argv_envp": true,
}

// cRuntime are the functions of wasi-libc that run before and after main.
var cRuntime = map[string]bool{
	"_start": true, "_initialize": true, "__wasm_call_ctors": true, "__wasm_call_dtors": true, "__wasm_init_memory": true,
	"__wasilibc_populate_preopens": true, "__wasilibc_initialize_environ_eagerly": true, "__funcs_on_exit": true,
	"__stdio_exit": true,
}

// cKind: the program is main and what the module exports beside its start, and
// the constructors, which are where C++ begins.
func cKind(u *unit, f uint32, name string) part {
	switch {
	case cRuntime[name]:
		return partRuntime
	case cMain[name], strings.HasPrefix(name, "_GLOBAL__sub_I_"), u.exported(f):
		return partProgram
	}
	return partLibrary
}

// exported is whether the module exports function f under a name that is not
// one of wasi-libc's.
func (u *unit) exported(f uint32) bool {
	for _, e := range u.m.Exports {
		if e.Kind == 0 && e.Index == f {
			return !cRuntime[e.Name]
		}
	}
	return false
}

// rustStd are the crates that come with the compiler.
var rustStd = map[string]bool{
	"std": true, "core": true, "alloc": true, "compiler_builtins": true, "panic_abort": true, "panic_unwind": true,
	"rustc_std_workspace_core": true, "hashbrown": true, "rustc_demangle": true, "std_detect": true, "gimli": true,
	"addr2line": true, "object": true, "miniz_oxide": true, "adler2": true, "adler": true, "memchr": true, "libc": true,
	"wasi": true, "wasip2": true, "cfg_if": true, "unwind": true, "proc_macro": true, "test": true, "wit_bindgen": true,
	"dlmalloc": true, "__rustc": true,
}

// rustRuntime begins the names of what runs around main and when a program
// fails.
var rustRuntime = []string{
	"std::rt::", "std::panicking::", "std::panic::", "std::backtrace", "std::sys::backtrace::", "std::alloc::",
	"core::panicking::", "core::option::expect_failed", "core::option::unwrap_failed", "core::result::unwrap_failed",
	"core::cell::panic", "core::slice::index::", "core::str::slice_error_fail", "alloc::raw_vec::", "alloc::alloc::",
	"std::sys_common::backtrace::", "rust_begin_unwind", "rust_panic", "__rust_", "__rustc", "std::process::abort",
	"std::sys::pal::wasi::abort_internal", "std::sys::pal::wasip1::abort_internal", "core::slice::copy_from_slice",
}

// rustKind: the program is every crate but those that come with the compiler,
// and the function into which main is usually inlined.
func rustKind(_ *unit, _ uint32, name string) part {
	s := symbol.Parse(name)
	text := strings.TrimPrefix(s.Text, "<")
	if strings.Contains(text, "__rust_begin_short_backtrace") {
		return partProgram
	}
	if cRuntime[name] {
		return partRuntime
	}
	for _, p := range rustRuntime {
		if strings.HasPrefix(text, p) {
			return partRuntime
		}
	}
	if s.Scheme != symbol.RustLegacy && s.Scheme != symbol.RustV0 || s.Package == "" || rustStd[s.Package] {
		return partLibrary
	}
	return partProgram
}

// goOwners goes from each import back to who calls it. Every function of a Go
// program stands in its table, under one type, so that nothing can be told from
// there; but the linker leaves out what main and the initialisers cannot come
// to. So a function of the standard library that is there and has no direct
// caller is one that the program came to, by an interface or a closure.
func (u *unit) goOwners() []bool {
	owned := make([]bool, len(u.uses))
	back := u.callers()
	for f := range u.uses {
		owned[f] = u.goAsked(back, uint32(f))
	}
	for f, name := range u.m.Names.Funcs() {
		suffixes := goGateways[name]
		if suffixes == nil || int(f) < len(u.uses) || !u.goAsked(back, f) {
			continue
		}
		for i, use := range u.uses {
			owned[i] = owned[i] || holds(suffixes, use.name)
		}
	}
	return owned
}

// goGateways are the functions through which the rest of a Go program uses what
// package runtime does or has fetched before main, with the imports behind them.
var goGateways = map[string][]string{
	"syscall.Getenv":                       {"environ_get", "environ_sizes_get"},
	"syscall.Environ":                      {"environ_get", "environ_sizes_get"},
	"time.Sleep":                           {"poll_oneoff", "runtime.scheduleTimeoutEvent"},
	"time.newTimer":                        {"poll_oneoff", "runtime.scheduleTimeoutEvent"},
	"math_rand.runtimeSource.Uint64":       {"random_get", "runtime.getRandomData"},
	"math_rand.__runtimeSource_.Uint64":    {"random_get", "runtime.getRandomData"},
	"math_rand_v2.runtimeSource.Uint64":    {"random_get", "runtime.getRandomData"},
	"math_rand_v2.__runtimeSource_.Uint64": {"random_get", "runtime.getRandomData"},
	"internal_sysrand.Read":                {"random_get", "runtime.getRandomData"},
	"crypto_internal_sysrand.Read":         {"random_get", "runtime.getRandomData"},
	"syscall.Exit":                         {"proc_exit", "runtime.wasmExit"},
	"os.Exit":                              {"proc_exit", "runtime.wasmExit"},
	"runtime.Gosched":                      {"sched_yield"},
}

// goThin are functions of package runtime that only pass on what other packages
// ask for.
var goThin = map[string]bool{
	"runtime.clock_time_get": true, "runtime.walltime": true, "runtime.walltime1": true, "runtime.nanotime": true,
	"runtime.nanotime1": true, "runtime.Gosched": true,
}

// goAsked is whether direct calls lead to f from a function of the program, or
// from one of the standard library that only an indirect call can have led to.
func (u *unit) goAsked(back *callers, f uint32) bool {
	seen := map[uint32]bool{f: true}
	for queue := []uint32{f}; len(queue) > 0; {
		at := queue[0]
		queue = queue[1:]
		asked := back.of(at)
		if at != f || int(f) >= len(u.uses) {
			name := u.m.Names.Func(at)
			switch goKind(name) {
			case partProgram:
				return true
			case partRuntime:
				if !goThin[name] && at != f && !u.goWrapper(at, f) {
					continue
				}
			case partLibrary:
				if len(asked) == 0 {
					return true
				}
			}
		}
		for _, c := range asked {
			if !seen[c] {
				seen[c] = true
				queue = append(queue, c)
			}
		}
	}
	return false
}

// goWrapper is whether at is the function that Go's linker puts around import f.
func (u *unit) goWrapper(at, f uint32) bool {
	if int(f) >= len(u.uses) {
		return false
	}
	n := u.m.Names.Func(at)
	return strings.HasPrefix(n, "runtime.") && strings.HasSuffix(n, "."+u.uses[f].name)
}

// goStd are the first elements of the standard library's import paths.
var goStd = set("archive bufio bytes cmp compress container context crypto database debug embed encoding errors expvar " +
	"flag fmt go hash html image index internal io iter log maps math mime net os path plugin reflect regexp runtime " +
	"slices sort strconv strings structs sync syscall testing text time type unicode unique unsafe vendor weak")

func set(words string) map[string]bool {
	m := make(map[string]bool)
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// goKind sorts a function by its name, in which Go's linker wrote "_" for what
// is no letter, digit or dot. Initialisers of the standard library run in every
// program that contains the package, and count as its runtime.
func goKind(name string) part {
	i := strings.IndexFunc(name, func(r rune) bool { return r == '.' || r == '_' })
	if i <= 0 {
		return partRuntime // assembly: "_rt0_wasm_wasip1", "memeqbody"
	}
	first := name[:i]
	switch {
	case first == "runtime" || first == "wasm" || strings.HasPrefix(name, "internal_runtime") || strings.HasPrefix(name, "internal_sync"):
		return partRuntime
	case !goStd[first]:
		return partProgram
	}
	if _, rest, _ := strings.Cut(name, "."); rest == "init" || goInit(rest) {
		return partRuntime
	}
	return partLibrary
}

// goInit recognises the functions called init of a package, which the compiler
// numbers: "init.0". Closures in them, "init.func1", may run at any time.
func goInit(name string) bool {
	n, ok := strings.CutPrefix(name, "init.")
	return ok && n != "" && strings.Trim(n, "0123456789") == ""
}
