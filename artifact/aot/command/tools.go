package command

import (
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/inspect/precompiled"
)

// A tool is a compiler and how it is told what to do: all that differs between
// them.
type tool struct {
	runtime string // that loads what it makes, as the inspector calls it
	program string // on PATH
	engine  string // recorded in the config
	profile string // likewise

	// args are those of a compilation for a target, without the names of the files.
	args func(target) []string
	// components tells whether it takes them.
	components bool
	// targets are those it knows, each with why not if that is known beforehand.
	targets func(host variant.Target) []target
}

// A target is one of a tool.
type target struct {
	variant.Target
	triple string   // or what the tool calls it
	flags  []string // of the processor, likewise
	why    string   // it cannot; "" if it can
}

// tools is the table. Those of wasmtime were tried, the options of the others are
// those of their manuals: docs/spec/aot.md has what is known of which version.
var tools = []tool{
	{
		runtime: precompiled.Wasmtime, program: "wasmtime", engine: "cranelift", profile: "wreg-v1", components: true,
		targets: func(variant.Target) []target { return triples(wasmtimeFlags, "pulley64") },
		args: func(t target) []string {
			args := []string{"compile", "--target", t.triple, "-W", "epoch-interruption=y"}
			for _, f := range t.flags {
				args = append(args, "-C", "cranelift-"+f)
			}
			return args
		},
	},
	{
		runtime: precompiled.WAMR, program: "wamrc", engine: "llvm",
		targets: func(variant.Target) []target { return llvm },
		args: func(t target) []string {
			args := []string{"--target=" + t.triple, "--target-abi=gnu"}
			for _, f := range t.flags {
				args = append(args, "--cpu="+f)
			}
			return append(args, "--opt-level=3", "--size-level=3")
		},
	},
	{
		runtime: precompiled.WasmEdge, program: "wasmedge", engine: "llvm",
		targets: hostOnly,
		args:    func(target) []string { return []string{"compile", "--optimize=2", "--generic-binary"} },
	},
	{
		runtime: precompiled.Wasmer, program: "wasmer", engine: "cranelift",
		targets: func(variant.Target) []target { return triples(nil, "") },
		args:    func(t target) []string { return []string{"compile", "--target", t.triple, "--cranelift"} },
	},
}

// wasmtimeFlags are the settings of Cranelift for what each level has more than
// the one below.
var wasmtimeFlags = [][]string{
	nil,
	{"has_cmpxchg16b", "has_sse3", "has_ssse3", "has_sse41", "has_sse42", "has_popcnt"},
	{"has_avx", "has_avx2", "has_bmi1", "has_bmi2", "has_fma", "has_lzcnt"},
}

// triples are the targets of a compiler for all systems. Levels above v1 need its
// flags for the processor; portable is the triple of bytecode, "" for none.
func triples(flags [][]string, portable string) []target {
	var list []target
	var all []string
	for i, level := range []string{"v1", "v2", "v3"} {
		t := target{Target: variant.Target{OS: "linux", Arch: "amd64", Level: level}, triple: "x86_64-unknown-linux-gnu"}
		if i > 0 && flags == nil {
			t.why = "wpkg does not know how this compiler is told the features of a processor"
		} else if i > 0 {
			all = append(all, flags[i]...)
			t.flags = all[:len(all):len(all)]
		}
		list = append(list, t)
	}
	list = append(list,
		target{Target: variant.Target{OS: "linux", Arch: "arm64"}, triple: "aarch64-unknown-linux-gnu"},
		target{Target: variant.Target{OS: "darwin", Arch: "amd64", Level: "v1"}, triple: "x86_64-apple-darwin"},
		target{Target: variant.Target{OS: "darwin", Arch: "arm64"}, triple: "aarch64-apple-darwin"},
		target{Target: variant.Target{OS: "windows", Arch: "amd64", Level: "v1"}, triple: "x86_64-pc-windows-msvc"},
	)
	if portable != "" {
		list = append(list, target{Target: variant.Portable, triple: portable})
	}
	return list
}

// llvm are the targets of wamrc, which calls the levels as LLVM does.
var llvm = []target{
	{Target: variant.Target{OS: "linux", Arch: "amd64", Level: "v1"}, triple: "x86_64", flags: []string{"x86-64"}},
	{Target: variant.Target{OS: "linux", Arch: "amd64", Level: "v2"}, triple: "x86_64", flags: []string{"x86-64-v2"}},
	{Target: variant.Target{OS: "linux", Arch: "amd64", Level: "v3"}, triple: "x86_64", flags: []string{"x86-64-v3"}},
	{Target: variant.Target{OS: "linux", Arch: "arm64"}, triple: "aarch64v8"},
}

// hostOnly are the targets of a compiler for the machine that it runs on, and for
// the least that all such machines have.
func hostOnly(host variant.Target) []target {
	list := []target{
		{Target: variant.Target{OS: "linux", Arch: "amd64", Level: "v1"}},
		{Target: variant.Target{OS: "linux", Arch: "arm64"}},
		{Target: variant.Target{OS: "darwin", Arch: "amd64", Level: "v1"}},
		{Target: variant.Target{OS: "darwin", Arch: "arm64"}},
		{Target: variant.Target{OS: "windows", Arch: "amd64", Level: "v1"}},
	}
	for i := range list {
		if list[i].OS != host.OS || list[i].Arch != host.Arch {
			list[i].why = "this compiler compiles for the machine that it runs on alone"
		}
	}
	return list
}
