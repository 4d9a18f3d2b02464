package golang

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/wreg-project/wreg/sbom/evidence"
)

// The markers around the text of runtime.modinfo (infoStart and infoEnd of
// cmd/go/internal/modload).
var (
	infoStart = []byte("\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6")
	infoEnd   = []byte("\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2")
)

const (
	// maxInfo bounds the text in bytes. The longest known have some 100 KB, of
	// programs with a thousand modules.
	maxInfo = 1 << 20

	// maxStarts bounds the places that are looked at as the start of a text. A
	// program has one, and one more for each Go program that it embeds.
	maxStarts = 16
)

// info is the build information of a program.
type info struct {
	img  *image
	at   place // of its text
	text string

	modules []module
	vcs     map[string]string // the settings whose names begin with "vcs"
	vcsAt   int               // of the line with the revision in text
	bad     int               // lines of modules that could not be read
}

// A module is a line of modules, with the one that replaces it.
type module struct {
	line     int // offset in text
	text     string
	main     bool
	path     string
	version  string
	sum      string
	replaces string // "path@version" of what it stands in for
	folder   string // the folder it was replaced with, which has no version
}

// moduleInfo finds the build information of the program, nil without one. Of
// several, those of embedded programs, it takes the one that a variable points
// to.
func (m *image) moduleInfo() *info {
	var found []*info
	looked := 0
	for at := range m.find(infoStart) {
		if looked++; looked > maxStarts {
			break
		}
		if i := m.readInfo(at); i != nil {
			found = append(found, i)
		}
	}
	if len(found) == 0 {
		return nil
	}
	for _, i := range found {
		if len(found) > 1 && i.referred() {
			return i
		}
	}
	return found[0]
}

// readInfo reads the text behind the marker at at, nil if it has no end or is no
// text.
func (m *image) readInfo(at place) *info {
	at.address += uint64(len(infoStart))
	for n := 1 << 13; ; n = min(n<<4, maxInfo+len(infoEnd)) {
		raw := m.read(at, n)
		end := bytes.Index(raw, infoEnd)
		switch {
		case end >= 0 && isText(raw[:end]):
			return parseInfo(m, at, string(raw[:end]))
		case end >= 0, len(raw) < n, n > maxInfo, !isText(raw):
			return nil
		}
	}
}

// isText reports whether b could be the text, or the beginning of one: UTF-8 but
// for a character that is cut at the end, without control characters other than
// tabs and ends of lines.
func isText(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 && len(b) >= utf8.UTFMax || unicode.IsControl(r) && r != '\t' && r != '\n' {
			return false
		}
		b = b[n:]
	}
	return true
}

// parseInfo reads the lines that runtime/debug.BuildInfo describes. What it does
// not know it leaves out: later releases of Go may add lines.
func parseInfo(img *image, at place, text string) *info {
	i := &info{img: img, at: at, text: text, vcs: map[string]string{}}
	line := 0
	for s := range strings.Lines(text) {
		i.line(line, strings.TrimSuffix(s, "\n"))
		line += len(s)
	}
	return i
}

func (i *info) line(at int, s string) {
	kind, rest, _ := strings.Cut(s, "\t")
	switch kind {
	case "mod", "dep":
		m, ok := parseModule(rest)
		if !ok {
			i.bad++
			return
		}
		m.line, m.text, m.main = at, s, kind == "mod"
		i.modules = append(i.modules, m)
	case "=>":
		m, ok := parseModule(rest)
		if !ok || len(i.modules) == 0 || i.modules[len(i.modules)-1].replaces != "" {
			i.bad++
			return
		}
		i.modules[len(i.modules)-1].replace(m, s)
	case "build":
		i.setting(at, rest)
	}
}

