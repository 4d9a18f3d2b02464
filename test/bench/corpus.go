package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/inspect/origin"
	"github.com/wreg-project/wreg/inspect/signal"
	"github.com/wreg-project/wreg/registry/search"
	"github.com/wreg-project/wreg/storage/meta"
)

// A catalogue makes up packages as a large registry would hold them: few names,
// words, languages and imports are in most of them, and most names and words in
// few, by Zipf's law. It is a function of its seed.
type catalogue struct {
	rng      *rand.Rand
	words    *zipf
	orgs     *zipf
	modules  *zipf // of imports
	plugins  *zipf // exported functions
	licenses *zipf
	pkg      *madePackage // whose versions come next
	count    int
}

// A zipf draws numbers below n, i with a weight of 1/(i+1)^s.
type zipf struct{ sums []float64 }

func newZipf(n int, s float64) *zipf {
	z := &zipf{sums: make([]float64, n)}
	total := 0.0
	for i := range z.sums {
		total += math.Pow(float64(i+1), -s)
		z.sums[i] = total
	}
	return z
}

func (z *zipf) draw(rng *rand.Rand) int {
	return sort.SearchFloat64s(z.sums, rng.Float64()*z.sums[len(z.sums)-1])
}

func newCatalogue(seed uint64) *catalogue {
	return &catalogue{
		rng: rand.New(rand.NewPCG(seed, 0)), words: newZipf(60_000, 1), orgs: newZipf(20_000, 0.8),
		modules: newZipf(400, 1.2), plugins: newZipf(20_000, 1), licenses: newZipf(25, 1.5),
	}
}

// A madePackage is what the versions of a package have in common.
type madePackage struct {
	repo, title, description string
	license                  string
	report                   inspect.Report
	size                     int64
	major, minor, patch      int
	left                     int // versions to come
	at                       time.Time
}

// word spells a number: syllables, so that words begin alike.
func word(i int) string {
	const consonants, vowels = "bcdfghklmnprstvz", "aeiou"
	var b strings.Builder
	for i += len(consonants) * len(vowels); i > 0; i /= len(consonants) * len(vowels) {
		b.WriteByte(consonants[i%len(consonants)])
		b.WriteByte(vowels[i/len(consonants)%len(vowels)])
	}
	return b.String()
}

var (
	languages = []string{"Rust", "Go", "C", "C++", "AssemblyScript", "JavaScript", "Python", "Zig", "Swift", "Kotlin", "C#", "Dart", "Haskell"}
	tools     = []string{
		"rustc", "LLD", "wit-bindgen", "wit-component", "Go cmd/compile", "TinyGo", "clang", "Emscripten", "Binaryen", "wasm-bindgen", "jco",
	}
	hosts    = []string{"WASI 0.1", "WASI 0.2", "wasm-bindgen", "Emscripten", "Proxy-Wasm", "Extism", "Spin", "wasmCloud", "none"}
	features = []string{
		"mutable-global", "sign-extension", "bulk-memory", "multi-value", "reference-types", "simd", "threads", "exceptions", "tail-call", "gc",
	}
	licenses = []string{
		"MIT", "Apache-2.0", "Apache-2.0 OR MIT", "BSD-3-Clause", "GPL-3.0-only", "ISC", "MPL-2.0", "LGPL-2.1-or-later", "Unlicense", "CC0-1.0",
	}
	preview1 = []string{
		"fd_write", "proc_exit", "environ_get", "environ_sizes_get", "fd_close", "fd_seek", "clock_time_get", "fd_read", "args_get",
		"args_sizes_get", "fd_fdstat_get", "random_get", "fd_prestat_get", "fd_prestat_dir_name", "path_open", "fd_filestat_get", "poll_oneoff",
		"path_filestat_get", "fd_readdir", "sched_yield", "path_unlink_file", "path_create_directory", "path_rename", "fd_fdstat_set_flags",
	}
	interfaces = []string{
		"wasi:io/streams", "wasi:io/error", "wasi:cli/stdout", "wasi:cli/stderr", "wasi:cli/stdin", "wasi:cli/environment", "wasi:cli/exit",
		"wasi:clocks/wall-clock", "wasi:clocks/monotonic-clock", "wasi:filesystem/types", "wasi:filesystem/preopens", "wasi:io/poll",
		"wasi:random/random", "wasi:http/types", "wasi:http/outgoing-handler", "wasi:cli/terminal-output", "wasi:sockets/tcp",
		"wasi:sockets/network", "wasi:sockets/udp", "wasi:keyvalue/store", "wasi:config/runtime", "wasi:logging/logging",
	}
	signals  = []string{"debug-info", "names", "home-path", "entropy", "private-host", "wallet", "embedded-archive", "unknown-custom"}
	sections = []string{"name", "producers", "target_features", ".debug_info", ".debug_line", "component-type", "sourceMappingURL"}
)

// some takes each of a list with a chance that falls from the first to the last.
func (c *catalogue) some(list []string, mean float64) []string {
	var out []string
	for i, s := range list {
		if c.rng.Float64() < mean/(mean+float64(i)) {
			out = append(out, s)
		}
	}
	return out
}

func (c *catalogue) sentence(n int) string {
	words := make([]string, n)
	for i := range words {
		words[i] = word(c.words.draw(c.rng))
	}
	return strings.Join(words, " ")
}

