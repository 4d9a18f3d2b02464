package symbol

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want Symbol
	}{
		{"an empty name says nothing", "", Symbol{}},
		{"a plain name is C", "memcpy", Symbol{C, "memcpy", ""}},
		{"a numbered copy of a plain name is C", "memcpy.1", Symbol{C, "memcpy.1", ""}},
		{"a function of Emscripten's runtime is C", "emscripten_resize_heap", Symbol{C, "emscripten_resize_heap", ""}},

		{
			"v0: a function's crate is its path's root", "_RNvNtCs4fqI2P2rA04_4core3fmt5write",
			Symbol{RustV0, "core::fmt::write", "core"},
		},
		{
			"v0: an inherent impl is of the crate that holds it", "_RNvMs_NtCsgTD1HwwHqFN_5alloc3vecINtB4_3VechE4push",
			Symbol{RustV0, "<alloc::vec::Vec<u8>>::push", "alloc"},
		},
		{
			"v0: a trait impl is of the crate that holds the block",
			"_RNvXs_CsaaaaaaaaaaA_7mycrateNtB4_3FooNtNtCs4fqI2P2rA04_4core3fmt7Display3fmt",
			Symbol{RustV0, "<mycrate::Foo as core::fmt::Display>::fmt", "mycrate"},
		},
		{
			"v0: a trait's own method is of the type's crate", "_RNvYNtCsaaaaaaaaaaA_7mycrate3FooNtCsbbbbbbbbbbB_5other5Trait4call",
			Symbol{RustV0, "<mycrate::Foo as other::Trait>::call", "mycrate"},
		},
		{
			"v0: a trait's own method of a built-in type is of the trait's crate", "_RNvYhNtCsbbbbbbbbbbB_5other5Trait4call",
			Symbol{RustV0, "<u8 as other::Trait>::call", "other"},
		},
		{
			"v0: a trait's own method of a tuple is of the trait's crate", "_RNvYThjENtCsbbbbbbbbbbB_5other5Trait4call",
			Symbol{RustV0, "<(u8, usize) as other::Trait>::call", "other"},
		},
		{
			"v0: an instance of a generic function is of its definition's crate",
			"_RINvNtCs4fqI2P2rA04_4core3ptr13drop_in_placeNtCsaaaaaaaaaaA_7mycrate3FooEBC_",
			Symbol{RustV0, "core::ptr::drop_in_place::<mycrate::Foo>", "core"},
		},
		{
			"v0: demangled, with the crate's disambiguator", "core[846817f741e54dfd]::fmt::write",
			Symbol{RustV0, "core[846817f741e54dfd]::fmt::write", "core"},
		},
		{
			"v0: demangled, a closure", "<mycrate::Foo as other::Trait>::call::{closure#0}",
			Symbol{RustV0, "<mycrate::Foo as other::Trait>::call::{closure#0}", "mycrate"},
		},

		{"legacy: a function", "_ZN4core3fmt5write17h0123456789abcdefE", Symbol{RustLegacy, "core::fmt::write", "core"}},
		{"legacy: LLVM's suffix", "_ZN4core3fmt5write17h0123456789abcdefE.llvm.12345", Symbol{RustLegacy, "core::fmt::write", "core"}},
		{
			"legacy: a trait impl is of the self type's crate",
			"_ZN60_$LT$alloc..string..String$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE",
			Symbol{RustLegacy, "<alloc::string::String as core::fmt::Display>::fmt", "alloc"},
		},
		{
			"legacy: a trait impl of a reference to a parameter is of the trait's crate",
			"_ZN42_$LT$$RF$T$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE",
			Symbol{RustLegacy, "<&T as core::fmt::Debug>::fmt", "core"},
		},
		{
			"legacy: demangled by LLVM, which leaves the escapes",
			"_$LT$alloc..string..String$u20$as$u20$core..fmt..Write$GT$::write_char::ha4fad37ffa3383ad",
			Symbol{RustLegacy, "<alloc::string::String as core::fmt::Write>::write_char", "alloc"},
		},
		{
			"legacy: demangled by LLVM, with a suffix of its own", "hashbrown::raw::RawTable$LT$T$C$A$GT$::new::h3e5609f5e9003370 (.llvm.75)",
			Symbol{RustLegacy, "hashbrown::raw::RawTable<T,A>::new", "hashbrown"},
		},
		{"merged by Binaryen", "byn$mgfn-shared$_RNvC1a1b", Symbol{RustV0, "a::b", "a"}},
		{"a shim of wasm-bindgen is no C++", "Ref(String) -> Externref", Symbol{Unknown, "Ref(String) -> Externref", ""}},
		{"a function of a component is no AssemblyScript", "local:a/b#splice", Symbol{Unknown, "local:a/b#splice", ""}},
		{"a function of PHP is no Haskell", "zim_ReflectionExtension_info", Symbol{C, "zim_ReflectionExtension_info", ""}},
		{"a copy of a C function is no Go", "sort_by_i.1", Symbol{C, "sort_by_i.1", ""}},
		{"Go: equality of a type", "type_.eq.net_http.Client", Symbol{Go, "type:.eq.net/http.Client", "net/http"}},
		{
			"v0: a method of a built-in type, demangled", "<u128>::_fmt_inner::{closure#0}",
			Symbol{RustV0, "<u128>::_fmt_inner::{closure#0}", "core"},
		},
		{
			"legacy: demangled by LLVM", "std::io::Write::write_fmt::h0123456789abcdef",
			Symbol{RustLegacy, "std::io::Write::write_fmt", "std"},
		},
		{
			"legacy: demangled, an impl", "<mycrate::Foo as core::fmt::Debug>::fmt::h0123456789abcdef",
			Symbol{RustLegacy, "<mycrate::Foo as core::fmt::Debug>::fmt", "mycrate"},
		},
		{
			"legacy: demangled, nested impls", "<<mycrate::Foo as a::B>::C as core::fmt::Debug>::fmt::h0123456789abcdef",
			Symbol{RustLegacy, "<<mycrate::Foo as a::B>::C as core::fmt::Debug>::fmt", "mycrate"},
		},
		{
			"legacy: demangled, an impl in a path", "core::fmt::num::<impl core::fmt::Debug for u32>::fmt::h0123456789abcdef",
			Symbol{RustLegacy, "core::fmt::num::<impl core::fmt::Debug for u32>::fmt", "core"},
		},

		{"C++: a function outside any namespace", "_Z3fooi", Symbol{CPlusPlus, "foo(int)", ""}},
		{"C++: a method", "_ZNK4llvm5Value7getNameEv", Symbol{CPlusPlus, "llvm::Value::getName() const", "llvm"}},
		{
			"C++: the standard library", "_ZNSt3__212basic_stringIcNS_11char_traitsIcEENS_9allocatorIcEEE6appendEPKc",
			Symbol{CPlusPlus, "std::__2::basic_string<char, std::__2::char_traits<char>, std::__2::allocator<char> >::append(char const*)", "std"},
		},
		{
			"C++: an abbreviation of the standard library", "_ZNSs6appendEPKc",
			Symbol{CPlusPlus, "std::string::append(char const*)", "std"},
		},
		{
			"C++: a virtual table", "_ZTVN10__cxxabiv117__class_type_infoE",
			Symbol{CPlusPlus, "vtable for __cxxabiv1::__class_type_info", "__cxxabiv1"},
		},
		{"C++: a thunk", "_ZThn8_N3foo3Bar3bazEv", Symbol{CPlusPlus, "non-virtual thunk to foo::Bar::baz()", "foo"}},
		{
			"C++: an anonymous namespace inside a namespace", "_ZN3foo12_GLOBAL__N_13barEv",
			Symbol{CPlusPlus, "foo::(anonymous namespace)::bar()", "foo"},
		},
		{"C++: something local to a function", "_ZZN3foo3barEvE3baz", Symbol{CPlusPlus, "foo::bar()::baz", "foo"}},
		{
			"C++: demangled", "void foo::bar<int>(std::vector<int> const&)",
			Symbol{CPlusPlus, "void foo::bar<int>(std::vector<int> const&)", "foo"},
		},
		{"C++: demangled, a class template", "foo<a::b, c>::bar(int) const", Symbol{CPlusPlus, "foo<a::b, c>::bar(int) const", "foo"}},
		{"C++: demangled, no namespace", "main(int, char**)", Symbol{CPlusPlus, "main(int, char**)", ""}},
		{
			"C++: demangled, an operator", "std::__2::operator new(unsigned long)",
			Symbol{CPlusPlus, "std::__2::operator new(unsigned long)", "std"},
		},

		{"Swift: a method of a structure", "$s10Foundation4DataV6appendyyACF", Symbol{Swift, "Foundation.Data.append", "Foundation"}},
		{
			"Swift: the standard library by its letter", "$ss5print_9separator10terminatoryypd_S2StF",
			Symbol{Swift, "Swift.print", "Swift"},
		},
		{"Swift: a type of the standard library", "$sSS6appendyySSF", Symbol{Swift, "Swift.append", "Swift"}},
		{"Swift: imported from C", "$sSo8_NSRangeV10FoundationE8locationSivg", Symbol{Swift, "__C._NSRange.Foundation.location", "__C"}},

		{"Go: a pointer receiver", "net_http.__Client_.Do", Symbol{Go, "net/http.(*Client).Do", "net/http"}},
		{
			"Go: a package below a root of the standard library", "internal_poll.runtime_pollWait",
			Symbol{Go, "internal/poll.runtime_pollWait", "internal/poll"},
		},
		{"Go: a host", "golang.org_x_net_http2.init", Symbol{Go, "golang.org/x/net/http2.init", "golang.org/x/net/http2"}},
		{
			"Go: a path that cannot be undone", "github.com_go_logr_logr.New",
			Symbol{Go, "github.com/go_logr_logr.New", "github.com/go_logr_logr"},
		},
		{"Go: a dot in the last element", "gopkg.in_yaml_2ev3.Marshal", Symbol{Go, "gopkg.in/yaml.v3.Marshal", "gopkg.in/yaml.v3"}},
		{
			"Go: the standard library's copies", "vendor_golang.org_x_text_unicode_norm.init",
			Symbol{Go, "vendor/golang.org/x/text/unicode/norm.init", "vendor/golang.org/x/text/unicode/norm"},
		},

		{"TinyGo: a pointer receiver", "(*sync.Mutex).Lock", Symbol{TinyGo, "(*sync.Mutex).Lock", "sync"}},
		{
			"TinyGo: a path with slashes", "(*mvdan.cc/sh/v3/syntax.Parser).Parse",
			Symbol{TinyGo, "(*mvdan.cc/sh/v3/syntax.Parser).Parse", "mvdan.cc/sh/v3/syntax"},
		},
		{"TinyGo: a function", "internal/bytealg.IndexByte", Symbol{TinyGo, "internal/bytealg.IndexByte", "internal/bytealg"}},

		{"AssemblyScript: the library", "~lib/rt/itcms/__new", Symbol{AssemblyScript, "~lib/rt/itcms/__new", "~lib/rt/itcms"}},
		{
			"AssemblyScript: a method with type arguments", "~lib/array/Array<~lib/string/String>#push",
			Symbol{AssemblyScript, "~lib/array/Array<~lib/string/String>#push", "~lib/array"},
		},
		{"AssemblyScript: a file's start", "start:assembly/index", Symbol{AssemblyScript, "start:assembly/index", "assembly/index"}},

		{"Zig: an instance", "mem.eql__anon_1234", Symbol{Zig, "mem.eql__anon_1234", "mem"}},
		{
			"Kotlin: the library", "kotlin.collections.ArrayList.add",
			Symbol{Kotlin, "kotlin.collections.ArrayList.add", "kotlin.collections"},
		},
		{"D: a function", "_D3std5stdio7writelnFZv", Symbol{D, "std.stdio.writeln", "std.stdio"}},
		{"D: a method", "_D3foo3Bar3bazMFZv", Symbol{D, "foo.Bar.baz", "foo"}},
		{"Haskell: a package of the compiler", "base_GHCziBase_map_info", Symbol{Haskell, "base:GHC.Base.map (info)", "base:GHC.Base"}},
		{
			"Haskell: a version and a hash", "containerszm0zi6zi7zm1234567890abcdef_DataziMapziInternal_insert_closure",
			Symbol{Haskell, "containers-0.6.7:Data.Map.Internal.insert (closure)", "containers-0.6.7:Data.Map.Internal"},
		},
		{"Haskell: an operator and a tuple", "base_GHCziBase_zpzp_info", Symbol{Haskell, "base:GHC.Base.++ (info)", "base:GHC.Base"}},
		{"MoonBit: a package", "@moonbitlang/core/int.abs", Symbol{MoonBit, "@moonbitlang/core/int.abs", "moonbitlang/core/int"}},
		{"OCaml: the runtime", "caml_alloc_small", Symbol{OCaml, "caml_alloc_small", ""}},

		{"dotted names fit several languages", "runtime.alloc", Symbol{Unknown, "runtime.alloc", ""}},
		{"paths fit Rust and C++", "foo::bar", Symbol{Unknown, "foo::bar", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, Parse(tt.in)); d != "" {
				t.Fatalf("Parse(%q) (-want +got):\n%s", tt.in, d)
			}
			if got := Package(tt.in); got != tt.want.Package {
				t.Fatalf("Package(%q) = %q, want %q", tt.in, got, tt.want.Package)
			}
		})
	}
}

