package symbol

import (
	"slices"
	"strings"
)

// A goModule is the path of a module and what the linker makes of it in a name.
type goModule struct{ path, mangled string }

// WithGoModules gives a Context that knows the module paths of a Go program, as
// its build information lists them. Go's linker turns every byte of a name
// outside [A-Za-z0-9_.] into an underscore, so that without them
// "github.com_go_logr_logr" cannot be told from "github.com/go/logr/logr", and
// only the slashes of the standard library and of the host are put back.
func (c Context) WithGoModules(paths []string) Context {
	c.goModules = make([]goModule, 0, len(paths))
	for _, p := range paths {
		c.goModules = append(c.goModules, goModule{p, goMangle(p)})
	}
	// Longest first, so that the innermost module wins.
	slices.SortStableFunc(c.goModules, func(a, b goModule) int { return len(b.mangled) - len(a.mangled) })
	return c
}

// goMangle does what cmd/link does to a path: dots of the last element are
// escaped as %2e first.
func goMangle(path string) string {
	last := strings.LastIndexByte(path, '/') + 1
	path = path[:last] + strings.ReplaceAll(path[last:], ".", "%2e")
	return strings.Map(func(r rune) rune {
		if r == '.' || r < 0x80 && isIdent(byte(r)) {
			return r
		}
		return '_'
	}, path)
}

// goStd are the first elements of the standard library's import paths. None of
// its paths has an underscore, so after one of these each is a slash.
var goStd = set("archive", "arena", "bufio", "builtin", "bytes", "cmp", "compress", "container", "context", "crypto", "database",
	"debug", "embed", "encoding", "errors", "expvar", "flag", "fmt", "go", "hash", "html", "image", "index", "internal", "io",
	"iter", "log", "maps", "math", "mime", "net", "os", "path", "plugin", "reflect", "regexp", "runtime", "slices", "sort",
	"strconv", "strings", "structs", "sync", "syscall", "testing", "text", "time", "unicode", "unique", "unsafe", "vendor", "weak")

// goHosts are the last parts of the host names that import paths begin with.
var goHosts = set("com", "org", "net", "io", "dev", "in", "sh", "cc", "co", "me", "ai", "xyz", "app", "tech", "cloud", "info", "de",
	"uk", "fr", "ru", "cn", "eu", "us", "ca", "jp", "tv", "gg", "so", "land", "build", "space", "pl", "se", "ch", "it", "ht", "to")

func set(words ...string) map[string]bool {
	m := make(map[string]bool, len(words))
	for _, w := range words {
		m[w] = true
	}
	return m
}

// goMarks occur in the names of Go's own linker and in no other dotted ones.
var goMarks = [...]string{".__", "go.shape.", "type_.", "go_itab.", "type..", "_2e", ".func1"}

// isGo recognises names that only Go's linker makes: those of methods with a
// pointer receiver, of literals, of generated code, and of the runtime's
// assembly.
func isGo(name string) bool {
	dot := strings.IndexByte(name, '.')
	if dot <= 0 {
		return false
	}
	for _, m := range goMarks {
		if strings.Contains(name[dot-min(dot, 8):], m) {
			return true
		}
	}
	head := name[:dot]
	if under := strings.IndexByte(head, '_'); under > 0 {
		return goStd[head[:under]]
	}
	return goHost(name) > 0
}

// goHost is the length of the host name that an import path begins with, as it
// stands before an underscore, 0 without one.
func goHost(name string) int {
	under := strings.IndexByte(name, '_')
	if under <= 0 {
		return 0
	}
	dot := strings.LastIndexByte(name[:under], '.')
	if dot <= 0 || !goHosts[name[dot+1:under]] {
		return 0
	}
	return under
}

// goPackage gives the import path of a Go function.
func (c Context) goPackage(name string) string {
	_, name = goTypeFunc(name)
	path, _ := c.goSplit(name)
	return path
}

