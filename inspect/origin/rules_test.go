package origin

import (
	"slices"
	"strings"
	"testing"
)

// examples show each rule at the least that it holds for, with names as real
// files have them, and where a rule asks for several things, at one too few.
var examples = []struct {
	rule string
	with []string
	not  []string
}{
	{
		"rust-library-path",
		[]string{"data /rustc/ded5c06cf21d2b93bffd5d884aa6e96934ee4234/library/core/src/fmt/mod.rs"},
		[]string{"data /rust/library"},
	},
	{
		"rust-crate-path",
		[]string{"data /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/serde-1.0.0/src/lib.rs"},
		[]string{"data index.crates.io"},
	},
	{"rust-symbols", []string{"symbol _RNvNtCs4fqI2P2rA04_4core3fmt5write"}, []string{"symbol _ZN4core3fmt5writeEv"}},
	{
		"rust-panic-texts",
		[]string{"data called `Option::unwrap()` on a `None` value", "data index out of bounds: the len is "},
		[]string{"data called `Option::unwrap()` on a `None` value"},
	},
	{"dwarf-rustc", []string{"data rustc version 1.92.0 (ded5c06cf 2025-12-08)\x00"}, []string{"data rustc 1.92.0"}},
	{
		"wasm-bindgen-imports",
		[]string{"import ./biome_wasm_bg.js __wbg_get_unchecked_7d7babe32e9e6a54"},
		[]string{"import ./biome_wasm_bg.js get"},
	},
	{"wasm-bindgen-exports", []string{"export __wbg_workspace_free"}, []string{"export __wbg_workspace"}},

	{"go-js", []string{"export run", "export resume", "export getsp"}, []string{"export run", "export resume"}},
	{"go-build-id", []string{"section go:buildid"}, []string{"section buildid"}},
	{
		"go-module-info",
		[]string{"data 0w\xaf\x0c\x92t\x08\x02A\xe1\xc1\x07\xe6\xd6\x18\xe6path\tcommand-line-arguments"},
		[]string{"data 0w\xaf\x0c\x92t\x08\x02A"},
	},
	{"go-imports", []string{"import gojs runtime.wasmExit"}, []string{"import go main"}},
	{"go-symbols", []string{"symbol net_http.__Client_.Do"}, []string{"symbol runtime.alloc"}},
	{
		"go-runtime-texts",
		[]string{"data all goroutines are asleep - deadlock!", "data invalid memory address or nil pointer dereference"},
		[]string{"data all goroutines are asleep - deadlock!", "data invalid memory address or nil pointer dereference", "symbol tinygo_unwind"},
	},
	{"tinygo-names", []string{"export tinygo_rewind"}, []string{"export rewind"}},
	{"tinygo-symbols", []string{"symbol (*sync.Mutex).Lock"}, []string{"symbol sync.Mutex"}},
	{"tinygo-scheduler", []string{"export go_scheduler"}, []string{"export scheduler"}},

	{"cxx-type-info", []string{"data N10__cxxabiv117__class_type_infoE"}, []string{"data cxxabiv1 class"}},
	{"cxx-symbols", []string{"symbol _ZN4llvm5Value7getNameEv"}, []string{"symbol getName"}},
	{"cxx-exceptions", []string{"import env __cxa_throw"}, []string{"import env throw"}},
	{"c-main", []string{"export __main_argc_argv"}, []string{"export main"}},
	{"wasm-ld", []string{"export __wasm_call_ctors"}, []string{"export ctors"}},
	{"padded-calls", []string{"shape padded call indices"}, []string{"shape padded call indices", "section go:buildid"}},
	{
		"dwarf-clang",
		[]string{"data clang version 18.1.2-wasi-sdk (https://github.com/llvm/llvm-project)"},
		[]string{"data clang 18.1.2"},
	},
	{"wasi-libc", []string{"symbol __wasilibc_find_relpath"}, []string{"symbol find_relpath"}},

	{"emscripten-minified", []string{"shape minified imports"}, []string{"shape minified imports", "import env abort"}},
	{"emscripten-imports", []string{"import env emscripten_resize_heap"}, []string{"import env resize_heap"}},
	{"emscripten-invoke", []string{"import env invoke_viii"}, []string{"import env invoke"}},
	{"emscripten-exports", []string{"export emscripten_stack_get_current"}, []string{"export stack_get_current"}},
	{
		"emscripten-path",
		[]string{"data /emsdk/emscripten/system/lib/libcxxabi/src/private_typeinfo.cpp"},
		[]string{"data emsdk"},
	},
	{"dynamic-linking", []string{"import GOT.mem OP_SYMBOLS"}, []string{"import GOT OP_SYMBOLS"}},
	{
		"emscripten-side-module",
		[]string{"import env __memory_base", "import env __table_base"},
		[]string{"shape nested", "import env __memory_base", "import env __table_base"},
	},

	{"binaryen-names", []string{"export orig$malloc"}, []string{"export malloc"}},
	{
		"binaryen-asyncify",
		[]string{"export asyncify_start_unwind", "export asyncify_stop_unwind"},
		[]string{"export asyncify_start_unwind"},
	},
	{"wizer", []string{"export wizer.initialize"}, []string{"export initialize"}},

	{"assemblyscript-runtime", []string{"export __retain", "export __release"}, []string{"export __retain"}},
	{"assemblyscript-loader", []string{"import env abort", "export __rtti_base"}, []string{"import env abort"}},
	{"assemblyscript-symbols", []string{"symbol ~lib/rt/itcms/__new"}, []string{"symbol __new"}},
	{"assemblyscript-files", []string{"data ~\x00l\x00i\x00b\x00/\x00r\x00t\x00"}, []string{"data ~lib/rt"}},
	{"assemblyscript-abort", []string{"import env abort", "data x\x00.\x00t\x00s\x00\x00\x00"}, []string{"import env abort"}},

	{"kotlin-imports", []string{"import js_code kotlin.captureStackTrace"}, []string{"import js kotlin.captureStackTrace"}},
	{"kotlin-symbols", []string{"symbol kotlin.Number.<init>"}, []string{"symbol Number.init"}},
	{
		"kotlin-strings",
		[]string{"shape garbage-collected", "data k\x00o\x00t\x00l\x00i\x00n\x00.\x00A\x00"},
		[]string{"data k\x00o\x00t\x00l\x00i\x00n\x00.\x00A\x00"},
	},
	{"dart-imports", []string{"import dart2wasm _1556"}, []string{"import dart _1556"}},
	{"dart-exports", []string{"export $invokeMain", "export $invokeCallback"}, []string{"export $invokeMain"}},
	{"flutter", []string{"import skwasm canvas_drawPath"}, []string{"import env canvas_drawPath"}},
	{
		"java-j2cl",
		[]string{"import imports j2wasm.StringUtils.compareToIgnoreCase"},
		[]string{"import imports compareToIgnoreCase"},
	},
	{"java-teavm", []string{"import teavm currentTimeMillis"}, []string{"import java currentTimeMillis"}},
	{"ocaml", []string{"import env caml_ml_open_descriptor_in"}, []string{"import env ml_open"}},
	{"scheme-hoot", []string{"import rt die", "import rt bignum_from_i32"}, []string{"import rt die"}},
	{"moonbit", []string{"import spectest print_char"}, []string{"import spectest print_i32"}},
	{"moonbit-runtime", []string{"export moonbit.memory"}, []string{"export memory"}},
	{"grain", []string{"export GRAIN$EXPORT$main"}, []string{"export main"}},

	{"swift-symbols", []string{"symbol $s10Foundation4DataV6appendyyACF"}, []string{"symbol $f10"}},
	{"swift-names", []string{"import javascript_kit swjs_set_prop"}, []string{"import env set_prop"}},
	{"zig-symbols", []string{"symbol mem.eql__anon_1234"}, []string{"symbol mem.eql"}},
	{
		"zig-panic-texts",
		[]string{"data attempt to unwrap error: ", "data attempt to use null value"},
		[]string{"data attempt to unwrap error: "},
	},
	{"haskell-ghc", []string{"export hs_init_with_rtsopts"}, []string{"export init_with_rtsopts"}},
	{"haskell-texts", []string{"data ghc-internal-9.1401.0", "data base-4.22.0.0"}, []string{"data ghc-internal-9.1401.0"}},
	{"haskell-symbols", []string{"symbol base_GHCziBase_map_info"}, []string{"symbol base_map"}},
	{"d-symbols", []string{"symbol _D3std5stdio7writelnFZv"}, []string{"symbol _Dmain"}},
	{"nim", []string{"export NimMain"}, []string{"export main"}},
	{"fortran", []string{"export MAIN__"}, []string{"export MAIN"}},
	{"fstar-karamel", []string{"import Karamel mem"}, []string{"import env mem"}},

	{"webcil", []string{"shape webcil payload"}, []string{"data xWbIL"}},
	{
		"dotnet-mono",
		[]string{"export mono_wasm_exec_regression", "data System.Private.CoreLib"},
		[]string{"data System.Private.CoreLib"},
	},
	{
		"dotnet-native",
		[]string{"symbol S_P_CoreLib_System_Array__Copy", "data System.Private.CoreLib"},
		[]string{"data System.Private.CoreLib"},
	},

	{"quickjs", []string{"data ../../vendor/quickjs/quickjs.c"}, []string{"data vendor/engine.c"}},
	{"quickjs-rust", []string{"data rquickjs-core /rquickjs-core-0.11.0/src/safe_ref.rs"}, []string{"data quickjs crate"}},
	{"javy", []string{"import javy_quickjs_provider_v3 invoke"}, []string{"import provider invoke"}},
	{"spidermonkey", []string{"data spidermonkey-wasi-embedding/gecko-dev/js/src/vm/JSContext.cpp"}, []string{"data JSContext"}},
	{"starlingmonkey", []string{"data --StarlingMonkeyFormBoundary{}"}, []string{"data --FormBoundary"}},
	{"componentize-js", []string{"export componentize.wizer"}, []string{"export wizer"}},
	{
		"fastly-js",
		[]string{"data --StarlingMonkeyFormBoundary{}", "import fastly_http_req new"},
		[]string{"import fastly_http_req new"},
	},
	{"cpython", []string{"export PyInit_math"}, []string{"export Init_math"}},
	{"cpython-texts", []string{"data PYTHONHOME", "data libpython3.14.so"}, []string{"data PYTHONHOME"}},
	{"componentize-py", []string{"data libcomponentize_py_runtime.so"}, []string{"data libpython3.14.so"}},
	{"pyodide", []string{"import env hiwire_invalid_ref_js"}, []string{"import env invalid_ref_js"}},
	{"ruby", []string{"export ruby-init: func(args: list<string>) -> ()"}, []string{"export init"}},
	{
		"ruby-banner",
		[]string{"data \x00ruby 3.4.1 (2024-12-25 revision 48d4efcb85) [wasm32-wasi]"},
		[]string{"data support ruby 3.4.1"},
	},
	{"php", []string{"export php_date_get_date_ce"}, []string{"export date_get_date_ce"}},
	{"php-banner", []string{"data X-Powered-By: PHP/8.4.25"}, []string{"data PHP/8.4.25"}},
	{
		"perl",
		[]string{"data This is perl 5, version 42, subversion 0 (%-p) built for wasm32-wasi"},
		[]string{"data This is perl"},
	},
	{"perl-names", []string{"export zeroperl_eval"}, []string{"export eval"}},
	{"lua", []string{"export lua_checkstack"}, []string{"export checkstack"}},
	{
		"lua-banner",
		[]string{"data $LuaVersion: Lua 5.4.6  Copyright (C) 1994-2023 Lua.org, PUC-Rio $"},
		[]string{"data Lua 5.4.6"},
	},
	{"r", []string{"export Rf_initialize_R"}, []string{"export initialize"}},
	{"sqlite", []string{"export sqlite3_open_v2"}, []string{"export open_v2"}},
	{"wasi-vfs", []string{"export wasi_vfs_pack_fs"}, []string{"export pack_fs"}},

	{"component", []string{"shape component"}, []string{"export run"}},
	{"wit-package", []string{"shape component without code"}, []string{"shape component"}},
	{
		"wit-bindgen",
		[]string{"section component-type:wit-bindgen:0.58.0:wasi:cli@0.2.12:imports:encoded world"},
		[]string{"section component"},
	},
	{"component-abi", []string{"export cabi_realloc"}, []string{"export realloc"}},

	{"wasi-p1", []string{"import wasi_snapshot_preview1 fd_write"}, []string{"import wasi fd_write"}},
	{
		"wasi-p2",
		[]string{"component-import wasi:cli/environment@0.2.6"},
		[]string{"component-import wasi:cli/environment@0.3.0"},
	},
	{
		"wasi-p3",
		[]string{"component-import wasi:cli/environment@0.3.0"},
		[]string{"component-import wasi:cli/environment@0.2.6"},
	},
	{
		"wasi-http-server",
		[]string{"component-export wasi:http/incoming-handler@0.2.0"},
		[]string{"component-import wasi:http/incoming-handler@0.2.0"},
	},
	{"wasi-threads", []string{"import wasi thread-spawn"}, []string{"import env thread-spawn"}},
	{"wasix", []string{"import wasix_32v1 proc_fork"}, []string{"import wasix proc_fork"}},
	{"wasmedge", []string{"import wasi_snapshot_preview1 sock_open"}, []string{"import wasi_snapshot_preview1 sock_accept"}},
	{"proxy-wasm", []string{"export proxy_abi_version_0_2_1"}, []string{"export abi_version"}},
	{
		"proxy-wasm-imports",
		[]string{"import env proxy_log", "import env proxy_get_buffer_bytes"},
		[]string{"import env proxy_log"},
	},
	{"wapc", []string{"import wapc __guest_request"}, []string{"import wapc guest_request"}},
	{"kubewarden", []string{"section io.kubewarden.metadata"}, []string{"section metadata"}},
	{"opa", []string{"export opa_wasm_abi_version"}, []string{"export wasm_abi_version"}},
	{"extism", []string{"import extism:host/env input_length"}, []string{"import env input_length"}},
	{"spin", []string{"component-import fermyon:spin/key-value@2.0.0"}, []string{"component-import wasi:keyvalue/store@0.2.0"}},
	{"wasmcloud", []string{"import wasmbus __guest_call"}, []string{"import bus __guest_call"}},
	{"fastly", []string{"import fastly_kv_store open"}, []string{"import kv_store open"}},
	{"shopify", []string{"import shopify_function_v2 input_get"}, []string{"import function_v2 input_get"}},
	{"node-api", []string{"import env napi_create_object"}, []string{"import env create_object"}},
	{"napi-rs", []string{"export __napi_register__Scanner_struct_4"}, []string{"export napi_register_wasm_v1"}},
	{
		"node-api-texts",
		[]string{"data napi_create_object", "data napi_create_error", "data napi_get_cb_info"},
		[]string{"data napi_create_object", "data napi_create_error"},
	},
	{"cosmwasm", []string{"export interface_version_8", "import env db_read"}, []string{"import env db_read"}},
	{"near", []string{"import env promise_create", "import env read_register"}, []string{"import env read_register"}},
	{"substrate", []string{"import seal0 seal_get_storage"}, []string{"import seal seal_get_storage"}},
	{"stylus", []string{"import vm_hooks read_args"}, []string{"import vm read_args"}},
	{"soroban", []string{"section contractspecv0"}, []string{"section contract"}},
	{"internet-computer", []string{"import ic0 msg_reply"}, []string{"import ic msg_reply"}},
	{"the-graph", []string{"import index store.set"}, []string{"import index set"}},
	{"wali", []string{"import wali SYS_openat"}, []string{"import env SYS_openat"}},
	{"component-preview1-adapter", []string{"import __main_module__ cabi_realloc"}, []string{"import main cabi_realloc"}},
	{"no-host", []string{"export run"}, []string{"import env log"}},
	{"command", []string{"export _start"}, []string{"export start"}},
	{"reactor", []string{"export _initialize"}, []string{"export _initialize", "export _start"}},
	{"object-file", []string{"section linking", "section reloc.CODE"}, []string{"section linking"}},
}