func TestContextSettlesAmbiguousNames(t *testing.T) {
	tests := []struct {
		name  string
		names []string
		in    string
		want  Symbol
	}{
		{"Go", []string{"net_http.__Client_.Do"}, "runtime.mallocgc", Symbol{Go, "runtime.mallocgc", "runtime"}},
		{"TinyGo", []string{"(*sync.Mutex).Lock"}, "runtime.alloc", Symbol{TinyGo, "runtime.alloc", "runtime"}},
		{"Zig", []string{"mem.eql__anon_1"}, "heap.PageAllocator.alloc", Symbol{Zig, "heap.PageAllocator.alloc", "heap"}},
		{"Kotlin", []string{"kotlin.Any.<init>"}, "com.example.Foo.bar", Symbol{Kotlin, "com.example.Foo.bar", "com.example"}},
		{"Rust", []string{"core::fmt::write::h0123456789abcdef"}, "foo::bar", Symbol{RustLegacy, "foo::bar", "foo"}},
		{"C++", []string{"std::__2::terminate()", "a::b()"}, "foo::bar", Symbol{CPlusPlus, "foo::bar", "foo"}},
		{"the majority", []string{"core::fmt::write::h0123456789abcdef", "a::b()", "c::d()"}, "foo::bar", Symbol{CPlusPlus, "foo::bar", "foo"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var tally Tally
			for _, n := range tt.names {
				tally.Add(n)
			}
			if d := cmp.Diff(tt.want, tally.Context().Parse(tt.in)); d != "" {
				t.Fatalf("after %q, Parse(%q) (-want +got):\n%s", tt.names, tt.in, d)
			}
		})
	}
}