// goTypeFunc takes off what stands before the type that the compiler made a
// function for: "type_.eq." for one that compares.
func goTypeFunc(name string) (kind, rest string) {
	for _, k := range [...]string{"eq", "hash", "init"} {
		if rest, ok := strings.CutPrefix(name, "type_."+k+"."); ok {
			return "type:." + k + ".", rest
		}
	}
	return "", name
}

// goSplit gives the import path, and the offset of what comes after the dot.
func (c Context) goSplit(name string) (path string, rest int) {
	for _, m := range c.goModules {
		if path, rest := m.split(name); rest > 0 {
			return path, rest
		}
	}
	if n := goHost(name); n > 0 {
		end := goPathEnd(name, n)
		host, tail := name[:n], name[n+1:end]
		if host == "golang.org" {
			tail = strings.ReplaceAll(tail, "_", "/") // golang.org/x has no underscores of its own
		}
		return host + "/" + strings.ReplaceAll(tail, "_2e", "."), min(end+1, len(name))
	}
	dot := strings.IndexByte(name, '.')
	if dot <= 0 {
		return "", 0
	}
	head := name[:dot]
	root, _, nested := strings.Cut(head, "_")
	switch {
	case nested && root == "vendor":
		// The standard library's copies of golang.org/x.
		if n := goHost(name[len("vendor_"):]); n > 0 {
			end := goPathEnd(name, len("vendor_")+n)
			return strings.ReplaceAll(name[:end], "_", "/"), min(end+1, len(name))
		}
	case nested && goStd[root]:
		head = strings.ReplaceAll(head, "_", "/")
	}
	return head, dot + 1
}

// goPathEnd is the offset of the dot after an import path whose host ends at n.
func goPathEnd(name string, n int) int {
	end := n + 1
	for end < len(name) && name[end] != '.' {
		end++
	}
	return end
}

// split takes an import path of the module off the front of name.
func (m goModule) split(name string) (path string, rest int) {
	if !strings.HasPrefix(name, m.mangled) {
		return "", 0
	}
	n := len(m.mangled)
	if n == len(name) || name[n] != '.' && name[n] != '_' {
		return "", 0
	}
	end := n
	for end < len(name) && name[end] != '.' {
		end++
	}
	return m.path + strings.ReplaceAll(strings.ReplaceAll(name[n:end], "_2e", "."), "_", "/"), min(end+1, len(name))
}

// goText writes path and pointer receiver as Go does: "net/http.(*Client).Do".
func (c Context) goText(name string) string {
	kind, name := goTypeFunc(name)
	path, rest := c.goSplit(name)
	if rest == 0 {
		return kind + name
	}
	tail := name[rest:]
	if strings.HasPrefix(tail, "__") {
		if end := strings.Index(tail[2:], "_."); end > 0 {
			tail = "(*" + tail[2:2+end] + ")" + tail[2+end+1:]
		}
	}
	return kind + path + "." + tail
}

// isTinyGo recognises names with the receivers, slashes and suffixes that only
// TinyGo keeps.
func isTinyGo(name string, sh shape) bool {
	switch {
	case strings.HasPrefix(name, "(*"), strings.HasPrefix(name, "interface:"), strings.HasPrefix(name, "tinygo_"):
		return true
	case strings.HasPrefix(name, "(") && strings.Contains(name, ")."):
		return true
	case sh.slash && sh.dot:
		dot := strings.LastIndexByte(name, '/')
		return strings.IndexByte(name[dot:], '.') > 0
	}
	return sh.dot && strings.HasSuffix(name, "$invoke")
}

// tinyGoPackage gives the import path of "path.Func", "(*path.Type).Method" and
// "(path.Type).Method".
func tinyGoPackage(name string) string {
	name = strings.TrimPrefix(name, "interface:")
	name = strings.TrimLeft(name, "(*&[]")
	if i := strings.IndexAny(name, "[({ "); i >= 0 {
		name = name[:i] // type arguments have paths of their own
	}
	slash := strings.LastIndexByte(name, '/') + 1
	dot := strings.IndexByte(name[slash:], '.')
	if dot <= 0 {
		return ""
	}
	return name[:slash+dot]
}