func TestEveryRule(t *testing.T) {
	shown := map[string]bool{}
	for _, ex := range examples {
		shown[ex.rule] = true
		t.Run(ex.rule, func(t *testing.T) {
			i, ok := things().rules[ex.rule]
			if !ok {
				t.Fatalf("no rule %q", ex.rule)
			}
			o := detect(t, ex.with...)
			for _, cl := range rules[i].Says {
				if !says(o, cl, ex.rule) {
					t.Errorf("%q: %s %q does not rest on rule %q: %+v", ex.with, cl.Subject(), cl.Name, ex.rule, o)
				}
			}
			if without := detect(t, ex.not...); mentions(without, ex.rule) {
				t.Errorf("%q: rule %q holds, want not: %+v", ex.not, ex.rule, without)
			}
		})
	}
	for _, r := range Rules() {
		if !shown[r.ID] {
			t.Errorf("rule %q has no example", r.ID)
		}
		if r.Why == "" || len(r.Says) == 0 || len(r.All)+len(r.Any) == 0 {
			t.Errorf("rule %q says nothing, asks nothing or has no reason: %+v", r.ID, r)
		}
	}
}

// One thing must not count as two where a rule asks for several.
func TestThingsOfARuleDoNotOverlap(t *testing.T) {
	for _, r := range Rules() {
		for _, a := range r.Any {
			kind, text, _ := strings.Cut(a, " ")
			for _, b := range r.Any {
				other, with, _ := strings.Cut(b, " ")
				if r.Min > 1 && a != b && kind == other && strings.Contains(strings.TrimSuffix(with, "*"), strings.TrimSuffix(text, "*")) {
					t.Errorf("rule %q: whatever shows %q shows %q", r.ID, b, a)
				}
			}
		}
	}
}

// says reports whether a claim is among the findings on the evidence of rule.
func says(o *Origin, cl Claim, rule string) bool {
	list := map[string][]Finding{"language": o.Languages, "toolchain": o.Toolchains, "host": o.Hosts}[cl.Subject()]
	return slices.ContainsFunc(list, func(f Finding) bool {
		return f.Name == cl.Name && f.Confidence >= cl.Weight && rests(f.Evidence, rule)
	})
}

func mentions(o *Origin, rule string) bool {
	for _, f := range slices.Concat(o.Languages, o.Toolchains, o.Hosts) {
		if rests(f.Evidence, rule) {
			return true
		}
	}
	return false
}

func rests(evidence []Evidence, rule string) bool {
	return slices.ContainsFunc(evidence, func(e Evidence) bool { return e.Rule == rule })
}