func TestGoModulesUndoTheLinker(t *testing.T) {
	c := Context{}.WithGoModules([]string{"github.com/go-logr/logr", "github.com/go-logr/logr/sub-module", "example.com/a_b"})
	tests := []struct{ name, in, want string }{
		{"a module's root", "github.com_go_logr_logr.New", "github.com/go-logr/logr"},
		{"a package of the module", "github.com_go_logr_logr_funcr.New", "github.com/go-logr/logr/funcr"},
		{"the innermost module wins", "github.com_go_logr_logr_sub_module_x.New", "github.com/go-logr/logr/sub-module/x"},
		{"a module with an underscore", "example.com_a_b.New", "example.com/a_b"},
		{"a longer name is another module", "example.com_a_bc.New", "example.com/a_bc"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := c.Package(tt.in); got != tt.want {
				t.Fatalf("Package(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestTallyCounts(t *testing.T) {
	var tally Tally
	for _, n := range []string{"_Z3fooi", "a::b", "memcpy", "x.y", "_RNvC1a1b", "_RNvC1a1c"} {
		tally.Add(n)
	}
	got := map[string]int{"total": tally.Total()}
	for s := Unknown; int(s) < schemes; s++ {
		if n := tally.Count(s); n > 0 {
			got[s.String()] = n
		}
	}
	// Nothing settles "x.y", so it stays unknown.
	want := map[string]int{"total": 6, "c++": 1, "c": 1, "rust-v0": 3, "unknown": 1}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("Count (-want +got):\n%s", d)
	}
}

func TestSchemeAsJSON(t *testing.T) {
	for s := Unknown; int(s) < schemes; s++ {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatalf("json.Marshal(%v): %v", s, err)
		}
		var back Scheme
		if err := json.Unmarshal(text, &back); err != nil || back != s {
			t.Fatalf("json.Unmarshal(%s) = %v, %v; want %v", text, back, err, s)
		}
	}
	var s Scheme
	if err := s.UnmarshalText([]byte("cobol")); err == nil {
		t.Fatalf("UnmarshalText(cobol) = %v, want an error", s)
	}
}

// hostile are names made to cost a demangler more than their length.
func hostile() map[string]string {
	return map[string]string{
		"nested template arguments":       "_Z1f" + strings.Repeat("I1AI", 500) + strings.Repeat("E", 1000),
		"pointers to pointers":            "_Z1f" + strings.Repeat("P", 4000) + "i",
		"doubling substitutions":          "_Z1fSt4pairIiiE" + doubling(35),
		"function types in each other":    "_Z1f" + strings.Repeat("PF", 1500),
		"nested local names":              "_" + strings.Repeat("Z", 4000) + "1f",
		"thunk after thunk":               "_Z" + strings.Repeat("Th_", 1300),
		"v0: paths in paths":              "_R" + strings.Repeat("Nv", 2000) + "C1a",
		"v0: a reference to itself":       "_RB_",
		"v0: back references in a chain":  "_RNvC1a1b" + strings.Repeat("B_", 2000),
		"v0: types in types":              "_RINvC1a1b" + strings.Repeat("S", 3900) + "hE",
		"v0: doubling back references":    "_RINvC1a1bTB4_B4_ETB9_B9_ETBf_Bf_ETBl_Bl_ETBr_Br_ETBx_Bx_ETBD_BD_EE",
		"v0: punycode":                    "_RNvC1au4000" + strings.Repeat("z9", 2000),
		"legacy: many segments":           "_ZN" + strings.Repeat("1a", 2000) + "17h0123456789abcdefE",
		"a demangled type of many levels": "<" + strings.Repeat("<", 4000) + "a::b as c::d>::e::h0123456789abcdef",
		"many implementations":            strings.Repeat("<impl a for ", 300) + "a::b",
		"many brackets":                   strings.Repeat("a[0123456789]::", 270),
		"swift: words without end":        "$s" + strings.Repeat("0a", 2000),
		"haskell: codes without end":      "a_B_" + strings.Repeat("z0", 2000) + "_info",
		"beyond the bound":                "_Z1f" + strings.Repeat("P", 1<<20) + "i",
	}
}

// doubling makes n types, each a pair of the one before: 2^n words in 10n bytes.
func doubling(n int) string {
	var b strings.Builder
	for i := range n {
		d := "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i]
		b.WriteString("S_IS" + string(d) + "_S" + string(d) + "_E")
	}
	return b.String()
}

// Without bounds, several of these would take minutes or gigabytes.
func TestHostileNames(t *testing.T) {
	for name, in := range hostile() {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			s := Parse(in)
			if took := time.Since(start); took > 2*time.Second {
				t.Fatalf("Parse of %d bytes took %v, want less than 2s", len(in), took)
			}
			if len(in) <= MaxDemangle && len(s.Text) > MaxText {
				t.Fatalf("Parse of %d bytes gave %d bytes of text, want at most %d", len(in), len(s.Text), MaxText)
			}
		})
	}
}

