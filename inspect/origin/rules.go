package origin

// rules are what is known about the traces of toolchains, runtimes and hosts.
// Weights are judgements: 0.95 for what nothing else makes, 0.8 for what others
// could make but don't, 0.5 and less for hints that need company.
var rules = []Rule{
	// Rust.
	{
		ID: "rust-library-path", All: []string{"data /rustc/"}, Version: true,
		Says: []Claim{lang("Rust", 0.9), tool(RoleCompiler, "rustc", 0.9)},
		Why: "Messages of panics name the source file, and the paths of the standard library begin with /rustc/ " +
			"and the commit of the compiler.",
	},
	{
		ID:   "rust-crate-path",
		Any:  []string{"data /registry/src/index.crates.io-", "data /registry/src/github.com-", "data .cargo/registry/src/"},
		Says: []Claim{lang("Rust", 0.9), tool(RoleCompiler, "rustc", 0.8)},
		Why:  "Messages of panics in crates name files in the folder where Cargo unpacks them.",
	},
	{
		ID:   "rust-symbols",
		Any:  []string{"scheme rust-v0", "scheme rust-legacy"},
		Says: []Claim{lang("Rust", 0.95), tool(RoleCompiler, "rustc", 0.9)},
		Why:  "Both manglings of Rust are its own.",
	},
	{
		ID: "rust-panic-texts", Min: 2,
		Any: []string{
			"data called `Option::unwrap()` on a `None` value", "data called `Result::unwrap()` on an `Err` value",
			"data index out of bounds: the len is ", "data already borrowed: BorrowMutError", "data capacity overflow",
			"data explicit panic", "data internal error: entered unreachable code",
		},
		Says: []Claim{lang("Rust", 0.8), tool(RoleCompiler, "rustc", 0.7)},
		Why:  "The texts of the standard library's panics stay when paths are trimmed.",
	},
	{
		ID:  "dwarf-rustc",
		All: []string{"data rustc version "}, Version: true,
		Says: []Claim{lang("Rust", 0.7), tool(RoleCompiler, "rustc", 0.9)},
		Why:  "Debugging information names the compiler of each unit.",
	},
	{
		ID:   "wasm-bindgen-imports",
		Any:  []string{"import __wbindgen_placeholder__ *", "import wbg *", "import * __wbg_*", "import * __wbindgen_*"},
		Says: []Claim{lang("Rust", 0.85), tool(RoleBindings, "wasm-bindgen", 0.95), abi("wasm-bindgen", 0.9)},
		Why:  "wasm-bindgen gives the functions that its JavaScript provides names with these prefixes.",
	},
	{
		ID:   "wasm-bindgen-exports",
		Any:  []string{"export __wbindgen_*", "export __wbg_*_free", "section __wasm_bindgen_unstable"},
		Says: []Claim{lang("Rust", 0.8), tool(RoleBindings, "wasm-bindgen", 0.9), abi("wasm-bindgen", 0.8)},
		Why:  "wasm-bindgen's JavaScript allocates and frees through these exports; the section is its input.",
	},

	// Go.
	{
		ID:   "go-js",
		All:  []string{"export run", "export resume", "export getsp"},
		Says: []Claim{lang("Go", 0.95), tool(RoleCompiler, "Go cmd/compile", 0.95), abi("gojs", 0.9)},
		Why:  "The JavaScript that comes with Go (wasm_exec.js) calls these three exports.",
	},
	{
		ID:   "go-build-id",
		Any:  []string{"section go:buildid", "section go.buildid"},
		Says: []Claim{lang("Go", 0.95), tool(RoleCompiler, "Go cmd/compile", 0.95)},
		Why:  "Go's linker writes its build id into a section of this name.",
	},
	{
		ID: "go-module-info", All: []string{"data 0w\xaf\x0c\x92t\x08\x02A\xe1\xc1\x07\xe6\xd6\x18\xe6"},
		Says: []Claim{lang("Go", 0.95), tool(RoleCompiler, "Go cmd/compile", 0.9)},
		Why:  "Go's linker puts these sixteen bytes before the list of modules in the binary.",
	},
	{
		ID: "go-imports", Any: []string{"import gojs *", "import go runtime.*", "import go syscall/js.*"},
		Says: []Claim{lang("Go", 0.85), abi("gojs", 0.9)},
		Why:  "Go and TinyGo import what wasm_exec.js provides from these modules, \"go\" before Go 1.21.",
	},
	{
		ID: "go-symbols", All: []string{"scheme go"},
		Says: []Claim{lang("Go", 0.8), tool(RoleCompiler, "Go cmd/compile", 0.8)},
		Why:  "Go's linker turns the slashes and brackets of its names into underscores.",
	},
	{
		ID: "go-runtime-texts", Min: 2,
		Any: []string{
			"data runtime: goroutine stack exceeds ", "data all goroutines are asleep - deadlock!",
			"data invalid memory address or nil pointer dereference",
			"data runtime: bad pointer in frame ",
		},
		None: []string{"export asyncify_start_unwind", "symbol tinygo_*", "export tinygo_*"},
		Says: []Claim{lang("Go", 0.7)},
		Why:  "The texts of the runtime's errors are in every program of Go.",
	},
	{
		ID: "tinygo-names", Any: []string{"symbol tinygo_*", "export tinygo_*", "import env tinygo_*", "symbol runtime.initAll"},
		Says: []Claim{lang("Go", 0.9), tool(RoleCompiler, "TinyGo", 0.95)},
		Why:  "TinyGo's runtime prefixes what is linked from C and assembly.",
	},
	{
		ID: "tinygo-symbols", All: []string{"scheme tinygo"},
		Says: []Claim{lang("Go", 0.8), tool(RoleCompiler, "TinyGo", 0.85)},
		Why:  "TinyGo keeps slashes and receivers in its names, \"(*sync.Mutex).Lock\".",
	},
	{
		ID: "tinygo-scheduler", All: []string{"export go_scheduler"},
		Says: []Claim{lang("Go", 0.8), tool(RoleCompiler, "TinyGo", 0.85)},
		Why:  "TinyGo's JavaScript calls the scheduler by this export.",
	},

	// C and C++.
	{
		ID: "cxx-type-info", Any: []string{"data N10__cxxabiv1", "data St9bad_alloc", "data St9exception", "data NSt3__2"},
		Says: []Claim{lang("C++", 0.8), tool(RoleCompiler, "clang", 0.5)},
		Why:  "Names of types for exceptions and dynamic casts, in the Itanium mangling, are data.",
	},
	{
		ID: "cxx-symbols", Any: []string{"scheme c++", "export _ZN*", "export _ZTV*", "import env _ZN*", "export orig$_ZN*"},
		Says: []Claim{lang("C++", 0.8), tool(RoleCompiler, "clang", 0.5)},
		Why:  "Names in the Itanium mangling, or demangled to C++, are functions of C++.",
	},
	{
		ID: "cxx-exceptions", Any: []string{"import env __cxa_throw", "import env __cxa_begin_catch", "export __cxa_throw"},
		Says: []Claim{lang("C++", 0.7)},
		Why:  "These functions throw and catch exceptions of C++.",
	},
	{
		ID:   "c-main",
		Any:  []string{"export __main_argc_argv", "symbol __main_argc_argv", "symbol __original_main", "export __original_main"},
		Says: []Claim{lang("C", 0.4), tool(RoleCompiler, "clang", 0.5)},
		Why:  "clang gives main one of these names, by its parameters.",
	},
	{
		ID: "wasm-ld", Any: []string{"export __wasm_call_ctors", "symbol __wasm_call_ctors", "export __wasm_apply_data_relocs"},
		Says: []Claim{tool(RoleLinker, "LLD", 0.8)},
		Why:  "LLVM's linker makes these functions.",
	},
	{
		ID:   "padded-calls",
		All:  []string{"shape padded call indices"},
		None: []string{"section go:buildid", "section go.buildid", "export getsp"},
		Says: []Claim{tool(RoleLinker, "LLD", 0.6)},
		Why:  "LLVM's linker leaves relocated indices at their full five bytes; tools that rewrite modules write them short.",
	},
	{
		ID: "dwarf-clang", All: []string{"data clang version "}, Version: true,
		Says: []Claim{lang("C", 0.4), tool(RoleCompiler, "clang", 0.9)},
		Why:  "Debugging information names the compiler of each unit.",
	},
	{
		ID: "wasi-libc", Any: []string{"symbol __wasilibc_*", "export __wasilibc_*", "symbol __wasi_*"},
		Says: []Claim{tool(RoleRuntime, "wasi-libc", 0.8)},
		Why:  "The C library for WASI prefixes its own functions.",
	},

	// Emscripten.
	{
		ID:  "emscripten-minified",
		All: []string{"shape minified imports"},
		Says: []Claim{
			tool(RoleSDK, "Emscripten", 0.85), tool(RoleOptimiser, "Binaryen", 0.8), abi("Emscripten", 0.85), lang("C", 0.4),
		},
		Why: "Emscripten has Binaryen shorten names of imports and exports and agrees with its JavaScript on them.",
	},
	{
		ID: "emscripten-imports",
		Any: []string{
			"import env emscripten_*", "import env _emscripten_*", "import env __syscall_*", "import env _embind_*",
			"import env _emval_*",
		},
		Says: []Claim{tool(RoleSDK, "Emscripten", 0.9), abi("Emscripten", 0.9), lang("C", 0.4)},
		Why:  "Emscripten's JavaScript provides these functions of its library.",
	},
	{
		ID:   "emscripten-invoke",
		Any:  []string{"import env invoke_v*", "import env invoke_i*", "import env invoke_j*"},
		Says: []Claim{tool(RoleSDK, "Emscripten", 0.9), abi("Emscripten", 0.85), lang("C", 0.3)},
		Why:  "Emscripten catches exceptions and long jumps by calling through JavaScript, by the signature.",
	},
	{
		ID: "emscripten-exports",
		Any: []string{
			"export _emscripten_*", "export emscripten_stack_get_*", "export stackAlloc", "export dynCall_*", "section emscripten_metadata",
		},
		Says: []Claim{tool(RoleSDK, "Emscripten", 0.85), abi("Emscripten", 0.8), lang("C", 0.3)},
		Why:  "Emscripten's JavaScript keeps the stack and calls function pointers through these exports.",
	},
	{
		ID: "emscripten-path", Any: []string{"data /emsdk/", "data /emscripten/system/lib/"},
		Says: []Claim{tool(RoleSDK, "Emscripten", 0.8), lang("C", 0.3)},
		Why:  "Messages of assertions name files of Emscripten's library.",
	},
	{
		ID:   "dynamic-linking",
		Any:  []string{"section dylink.0", "section dylink", "import GOT.mem *", "import GOT.func *"},
		Says: []Claim{formOf("dynamic linking", 0.9), lang("C", 0.3), tool(RoleLinker, "LLD", 0.6)},
		Why:  "The tool conventions for dynamic linking: a section of needs, and imports of the global offset table.",
	},
	{
		ID:   "emscripten-side-module",
		All:  []string{"import env __memory_base"},
		Any:  []string{"import env __table_base", "import GOT.mem *"},
		None: []string{"shape nested"},
		Says: []Claim{tool(RoleSDK, "Emscripten", 0.7), abi("Emscripten", 0.7), lang("C", 0.4)},
		Why:  "A library is placed by a loader, which outside of components is Emscripten's in practice.",
	},

	// Binaryen.
	{
		ID: "binaryen-names",
		Any: []string{
			"symbol byn$*", "export byn$*", "symbol legalstub$*", "export legalstub$*", "symbol legalfunc$*", "export orig$*",
			"section binaryen.*",
		},
		Says: []Claim{tool(RoleOptimiser, "Binaryen", 0.9)},
		Why:  "Passes of Binaryen name the functions that they make; its annotations are sections.",
	},
	{
		ID: "binaryen-asyncify", All: []string{"export asyncify_start_unwind", "export asyncify_stop_unwind"},
		Says: []Claim{tool(RoleOptimiser, "Binaryen", 0.9)},
		Why:  "Its pass that makes code suspendable exports these.",
	},
	{
		ID: "wizer", Any: []string{"export wizer.initialize", "export wizer-initialize", "export wizer.resume"},
		Says: []Claim{tool(RoleOptimiser, "Wizer", 0.8)},
		Why:  "Wizer runs these exports and keeps the state that they leave.",
	},

	// AssemblyScript.
	{
		ID: "assemblyscript-runtime", Min: 2,
		Any: []string{
			"export __pin", "export __unpin", "export __rtti_base", "export __retain", "export __release", "export __collect",
		},
		Says: []Claim{lang("AssemblyScript", 0.95), tool(RoleCompiler, "AssemblyScript", 0.95)},
		Why:  "The runtime exports its memory management to JavaScript, with reference counts in old releases.",
	},
	{
		ID:   "assemblyscript-loader",
		All:  []string{"import env abort"},
		Any:  []string{"export __rtti_base", "export __pin", "export __retain"},
		Says: []Claim{abi("AssemblyScript", 0.85)},
		Why:  "AssemblyScript's JavaScript reports aborts and manages memory by these.",
	},
	{
		ID: "assemblyscript-symbols", All: []string{"scheme assemblyscript"},
		Says: []Claim{lang("AssemblyScript", 0.9), tool(RoleCompiler, "AssemblyScript", 0.9)},
		Why:  "Internal names are paths of source files.",
	},
	{
		ID: "assemblyscript-files", Any: []string{"data ~\x00l\x00i\x00b\x00/\x00"},
		Says: []Claim{lang("AssemblyScript", 0.9), tool(RoleCompiler, "AssemblyScript", 0.9)},
		Why:  "Messages of aborts name files of the library, as strings of UTF-16.",
	},
	{
		ID: "assemblyscript-abort", All: []string{"import env abort", "data \x00.\x00t\x00s\x00\x00"},
		None: []string{"export __wasm_call_ctors", "import env invoke_*"},
		Says: []Claim{lang("AssemblyScript", 0.8), tool(RoleCompiler, "AssemblyScript", 0.8), abi("AssemblyScript", 0.7)},
		Why:  "An abort passes the name of a .ts file, as a string of UTF-16.",
	},

	// Languages with garbage-collected types.
	{
		ID: "kotlin-imports", Any: []string{"import js_code kotlin.*", "import ./*.uninstantiated.mjs *", "import js_code *"},
		Says: []Claim{lang("Kotlin", 0.95), tool(RoleCompiler, "Kotlin", 0.95), abi("Kotlin JS glue", 0.9)},
		Why:  "Kotlin imports snippets of JavaScript by the names of functions.",
	},
	{
		ID: "kotlin-symbols", All: []string{"scheme kotlin"},
		Says: []Claim{lang("Kotlin", 0.9), tool(RoleCompiler, "Kotlin", 0.9)},
		Why:  "Names begin with the package, constructors are <init>.",
	},
	{
		ID: "kotlin-strings", All: []string{"shape garbage-collected", "data k\x00o\x00t\x00l\x00i\x00n\x00.\x00"},
		Says: []Claim{lang("Kotlin", 0.85), tool(RoleCompiler, "Kotlin", 0.85)},
		Why:  "Names of classes of the library are strings of UTF-16.",
	},
	{
		ID: "dart-imports", Any: []string{"import dart2wasm *"},
		Says: []Claim{lang("Dart", 0.95), tool(RoleCompiler, "dart2wasm", 0.95), abi("Dart JS glue", 0.9)},
		Why:  "dart2wasm imports its JavaScript from a module of its name.",
	},
	{
		ID:   "dart-exports",
		All:  []string{"export $invokeMain"},
		Any:  []string{"export $invokeCallback", "export $wasmI8ArrayGet", "export $listLength"},
		Says: []Claim{lang("Dart", 0.9), tool(RoleCompiler, "dart2wasm", 0.9)},
		Why:  "dart2wasm's JavaScript starts the program and reads arrays through these.",
	},
	{
		ID: "flutter", Any: []string{"import skwasm *", "import skwasmWrapper *"},
		Says: []Claim{tool(RoleSDK, "Flutter", 0.9)},
		Why:  "Flutter's programs draw by importing its build of Skia.",
	},
	{
		ID: "java-j2cl", Any: []string{"import imports j2wasm.*", "symbol *java.lang.Object*", "import * j2wasm.*"},
		Says: []Claim{lang("Java", 0.85), tool(RoleCompiler, "J2CL", 0.8)},
		Why:  "J2CL prefixes the JavaScript that its library imports.",
	},
	{
		ID: "java-teavm", Any: []string{"import teavm *", "import teavmMath *", "import teavmHeapTrace *", "import teavmJso *"},
		Says: []Claim{lang("Java", 0.95), tool(RoleCompiler, "TeaVM", 0.95), abi("TeaVM", 0.9)},
		Why:  "TeaVM imports its JavaScript from modules of its name.",
	},
	{
		ID: "ocaml", Any: []string{"import OCaml *", "symbol caml_*", "export caml_*", "import env caml_*"},
		Says: []Claim{lang("OCaml", 0.85), tool(RoleCompiler, "wasm_of_ocaml", 0.5)},
		Why:  "The functions of OCaml's runtime begin with caml_.",
	},
	{
		ID: "scheme-hoot", Any: []string{"import rt die", "export $load", "import rt bignum_*"}, Min: 2,
		Says: []Claim{lang("Scheme", 0.85), tool(RoleCompiler, "Guile Hoot", 0.85)},
		Why:  "Hoot imports big numbers and errors from the module of its reflection library.",
	},
	{
		ID: "moonbit",
		Any: []string{
			"scheme moonbit", "import moonbit:ffi *", "import spectest print_char", "symbol $moonbitlang/*", "symbol moonbit.*",
		},
		None: []string{"export memory"},
		Says: []Claim{lang("MoonBit", 0.8), tool(RoleCompiler, "MoonBit", 0.8)},
		Why:  "MoonBit prefixes its runtime and its imports, and keeps the names of its packages.",
	},
	{
		ID:   "moonbit-runtime",
		Any:  []string{"symbol moonbit.*", "import moonbit:ffi *", "export moonbit.memory", "import __moonbit_* *"},
		Says: []Claim{lang("MoonBit", 0.9), tool(RoleCompiler, "MoonBit", 0.9)},
		Why:  "MoonBit prefixes its runtime and its imports.",
	},
	{
		ID:   "grain",
		Any:  []string{"section cmi", "import grainRuntime *", "export GRAIN$*", "import GRAIN$MODULE$* *", "scheme grain"},
		Says: []Claim{lang("Grain", 0.95), tool(RoleCompiler, "Grain", 0.95)},
		Why:  "Grain prefixes the modules and values that it links.",
	},

	// Other compiled languages.
	{
		ID: "swift-symbols", All: []string{"scheme swift"},
		Says: []Claim{lang("Swift", 0.95), tool(RoleCompiler, "Swift", 0.9)},
		Why:  "Names in Swift's mangling begin with $s.",
	},
	{
		ID: "swift-names",
		Any: []string{
			"export swjs_*", "import javascript_kit *", "symbol swift_retain", "export swift_*",
			"data Swift/ContiguousArrayBuffer.swift",
		},
		Says: []Claim{lang("Swift", 0.95), tool(RoleCompiler, "Swift", 0.9)},
		Why:  "Swift's runtime, and JavaScriptKit, which connects it to JavaScript, prefix their functions.",
	},
	{
		ID: "zig-symbols", All: []string{"scheme zig"},
		Says: []Claim{lang("Zig", 0.9), tool(RoleCompiler, "Zig", 0.9)},
		Why:  "Instances of generic functions and unnamed types end in __anon_, __struct_ or __func_ and a number.",
	},
	{
		ID: "zig-panic-texts", Min: 2,
		Any: []string{
			"data attempt to unwrap error: ", "data attempt to use null value", "data reached unreachable code",
			"data incorrect alignment", "data switch on corrupt value", "data sentinel mismatch: expected ",
			"data is larger than end index ", "data integer does not fit in destination type", "data @memcpy arguments alias",
		},
		None: []string{"data /rustc/"},
		Says: []Claim{lang("Zig", 0.85), tool(RoleCompiler, "Zig", 0.85)},
		Why:  "The texts of Zig's safety checks are in programs built with them.",
	},
	{
		ID: "haskell-ghc",
		Any: []string{
			"export hs_init*", "export rts_*", "symbol hs_init_*", "symbol stg_ap_*", "export hs_free_fun_ptr",
			"export hs_main",
		},
		Says: []Claim{lang("Haskell", 0.95), tool(RoleCompiler, "GHC", 0.95)},
		Why:  "The interface of GHC's runtime to C begins with hs_ and rts_.",
	},
	{
		ID: "haskell-texts", Min: 2,
		Any: []string{
			"data Glasgow Haskell", "data GHC.Exception", "data ghc-internal-", "data Ignoring GHCRTS variable",
			"data base-4.",
		},
		Says: []Claim{lang("Haskell", 0.8), tool(RoleCompiler, "GHC", 0.8)},
		Why:  "The runtime's messages, and names of packages with their versions, are data.",
	},
	{
		ID: "haskell-symbols", All: []string{"scheme haskell"},
		Says: []Claim{lang("Haskell", 0.9), tool(RoleCompiler, "GHC", 0.9)},
		Why:  "GHC's names are z-encoded: package, module and definition.",
	},
	{
		ID: "d-symbols", All: []string{"scheme d"},
		Says: []Claim{lang("D", 0.8), tool(RoleCompiler, "LDC", 0.5)},
		Why:  "Names in D's mangling begin with _D and lengths.",
	},
	{
		ID: "nim", Any: []string{"export NimMain", "symbol NimMain", "symbol NimMainModule", "symbol nimGC_*"},
		Says: []Claim{lang("Nim", 0.9), tool(RoleCompiler, "Nim", 0.9)},
		Why:  "Nim compiles through C, and calls its start NimMain.",
	},
	{
		ID:   "fortran",
		Any:  []string{"symbol _Fortran*", "export _Fortran*", "export MAIN__", "symbol _lfortran_*", "export _QQmain"},
		Says: []Claim{lang("Fortran", 0.7)},
		Why:  "The runtimes of Fortran, and its main program, have these names.",
	},
	{
		ID: "fstar-karamel", Any: []string{"import Karamel *", "import Kremlin *", "import WasmSupport *", "export WasmSupport_*"},
		Says: []Claim{lang("F*", 0.9), tool(RoleCompiler, "KaRaMeL", 0.9)},
		Why:  "KaRaMeL links its modules through a module of memory helpers.",
	},

	// .NET.
	{
		ID: "webcil", All: []string{"shape webcil payload"},
		Says: []Claim{lang("C#", 0.8), tool(RoleSDK, ".NET webcil", 0.95), abi(".NET JS glue", 0.9)},
		Why:  "An assembly of .NET in its wrapper for browsers; its language is C# in practice.",
	},
	{
		ID: "dotnet-mono", Min: 2,
		Any: []string{
			"export mono_wasm_*", "import env mono_*", "symbol mono_*", "data System.Private.CoreLib",
		},
		Says: []Claim{lang("C#", 0.5), tool(RoleRuntime, ".NET Mono", 0.9)},
		Why:  "Mono's functions for browsers have this prefix.",
	},
	{
		ID: "dotnet-native", Min: 2,
		Any: []string{
			"symbol S_P_CoreLib_*", "symbol RhpNew*", "symbol RhNew*", "data System.Private.CoreLib", "export RhpReversePInvoke*",
			"symbol __managed__Main", "data M:System.Runtime",
		},
		None: []string{"symbol mono_*", "export mono_wasm_*"},
		Says: []Claim{lang("C#", 0.85), tool(RoleCompiler, ".NET NativeAOT-LLVM", 0.85)},
		Why:  "The runtime library of NativeAOT and its mangling.",
	},

	// Interpreters and engines.
	{
		ID: "quickjs",
		Any: []string{
			"data quickjs.c", "data libregexp.c", "symbol JS_NewRuntime", "export JS_*", "data quickjs/",
			"symbol JS_NewContext",
		},
		Says: []Claim{tool(RoleRuntime, "QuickJS", 0.85), guest("JavaScript", 0.8), lang("C", 0.4)},
		Why:  "Messages of assertions name the files of the engine, and its interface has one prefix.",
	},
	{
		ID: "quickjs-rust", Any: []string{"data /rquickjs-", "data /quickjs-wasm-"},
		Says: []Claim{tool(RoleRuntime, "QuickJS", 0.85), guest("JavaScript", 0.8)},
		Why:  "The crates that wrap the engine are named in messages of panics.",
	},
	{
		ID: "javy",
		Any: []string{
			"import javy_quickjs_provider* *", "section javy_source", "export compile_src", "export compile-src",
			"export javy.*", "section javy-*", "section import_namespace",
		},
		Says: []Claim{tool(RolePackager, "Javy", 0.9), guest("JavaScript", 0.85)},
		Why: "A plug-in of Javy compiles source through this export and says under which module it is imported; " +
			"what Javy makes imports it.",
	},
	{
		ID: "spidermonkey", Min: 1,
		Any: []string{
			"data spidermonkey-wasi-embedding", "data StarlingMonkey", "data self-hosted code may not contain",
			"data /js/src/vm/", "data gecko-dev/js/src",
		},
		Says: []Claim{tool(RoleRuntime, "SpiderMonkey", 0.9), guest("JavaScript", 0.85), mainLang("C++", 0.5)},
		Why:  "Texts and source paths of the engine.",
	},
	{
		ID: "starlingmonkey", Any: []string{"data StarlingMonkey", "data starling-raw.wasm", "data starlingmonkey"},
		Says: []Claim{tool(RoleRuntime, "StarlingMonkey", 0.9)},
		Why:  "The runtime names itself in forms and in its build.",
	},
	{
		ID: "componentize-js", Any: []string{"export componentize.wizer", "export coreabi_sample_i32", "export coreabi_get_import"},
		Says: []Claim{tool(RolePackager, "ComponentizeJS", 0.9), guest("JavaScript", 0.8)},
		Why:  "ComponentizeJS calls these when it makes a component of JavaScript.",
	},
	{
		ID: "fastly-js", All: []string{"data StarlingMonkey", "import fastly_http_req *"},
		Says: []Claim{tool(RoleSDK, "Fastly js-compute", 0.8)},
		Why:  "Fastly's SDK for JavaScript is StarlingMonkey with its host calls.",
	},
	{
		ID: "cpython",
		Any: []string{
			"export PyInit_*", "symbol PyInit_*", "export Py_Initialize*", "symbol Py_InitializeFromConfig", "symbol _PyEval_*",
			"export PyObject_*",
		},
		Says: []Claim{tool(RoleRuntime, "CPython", 0.9), guest("Python", 0.85), mainLang("C", 0.5)},
		Why:  "Functions of the interpreter's C interface.",
	},
	{
		ID: "cpython-texts", Any: []string{"data PYTHONHOME", "data Py_RunMain", "data _PyRuntime", "data libpython3."}, Min: 2,
		Says: []Claim{tool(RoleRuntime, "CPython", 0.7), guest("Python", 0.7)},
		Why:  "Texts of the interpreter.",
	},
	{
		ID: "componentize-py",
		Any: []string{
			"data libcomponentize_py_runtime.so", "export componentize-py*", "symbol *componentize_py*",
			"import env componentize-py*", "data componentize_py_runtime", "export componentize_py*",
		},
		Says: []Claim{tool(RolePackager, "componentize-py", 0.95), guest("Python", 0.9)},
		Why:  "componentize-py links a library of its own beside the interpreter.",
	},
	{
		ID:   "pyodide",
		Any:  []string{"import env hiwire_*", "import env pyodide_*", "export pyodide_*", "import env set_pyodide_module"},
		Says: []Claim{tool(RoleSDK, "Pyodide", 0.9), guest("Python", 0.85)},
		Why:  "Pyodide's bridge between JavaScript and Python has these names.",
	},
	{
		ID: "ruby",
		Any: []string{
			"export ruby-*", "export ruby_*", "export rb_*", "import rb-js-abi-host *", "symbol rb_funcallv",
			"data RUBY_ABI_VERSION",
		},
		Says: []Claim{tool(RoleRuntime, "CRuby", 0.9), guest("Ruby", 0.85), mainLang("C", 0.5)},
		Why:  "Functions of the interpreter's C interface, and of its bridge to JavaScript.",
	},
	{
		ID: "ruby-banner", All: []string{"data \x00ruby 3."}, Version: true,
		Says: []Claim{tool(RoleRuntime, "CRuby", 0.85), guest("Ruby", 0.8)},
		Why:  "What the interpreter prints as its version.",
	},
	{
		ID: "php", Any: []string{"export php_*", "symbol php_request_startup", "export zend_*", "symbol zend_execute_scripts"},
		Says: []Claim{tool(RoleRuntime, "PHP", 0.9), guest("PHP", 0.85), mainLang("C", 0.5)},
		Why:  "Functions of the interpreter and of its engine.",
	},
	{
		ID: "php-banner", All: []string{"data X-Powered-By: PHP/"}, Version: true,
		Says: []Claim{tool(RoleRuntime, "PHP", 0.85), guest("PHP", 0.8)},
		Why:  "The header that the interpreter sends.",
	},
	{
		ID: "perl", All: []string{"data This is perl 5, version "}, Version: true,
		Says: []Claim{tool(RoleRuntime, "Perl", 0.9), guest("Perl", 0.9), mainLang("C", 0.5)},
		Why:  "What the interpreter prints as its version.",
	},
	{
		ID: "perl-names", Any: []string{"export perl_run", "symbol Perl_croak", "export Perl_*", "export zeroperl_*"},
		Says: []Claim{tool(RoleRuntime, "Perl", 0.85), guest("Perl", 0.85)},
		Why:  "Functions of the interpreter's C interface.",
	},
	{
		ID: "lua", Any: []string{"export lua_*", "symbol lua_newstate", "symbol luaL_newstate", "export luaL_*"},
		Says: []Claim{tool(RoleRuntime, "Lua", 0.9), guest("Lua", 0.85), mainLang("C", 0.5)},
		Why:  "Functions of the interpreter's C interface.",
	},
	{
		ID: "lua-banner", All: []string{"data $LuaVersion: Lua "}, Version: true,
		Says: []Claim{tool(RoleRuntime, "Lua", 0.95), guest("Lua", 0.9), mainLang("C", 0.5)},
		Why:  "The identification string that the library carries.",
	},
	{
		ID: "r", Any: []string{"export Rf_initialize_R", "export Rf_*", "symbol Rf_eval"},
		Says: []Claim{tool(RoleRuntime, "R", 0.9), guest("R", 0.85), mainLang("C", 0.5)},
		Why:  "Functions of the interpreter's C interface begin with Rf_.",
	},
	{
		ID: "sqlite", Any: []string{"export sqlite3_*", "symbol sqlite3_open", "data SQLite format 3"},
		Says: []Claim{tool(RoleRuntime, "SQLite", 0.8), lang("C", 0.5)},
		Why:  "Functions of the library, and the first bytes of its files.",
	},
	{
		ID: "wasi-vfs", Any: []string{"export __wasi_vfs_rt_init", "export wasi_vfs_pack_fs"},
		Says: []Claim{tool(RolePackager, "wasi-vfs", 0.9)},
		Why:  "wasi-vfs packs files into a module by these exports.",
	},

	// Components.
	{
		ID: "wit-package", All: []string{"shape component without code"},
		Says: []Claim{formOf("WIT package", 0.9)},
		Why:  "A component that only exports types is a package of WIT.",
	},
	{
		ID: "component", All: []string{"shape component"},
		Says: []Claim{abi("component model", 0.95)},
		Why:  "Only hosts that know the component model run components.",
	},
	{
		ID: "wit-bindgen",
		Any: []string{
			"section component-type*", "export cabi_post_*", "export cabi_realloc_wit_bindgen_*",
			"export __component_type_object_force_link_*",
		},
		Says: []Claim{tool(RoleBindings, "wit-bindgen", 0.7)},
		Why:  "Bindings for components describe their world in a section and export clean-up functions.",
	},
	{
		ID: "component-abi", Any: []string{"export cabi_realloc", "export cabi_post_*"},
		Says: []Claim{abi("component model", 0.6)},
		Why:  "The canonical ABI of components allocates through this export; its first users were not components yet.",
	},

	// Hosts.
	{
		ID: "wasi-p1", Any: []string{"import wasi_snapshot_preview1 *", "import wasi_unstable *"},
		Says: []Claim{abi("WASI preview 1", 0.95)},
		Why:  "The name of the module of WASI preview 1 and its snapshot before.",
	},
	{
		ID: "wasi-p2", Any: []string{"import wasi:*@0.2.* *", "export wasi:*@0.2.*"},
		Says: []Claim{abi("WASI preview 2", 0.95)},
		Why:  "Interfaces of WASI carry their version.",
	},
	{
		ID: "wasi-p3", Any: []string{"import wasi:*@0.3.* *", "export wasi:*@0.3.*", "export *wasi:*@0.3.*"},
		Says: []Claim{abi("WASI preview 3", 0.95)},
		Why:  "Interfaces of WASI carry their version.",
	},
	{
		ID:   "wasi-http-server",
		Any:  []string{"export wasi:http/incoming-handler@*", "export wasi:http/handler@*", "export *wasi:http/handler@*"},
		Says: []Claim{formOf("WASI HTTP handler", 0.95)},
		Why:  "The interface that an HTTP server calls.",
	},
	{
		ID: "wasi-threads", All: []string{"import wasi thread-spawn"},
		Says: []Claim{abi("WASI threads", 0.95)},
		Why:  "The import by which wasi-threads starts a thread.",
	},
	{
		ID: "wasix", Any: []string{"import wasix_32v1 *", "import wasix_64v1 *"},
		Says: []Claim{abi("WASIX", 0.95)},
		Why:  "The modules of WASIX.",
	},
	{
		ID: "wasmedge",
		Any: []string{
			"import wasi_snapshot_preview1 sock_open", "import wasi_snapshot_preview1 sock_getaddrinfo", "import wasmedge_* *",
			"import wasi_ephemeral_* *", "import wasmedge* *",
		},
		Says: []Claim{abi("WasmEdge", 0.7)},
		Why:  "Sockets that preview 1 does not have, and modules of plug-ins, are WasmEdge's.",
	},
	{
		ID: "proxy-wasm", Any: []string{"export proxy_abi_version_*"},
		Says: []Claim{abi("Proxy-Wasm", 0.95)},
		Why:  "A filter exports the version of the ABI as a function, for Envoy, Istio and others.",
	},
	{
		ID: "proxy-wasm-imports", Min: 2,
		Any: []string{
			"import env proxy_log", "import env proxy_get_buffer_bytes", "import env proxy_set_effective_context",
			"import env proxy_get_header_map_value",
		},
		Says: []Claim{abi("Proxy-Wasm", 0.9)},
		Why:  "Calls of the ABI's host.",
	},
	{
		ID: "wapc", Any: []string{"import wapc __*", "export __guest_call"},
		Says: []Claim{abi("waPC", 0.95)},
		Why:  "The module and export of waPC.",
	},
	{
		ID: "kubewarden", Any: []string{"section io.kubewarden.metadata", "section kubewarden*"},
		Says: []Claim{abi("Kubewarden", 0.95)},
		Why:  "Policies carry their metadata in a section.",
	},
	{
		ID: "opa", Any: []string{"export opa_wasm_abi_version", "export opa_eval_ctx_new", "import env opa_*"},
		Says: []Claim{abi("Open Policy Agent", 0.95), lang("Rego", 0.7), tool(RoleCompiler, "OPA", 0.8)},
		Why:  "Policies compiled by OPA export their evaluation and the version of their ABI.",
	},
	{
		ID: "extism", Any: []string{"import extism:host/* *", "import extism:host/env *", "import env extism_*"},
		Says: []Claim{abi("Extism", 0.95)},
		Why:  "The modules of Extism's kernel; the prefix in env is its first version.",
	},
	{
		ID: "spin",
		Any: []string{
			"import fermyon:spin/* *", "export fermyon:spin/*", "export spin-*", "import spin-* *",
			"export handle-http-request", "import *http-trigger* *",
		},
		Says: []Claim{abi("Spin", 0.9)},
		Why:  "Spin's interfaces, and the names of its first SDK.",
	},
	{
		ID:   "wasmcloud",
		Any:  []string{"import wasmcloud:* *", "import wasmbus *", "export __wasmbus_rpc_version", "import wrpc:* *"},
		Says: []Claim{abi("wasmCloud", 0.9)},
		Why:  "wasmCloud's interfaces, and the names of its actors before components.",
	},
	{
		ID: "fastly", Any: []string{"import fastly_* *", "import fastly:* *"},
		Says: []Claim{abi("Fastly Compute", 0.95)},
		Why:  "Host calls of Fastly Compute begin with its name.",
	},
	{
		ID: "shopify", Any: []string{"import shopify_function_v* *", "import shopify_function* *"},
		Says: []Claim{abi("Shopify Functions", 0.95)},
		Why:  "The module of Shopify's function API.",
	},
	{
		ID: "node-api",
		Any: []string{
			"import env napi_*", "import napi *", "export napi_register_wasm_v1", "export napi_register_module_v1",
			"import emnapi *",
		},
		Says: []Claim{abi("Node-API (emnapi)", 0.95)},
		Why:  "emnapi provides Node-API to modules, which register themselves through these exports.",
	},
	{
		ID: "napi-rs", Any: []string{"export __napi_register__*"},
		Says: []Claim{tool(RoleBindings, "napi-rs", 0.9), lang("Rust", 0.8)},
		Why:  "napi-rs registers each class and function by an export of its own.",
	},
	{
		ID: "node-api-texts", Min: 3,
		Any:  []string{"data napi_create_object", "data napi_define_properties", "data napi_create_error", "data napi_get_cb_info"},
		Says: []Claim{abi("Node-API (emnapi)", 0.7)},
		Why:  "Messages of bindings to Node-API name its functions.",
	},
	{
		ID:   "cosmwasm",
		Any:  []string{"export interface_version_*", "export requires_*", "import env db_read", "import env addr_validate"},
		Min:  2,
		Says: []Claim{abi("CosmWasm", 0.95)},
		Why:  "Contracts export the version of their interface and read the chain's store.",
	},
	{
		ID: "near",
		Any: []string{
			"import env promise_create", "import env read_register", "import env storage_write",
			"import env predecessor_account_id",
		},
		Min:  2,
		Says: []Claim{abi("NEAR", 0.9)},
		Why:  "Host calls of NEAR's contracts.",
	},
	{
		ID: "substrate",
		Any: []string{
			"import seal0 *", "import seal1 *", "import env ext_*_version_*", "export Core_version", "section runtime_version",
		},
		Says: []Claim{abi("Substrate", 0.9)},
		Why:  "Contracts of ink! import from seal; runtimes import ext_ functions with versions.",
	},
	{
		ID: "stylus", Any: []string{"import vm_hooks *"},
		Says: []Claim{abi("Arbitrum Stylus", 0.95)},
		Why:  "The module of Stylus's host calls.",
	},
	{
		ID: "soroban", Any: []string{"section contractenvmetav0", "section contractspecv0", "section contractmetav0"},
		Says: []Claim{abi("Soroban", 0.95)},
		Why:  "Contracts of Stellar describe themselves in sections.",
	},
	{
		ID: "internet-computer", Any: []string{"import ic0 *", "section icp:*"},
		Says: []Claim{abi("Internet Computer", 0.95)},
		Why:  "The module of a canister's host calls.",
	},
	{
		ID: "the-graph", Any: []string{"import index store.*", "import index ethereum.*", "import conversion typeConversion.*"},
		Says: []Claim{abi("The Graph", 0.9)},
		Why:  "Subgraphs call their store through these.",
	},
	{
		ID: "wali", Any: []string{"import wali *"},
		Says: []Claim{abi("WALI", 0.95)},
		Why:  "The module of Linux system calls.",
	},
	{
		ID: "component-preview1-adapter", All: []string{"import __main_module__ cabi_realloc"},
		Says: []Claim{formOf("WASI adapter", 0.8)},
		Why:  "The adapter between preview 1 and components calls the module that it serves under this name.",
	},
	{
		ID: "no-host", All: []string{"shape no imports"},
		Says: []Claim{abi("none", 0.9)},
		Why:  "What imports nothing runs anywhere.",
	},
	{
		ID:   "command",
		Any:  []string{"export _start", "export wasi:cli/run@*", "export *wasi:cli/run@*"},
		None: []string{"export getsp"},
		Says: []Claim{formOf("command", 0.9)},
		Why:  "The host runs it once, from start to end.",
	},
	{
		ID: "reactor", All: []string{"export _initialize"}, None: []string{"export _start"},
		Says: []Claim{formOf("reactor", 0.9)},
		Why:  "The host initialises it, then calls its exports.",
	},
	{
		ID: "object-file", All: []string{"section linking"}, Any: []string{"section reloc.*"},
		Says: []Claim{formOf("object file", 0.95), tool(RoleCompiler, "clang", 0.3)},
		Why:  "Relocations are for a linker, not for a host.",
	},
}
