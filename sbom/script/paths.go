package script

import (
	"strings"

	"github.com/wreg-project/wreg/internal/lazy"
)

// maxPath bounds the bytes of a path on either side of an anchor.
const maxPath = 512

// isPathByte is true of what paths of packages are made of.
func isPathByte(b byte) bool {
	return b-'0' < 10 || b|0x20-'a' < 26 && b >= 'A' || strings.IndexByte("/._-+@~()#$%!", b) >= 0
}

// path gives the bounds of the path about byte at of data, and whether it is
// one that a file has: it begins where text begins, where a quotation does, or as
// a bundler's comment, and not in the middle of a sentence.
func path(data []byte, at int) (start, end int, ok bool) {
	for start = at; start > 0 && at-start < maxPath && isPathByte(data[start-1]); {
		start--
	}
	for end = at; end < len(data) && end-at < maxPath && isPathByte(data[end]); {
		end++
	}
	if start == 0 {
		return start, end, true
	}
	before := data[start-1]
	comment := start >= 4 && string(data[start-3:start]) == "// " && data[start-4] == '\n' ||
		start == 3 && string(data[:3]) == "// "
	return start, end, comment || before == '"' || before == '\'' || before == '`' || before < ' ' && before != '\n' && before != '\t'
}

var (
	sourceFile = lazy.Regexp(
		`^((?:@[a-z0-9][a-z0-9._~-]*/)?[a-z0-9][a-z0-9._~-]*)/(?:[^/]+/)*[^/]+\.(?:[cm]?[jt]sx?|json|c|cc|cpp|h|hpp|rs)$`)
	store  = lazy.Regexp(`/?\.pnpm/(@?[^@/]+)@(\d+\.\d+\.\d+[0-9A-Za-z.+-]*?)(?:[_(][^/]*)?/$`)
	sample = map[string]bool{ // names in examples
		"foo": true, "bar": true, "baz": true, "package": true, "pkg": true, "name": true, "module": true, "example": true,
	}
)

// nodeModules reads the path of a package's source. pnpm's store tells the
// version, too.
func nodeModules(data []byte, at int) (find, bool) {
	start, end, ok := path(data, at)
	if !ok {
		return find{}, false
	}
	m := sourceFile().FindSubmatch(data[min(at+len("node_modules/"), end):end])
	if m == nil || sample[string(m[1])] {
		return find{}, false
	}
	f := find{name: string(m[1]), start: start, end: end}
	if s := store().FindSubmatch(data[start:at]); s != nil && strings.Replace(string(s[1]), "+", "/", 1) == f.name {
		f.version = string(s[2])
	}
	return f, true
}

var (
	wheel   = lazy.Regexp(`(?:^|/)([A-Za-z0-9](?:[A-Za-z0-9._]*[A-Za-z0-9])?)-(\d[0-9A-Za-z.!+]*)$`)
	leaving = lazy.Regexp(`^(?:METADATA|RECORD|WHEEL|INSTALLER|top_level\.txt|entry_points\.txt)`)
	folded  = lazy.Regexp(`[-_.]+`)
)

// pypi writes a name as PyPI compares it ("Names and normalization", PEP 503).
func pypi(name string) string { return folded().ReplaceAllString(strings.ToLower(name), "-") }

// distInfo reads the path of a file that an installer of Python's leaves
// ("Recording installed projects").
func distInfo(data []byte, at int) (find, bool) {
	start, end, ok := path(data, at)
	if !ok || !leaving().Match(data[min(at+len(".dist-info/"), end):end]) {
		return find{}, false
	}
	m := wheel().FindSubmatch(data[start:at])
	if m == nil {
		return find{}, false
	}
	return find{pypi(string(m[1])), string(m[2]), start, end}, true
}

var metadata = lazy.Regexp(`^Metadata-Version: \d\.\d\r?\nName: ([A-Za-z0-9][A-Za-z0-9._-]*)\r?\nVersion: (\d[0-9A-Za-z.!+]*)\r?\n`)

// coreMetadata reads the beginning of such a file ("Core metadata
// specifications").
func coreMetadata(data []byte, at int) (find, bool) {
	if at > 0 && data[at-1] >= ' ' && data[at-1] < 0x7f {
		return find{}, false
	}
	m := metadata().FindSubmatch(data[at:min(len(data), at+maxPath)])
	if m == nil {
		return find{}, false
	}
	return find{pypi(string(m[1])), string(m[2]), at, at + len(m[0])}, true
}

// gem is the folder of an installed gem: name, version, and maybe a platform.
const gem = `([A-Za-z0-9_][A-Za-z0-9._-]*?)-(\d+(?:\.[0-9A-Za-z]+)*)(?:-[a-z][a-z0-9_-]*)?`

var (
	unshift = lazy.Regexp(`^File\.expand_path\("[^"\s]*/gems/` + gem + `(?:/[^"\s]*)?"\)`)
	gemspec = lazy.Regexp(`/specifications/` + gem + `\.gemspec$`)
)

// bundledGem reads the line by which Bundler's setup.rb puts a gem on Ruby's path.
func bundledGem(data []byte, at int) (find, bool) {
	const line = "$:.unshift "
	if at < len(line) || string(data[at-len(line):at]) != line {
		return find{}, false
	}
	m := unshift().FindSubmatch(data[at:min(len(data), at+maxPath)])
	if m == nil {
		return find{}, false
	}
	return find{string(m[1]), string(m[2]), at, at + len(m[0])}, true
}

// specification reads the path of a gem's specification, if it is all of a text.
// Those in the folder default belong to Ruby.
func specification(data []byte, at int) (find, bool) {
	start, end, ok := path(data, at)
	if !ok || start > 0 && data[start-1] != 0 || end < len(data) && data[end] != 0 {
		return find{}, false
	}
	m := gemspec().FindSubmatch(data[at:end])
	if m == nil {
		return find{}, false
	}
	return find{string(m[1]), string(m[2]), start, end}, true
}

// Composer's lists of what it installed, vendor/composer/installed.json and
// installed.php.
var (
	inJSON = lazy.Regexp(`"name": "([a-z0-9_.-]+/[a-z0-9_.-]+)",\s+"version": "v?(\d[0-9A-Za-z.+-]*)",\s+$`)
	inPHP  = lazy.Regexp(`'([a-z0-9_.-]+/[a-z0-9_.-]+)' => (?:array\(|\[)\s+$`)
	number = lazy.Regexp(`^v?(\d+\.\d[0-9A-Za-z.+-]*)'`)
)

func installedJSON(data []byte, at int) (find, bool) {
	start := max(0, at-maxPath)
	m := inJSON().FindSubmatchIndex(data[start:at])
	if m == nil {
		return find{}, false
	}
	part := data[start:]
	return find{string(part[m[2]:m[3]]), string(part[m[4]:m[5]]), start + m[0], at}, true
}

func installedPHP(data []byte, at int) (find, bool) {
	start := max(0, at-maxPath)
	m := inPHP().FindSubmatchIndex(data[start:at])
	value := data[at+len("'pretty_version' => '"):]
	v := number().FindSubmatch(value[:min(len(value), maxPath)])
	if m == nil || v == nil {
		return find{}, false
	}
	return find{string(data[start+m[2] : start+m[3]]), string(v[1]), start + m[0], at}, true
}