// parseModule reads "path", "version" and "sum", of which the last may be
// missing or empty. A version in parentheses, "(devel)", is none.
func parseModule(s string) (module, bool) {
	f := strings.Split(s, "\t")
	if len(f) < 2 || len(f) > 3 || f[0] == "" {
		return module{}, false
	}
	m := module{path: f[0], version: f[1]}
	if strings.HasPrefix(m.version, "(") {
		m.version = ""
	}
	if len(m.path) > evidence.MaxName || !isVersion(m.version) || !isFolder(m.path) && !isImportPath(m.path) {
		return module{}, false
	}
	if len(f) == 3 {
		m.sum = f[2]
	}
	return m, true
}

func isVersion(s string) bool {
	for i := range len(s) {
		if !isVersionByte(s[i]) {
			return false
		}
	}
	return len(s) <= evidence.MaxVersion
}

// replace puts by in the place of m. The code of a folder keeps the name of the
// module, which is all that is known of it.
func (m *module) replace(by module, line string) {
	m.replaces = m.path
	if m.version != "" {
		m.replaces += "@" + m.version
	}
	m.text += " " + line
	m.version, m.sum = by.version, by.sum
	if isFolder(by.path) {
		m.folder, m.version = by.path, ""
		return
	}
	m.path = by.path
}

// isFolder reports whether the path of a replacement is one in a file system: it
// begins with ./, ../, a slash or the letter of a drive (Go Modules Reference,
// "replace directive").
func isFolder(path string) bool {
	return strings.HasPrefix(path, ".") || strings.HasPrefix(path, "/") || strings.HasPrefix(path, `\`) ||
		len(path) > 1 && path[1] == ':'
}

// setting reads "key=value"; a value with spaces is quoted.
func (i *info) setting(at int, s string) {
	key, value, ok := strings.Cut(s, "=")
	if !ok || !strings.HasPrefix(key, "vcs") {
		return
	}
	if strings.HasPrefix(value, `"`) || strings.HasPrefix(value, "`") {
		if plain, err := strconv.Unquote(value); err == nil {
			value = plain
		}
	}
	if i.vcs[key] = value; key == "vcs.revision" {
		i.vcsAt = at
	}
}

// add adds the modules to c.
func (i *info) add(c *evidence.Collector) {
	for _, m := range i.modules {
		found := evidence.Component{
			Ecosystem: evidence.Go, Name: m.path, Version: m.version, Main: m.main,
			Checksum: m.sum, Replaces: m.replaces, Source: m.folder,
			Evidence: []evidence.Evidence{i.evidence(m.line, m.text)},
		}
		if revision := i.vcs["vcs.revision"]; m.main && revision != "" {
			what := "build vcs.revision=" + revision
			if i.vcs["vcs.modified"] == "true" {
				what += " vcs.modified=true"
			}
			found.Commit = revision
			found.Evidence = append(found.Evidence, i.evidence(i.vcsAt, what))
		}
		c.Add(found)
	}
}

// evidence is the line at an offset of the text.
func (i *info) evidence(line int, text string) evidence.Evidence {
	return evidence.Evidence{
		Method: evidence.BuildInfo, Section: "data", Confidence: sureBuildInfo,
		Offset: i.img.offset(place{i.at.space, i.at.address + uint64(line)}),
		Text:   strings.ReplaceAll(strings.TrimRight(text, "\t"), "\t", " "),
	}
}

func (i *info) completeness() evidence.Completeness {
	if i.bad > 0 {
		return evidence.Completeness{
			Ecosystem: evidence.Go,
			Reason:    strconv.Itoa(i.bad) + " lines of the linker's list of modules could not be read",
		}
	}
	return evidence.Completeness{
		Ecosystem: evidence.Go, Complete: true,
		Reason: "Go's linker lists every module that the program links packages of",
	}
}

// referred reports whether a string of the program is this text with its markers:
// an address of eight bytes, followed by a length of eight.
func (i *info) referred() bool {
	start := i.at.address - uint64(len(infoStart))
	for range i.img.findString(start, uint64(len(infoStart)+len(i.text)+len(infoEnd))) {
		return true
	}
	return false
}