// FuzzParse holds for any name: no panic, bounded text, a package that Package
// gives too, and the same answer twice.
func FuzzParse(f *testing.F) {
	n := 0
	for _, in := range []string{
		"", "_RNvNtCs4fqI2P2rA04_4core3fmt5write", "_ZN4core3fmt5write17h0123456789abcdefE", "_ZNK4llvm5Value7getNameEv",
		"$s10Foundation4DataV6appendyyACF", "net_http.__Client_.Do", "(*sync.Mutex).Lock", "~lib/rt/itcms/__new",
		"mem.eql__anon_1234", "kotlin.Any.<init>", "_D3std5stdio7writelnFZv", "base_GHCziBase_zpzp_info",
		"<<mycrate::Foo as a::B>::C as core::fmt::Debug>::fmt", "void foo::bar<int>(int)", "_ZThn8_N3foo3Bar3bazEv",
	} {
		f.Add(in)
		n++
	}
	if n < 15 {
		f.Fatalf("%d seeds, want at least 15", n)
	}
	c := Context{dotted: Go, paths: RustLegacy}.WithGoModules([]string{"github.com/go-logr/logr"})
	f.Fuzz(func(t *testing.T, in string) {
		s := c.Parse(in)
		if len(s.Text) > max(MaxText, len(in)) {
			t.Fatalf("Parse(%q): %d bytes of text", in, len(s.Text))
		}
		if p := c.Package(in); p != s.Package {
			t.Fatalf("Package(%q) = %q, but Parse has %q", in, p, s.Package)
		}
		if again := c.Parse(in); again != s {
			t.Fatalf("Parse(%q) = %v, then %v", in, s, again)
		}
	})
}

func BenchmarkPackage(b *testing.B) {
	names := []string{
		"_RNvNtCs4fqI2P2rA04_4core3fmt5write", "_ZN60_$LT$alloc..string..String$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE",
		"_ZNSt3__212basic_stringIcNS_11char_traitsIcEENS_9allocatorIcEEE6appendEPKc", "net_http.__Client_.Do", "(*sync.Mutex).Lock",
		"core::fmt::Formatter::pad_integral::h0123456789abcdef", "<alloc::vec::Vec<T> as core::fmt::Debug>::fmt::h0123456789abcdef",
		"void foo::bar<int>(std::vector<int> const&)", "memcpy", "~lib/array/Array<~lib/string/String>#push",
	}
	r := rand.New(rand.NewPCG(1, 2))
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	c := Context{dotted: Go, paths: RustLegacy}
	b.ReportAllocs()
	for b.Loop() {
		for _, n := range names {
			c.Package(n)
		}
	}
	b.ReportMetric(float64(len(names))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mnames/s")
}
