package golang

import (
	"bytes"
	"strings"

	"github.com/wreg-project/wreg/inspect/symbol"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// madeByGo reports whether Go's own linker made the module.
func madeByGo(b *wasm.Binary) bool {
	for _, p := range b.Metadata.Producers {
		if goProducer(p) {
			return true
		}
	}
	for _, s := range b.Sections {
		// The section is called go:buildid since Go 1.19 and go.buildid before.
		if s.ID == wasm.SectionCustom && (s.Name == "go:buildid" || s.Name == "go.buildid") {
			return true
		}
	}
	return false
}

// sample is how many names tell which compiler made them.
const sample = 1000

// madeByTinyGo reports whether TinyGo made the module: it says so, has a function
// of its runtime, or its names are mostly TinyGo's.
func madeByTinyGo(b *wasm.Binary) bool {
	for _, p := range b.Metadata.Producers {
		if p.Name == "TinyGo" {
			return true
		}
	}
	var t symbol.Tally
	for _, name := range b.Module.Names.Funcs() {
		if strings.HasPrefix(name, "tinygo_") {
			return true
		}
		if t.Add(name); t.Total() >= sample {
			break
		}
	}
	return t.Count(symbol.TinyGo)*4 > t.Total()
}

// maxPackages bounds the packages whose modules are looked for.
const maxPackages = 8192

// addNamed adds the modules of the packages that the names of TinyGo's functions
// tell. It keeps import paths as they are.
func addNamed(b *wasm.Binary, c *evidence.Collector) {
	var t symbol.Tally
	for _, name := range b.Module.Names.Funcs() {
		if t.Add(name); t.Total() >= sample {
			break
		}
	}
	ctx, at := t.Context(), nameOffsets(b)
	seen := map[string]bool{}
	for _, name := range b.Module.Names.Funcs() {
		path := ctx.Package(name)
		if path == "" || len(path) > evidence.MaxName || seen[path] {
			continue
		}
		if len(seen) >= maxPackages {
			return
		}
		seen[path] = true
		module := moduleOf(path)
		if module == "" {
			continue
		}
		c.Add(evidence.Component{
			Ecosystem: evidence.Go, Name: module, Class: evidence.Named,
			Evidence: []evidence.Evidence{{
				Method: evidence.Symbol, Section: "name", Offset: at(name), Text: name, Confidence: sureSymbol,
			}},
		})
	}
}

// nameOffsets gives a function that finds names in the name section, in the order
// in which they stand there. From the first one that is not found on it gives the
// offset of the section, since a search for each would take too long.
func nameOffsets(b *wasm.Binary) func(string) int64 {
	for _, s := range b.Sections {
		if s.ID != wasm.SectionCustom || s.Name != "name" {
			continue
		}
		data, from := b.Bytes(s.Body, s.Size), 0
		return func(name string) int64 {
			i := bytes.Index(data[from:], []byte(name))
			if i < 0 {
				data, from = nil, 0
				return s.Body
			}
			from += i
			return s.Body + int64(from)
		}
	}
	return func(string) int64 { return -1 }
}

// hosts are the code hosts of which it is known how many elements of a path name
// a repository; the module of a path on another host is not known, except where
// a major version ends it.
var hosts = map[string]int{
	"github.com": 3, "gitlab.com": 3, "bitbucket.org": 3, "codeberg.org": 3, "gitee.com": 3, "golang.org": 3, "google.golang.org": 2,
	"gopkg.in": 2, "go.uber.org": 2, "k8s.io": 2, "sigs.k8s.io": 2, "go.opentelemetry.io": 2, "honnef.co": 3, "cloud.google.com": 2,
}

// moduleOf gives the module that a package most likely belongs to: Stdlib of the
// runtime, and "" of other packages of the standard library, which need no entry
// of their own, of the program's own package and of what is no import path.
func moduleOf(path string) string {
	if path == "runtime" {
		return Stdlib
	}
	elems := strings.Split(path, "/")
	if !isHost(elems[0]) || len(elems) < 2 || !isImportPath(path) {
		return ""
	}
	n := len(elems)
	if most, known := hosts[elems[0]]; known {
		n = min(n, most)
	}
	// A gopkg.in path may have the owner in front: "gopkg.in/owner/name.v1".
	if elems[0] == "gopkg.in" && len(elems) > 2 && !strings.Contains(elems[1], ".v") {
		n = 3
	}
	for i := 2; i < len(elems); i++ {
		if isMajor(elems[i]) {
			n = i + 1
			break
		}
	}
	return strings.Join(elems[:n], "/")
}

// isHost reports whether the first element of an import path is the name of a
// host: it has a dot inside, which those of the standard library have not.
func isHost(s string) bool {
	dot := strings.IndexByte(s, '.')
	return dot > 0 && dot < len(s)-1
}

func isImportPath(s string) bool {
	for i := range len(s) {
		b := s[i]
		if !isVersionByte(b) && b != '/' && b != '_' && b != '~' {
			return false
		}
	}
	return !strings.Contains(s, "//") && !strings.HasSuffix(s, "/")
}

// isMajor reports whether an element of a path is the suffix of a major version,
// v2 or above.
func isMajor(s string) bool {
	if len(s) < 2 || s[0] != 'v' || s[1] == '0' || s == "v1" {
		return false
	}
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