func (c *catalogue) newPackage() *madePackage {
	p := &madePackage{
		repo: fmt.Sprintf("%s-%s/%s-%s",
			word(c.orgs.draw(c.rng)), word(c.orgs.draw(c.rng)%97), word(c.words.draw(c.rng)), word(c.rng.IntN(60_000))),
		title: c.sentence(2), description: c.sentence(6 + c.rng.IntN(20)), license: licenses[min(c.licenses.draw(c.rng), len(licenses)-1)],
		size: int64(2000 * math.Exp(c.rng.NormFloat64()*1.8+4)), left: 1 + int(c.rng.ExpFloat64()*6),
		at: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(c.rng.Int64N(900*86400)) * time.Second),
	}
	rep := &p.report
	rep.Kind, rep.WASI = inspect.KindModule, inspect.WASIP1
	finding := func(list []string, n int) (out []origin.Finding) {
		for range n {
			out = append(out, origin.Finding{Name: list[int(c.rng.ExpFloat64()*2)%len(list)], Version: fmt.Sprintf("1.%d.0", c.rng.IntN(40))})
		}
		return out
	}
	rep.Origin = &origin.Origin{Languages: finding(languages, 1), Toolchains: finding(tools, 1+c.rng.IntN(3)), Hosts: finding(hosts, 1)}
	rep.Requires = c.some(features, 4)
	for _, s := range c.some(sections, 3) {
		rep.Sections = append(rep.Sections, inspect.Section{Name: s, Custom: true})
	}
	rep.Signals = &signal.Result{}
	for _, s := range c.some(signals, 0.7) {
		rep.Signals.Signals = append(rep.Signals.Signals, signal.Signal{ID: s})
	}
	rep.Capabilities = &capability.Result{}
	for i, info := range capability.All() {
		if c.rng.Float64() < 6/(6+float64(i)) {
			level := capability.Level(c.rng.IntN(3))
			rep.Capabilities.Capabilities = append(rep.Capabilities.Capabilities, capability.Capability{ID: info.ID, Level: level})
		}
	}
	switch n := c.rng.IntN(100); {
	case n < 25:
		c.component(rep)
	case n < 75:
		c.command(rep)
	default:
		c.plugin(rep)
	}
	return p
}

func (c *catalogue) component(rep *inspect.Report) {
	version := fmt.Sprintf("@0.2.%d", int(c.rng.ExpFloat64()*2))
	rep.Kind, rep.WASI = inspect.KindComponent, inspect.WASIP2
	rep.Component = &inspect.Component{}
	for _, name := range c.some(interfaces, 8) {
		rep.Imports = append(rep.Imports, inspect.Import{Name: name + version})
	}
	export := "wasi:cli/run"
	if c.rng.IntN(2) == 0 {
		export, rep.Component.Target = "wasi:http/incoming-handler", "wasi:http/proxy"+version
	}
	rep.Exports = append(rep.Exports, inspect.Export{Name: export + version})
	rep.Component.Exports = []string{export + version}
}

func (c *catalogue) command(rep *inspect.Report) {
	for _, name := range c.some(preview1, 7) {
		rep.Imports = append(rep.Imports, inspect.Import{Module: "wasi_snapshot_preview1", Name: name})
	}
	rep.Exports = []inspect.Export{{Name: "_start"}, {Name: "memory"}}
}

func (c *catalogue) plugin(rep *inspect.Report) {
	rep.WASI = inspect.WASINone
	module := "env"
	if n := c.modules.draw(c.rng); n > 0 {
		module = word(n)
	}
	for range 2 + c.rng.IntN(12) {
		rep.Imports = append(rep.Imports, inspect.Import{Module: module, Name: word(c.plugins.draw(c.rng))})
	}
	rep.Exports = []inspect.Export{{Name: "memory"}}
	for range 1 + c.rng.IntN(10) {
		rep.Exports = append(rep.Exports, inspect.Export{Name: word(c.plugins.draw(c.rng))})
	}
}

// next is another version, of the package before or of a new one.
func (c *catalogue) next() search.Source {
	if c.pkg == nil || c.pkg.left == 0 {
		c.pkg = c.newPackage()
	}
	p := c.pkg
	p.left--
	switch c.rng.IntN(10) {
	case 0:
		p.major, p.minor, p.patch = p.major+1, 0, 0
	case 1, 2, 3:
		p.minor, p.patch = p.minor+1, 0
	default:
		p.patch++
	}
	p.at = p.at.Add(time.Duration(c.rng.ExpFloat64() * float64(20*24*time.Hour))).Truncate(time.Second)
	p.size += int64(c.rng.NormFloat64() * float64(p.size) / 50)
	c.count++
	s := search.Source{
		Repo: p.repo, Digest: madeDigest(c.count, "manifest"), ArtifactType: "application/vnd.wasm.config.v0+json",
		Annotations: map[string]string{
			artifact.AnnotationTitle: p.title, artifact.AnnotationDescription: p.description, artifact.AnnotationLicenses: p.license,
		},
		Files: []search.File{{Digest: madeDigest(c.count, "layer"), Size: max(p.size, 8), Report: &p.report}},
	}
	s.Tags = []search.Tag{{Name: fmt.Sprintf("%d.%d.%d", p.major, p.minor, p.patch)}}
	s.Latest, s.Updated, s.Verdict = p.left == 0, p.at, meta.VerdictAllow
	if n := c.rng.ExpFloat64(); n > 1 {
		s.Pulls = int64(math.Exp(n*2)) - 1
	}
	return s
}

func madeDigest(i int, what string) digest.Digest {
	h := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(what), uint64(i)))
	return digest.NewDigestFromEncoded(digest.SHA256, hex.EncodeToString(h[:]))
}
