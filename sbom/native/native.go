// Package native finds the C and C++ libraries in a core module, by the texts
// that their authors compiled in, and the libraries that its dynamic linker
// wants.
//
// What is looked for is a table, table.go. A bare "1.2.13" belongs to nobody, and
// a version in a sentence ("since libtiff 4.5.1") may be any, so a version
// counts only where it is the whole of a text that one library has: a banner
// ("ImageMagick 7.1.1-39 Q16"), or a bare version of that library's form in a
// module that has other texts of the library, and no second version that could
// be meant. A library of which only other texts are found is named without a
// version.
package native

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/wreg-project/wreg/inspect/origin"
	"github.com/wreg-project/wreg/inspect/text"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// How sure the kinds of evidence are.
const (
	sureSourceID = 1.0
	sureBanner   = 0.95
	sureBare     = 0.8
	sureLiteral  = 0.6
)

// What a module may make of the work.
const (
	maxTries = 256     // of one banner
	maxBare  = 1 << 14 // bare versions
	maxText  = 200     // bytes on either side of an anchor that may belong to its text
)

// A banner is a text that has the version of a library in it.
type banner struct {
	name string

	// anchors are constant parts of the text, one of which it has, each of
	// origin.MinPattern bytes or more.
	anchors []string

	// pattern matches the whole text between two zero bytes; its group is the
	// version.
	pattern string

	// version rewrites what the group matched; nil leaves it. One that it gives as
	// "" is not known.
	version func(string) string
}

// A library is one that other texts than a banner show.
type library struct {
	name string

	// needs are texts of its source that a module with the library has, all of
	// them, and unless those of its relatives, of which a module has none.
	needs, unless []string

	// pattern matches a whole text that is a version of the library, "" if the
	// library has no such text. Its group is the version; a text that matches
	// without it may be the library's or another's, so that none is believed.
	pattern string
}

type compiledBanner struct {
	banner
	re *regexp.Regexp
}

type compiledLibrary struct {
	library
	re            *regexp.Regexp // nil if there is none
	needs, unless []int          // indices of anchors
}

// The table, ready for use once prepare was called. anchors has the texts of both lists, and bannersOf
// the banners that each belongs to.
var (
	banners   []compiledBanner
	libraries []compiledLibrary
	anchors   []string
	bannersOf map[int][]int
	scanner   *origin.Scanner
)

// prepare makes the table, when the first module is looked at: it takes 2 ms.
var prepare = sync.OnceFunc(func() {
	index := map[string]int{}
	anchor := func(s string) int {
		i, ok := index[s]
		if !ok {
			i = len(anchors)
			index[s], anchors = i, append(anchors, s)
		}
		return i
	}
	bannersOf = map[int][]int{}
	for i, b := range bannerTable {
		banners = append(banners, compiledBanner{b, regexp.MustCompile(b.pattern)})
		for _, a := range b.anchors {
			bannersOf[anchor(a)] = append(bannersOf[anchor(a)], i)
		}
	}
	for _, l := range libraryTable {
		c := compiledLibrary{library: l}
		if l.pattern != "" {
			c.re = regexp.MustCompile("^(?:" + l.pattern + ")$")
		}
		for _, s := range l.needs {
			c.needs = append(c.needs, anchor(s))
		}
		for _, s := range l.unless {
			c.unless = append(c.unless, anchor(s))
		}
		libraries = append(libraries, c)
	}
	var err error
	if scanner, err = origin.NewScanner(anchors...); err != nil {
		panic(fmt.Sprintf("sbom/native: table: %v", err)) // a fault of table.go, which every test would show
	}
})

// Extract adds the libraries of b, a core module from [wasm.Parse], to c.
func Extract(b *wasm.Binary, c *evidence.Collector) {
	if b.Module == nil {
		return
	}
	needed(b, c)
	prepare()
	s := &search{c: c, seen: make([]int64, len(anchors)), versioned: map[string]bool{}, tries: make([]int, len(banners))}
	for i := range s.seen {
		s.seen[i] = -1
	}
	for span := range text.Spans(text.Segments(b)) {
		s.anchors(span)
	}
	present := s.present()
	if len(present) == 0 {
		return
	}
	var found bares
	for span := range text.Spans(text.Segments(b)) {
		found.scan(span)
	}
	for _, l := range present {
		s.decide(l, &found)
	}
}

// A search is the state of one Extract.
type search struct {
	c         *evidence.Collector
	seen      []int64 // where each anchor was first, in the file; -1 if nowhere
	tries     []int   // of each banner
	versioned map[string]bool
}

// anchors notes the anchors in a span and reads the banners about them.
func (s *search) anchors(span *text.Span) {
	scanner.Scan(span.Bytes, func(a, at int) bool {
		if s.seen[a] < 0 {
			_, s.seen[a] = span.Place(at)
		}
		for _, i := range bannersOf[a] {
			if s.tries[i]++; s.tries[i] <= maxTries {
				s.banner(&banners[i], span, at)
			}
		}
		return true
	})
}

// banner adds what the banner says whose anchor stands at a byte of the span.
func (s *search) banner(b *compiledBanner, span *text.Span, at int) {
	start, end, ok := bounds(span.Bytes, at)
	if !ok {
		return
	}
	whole := span.Bytes[start:end]
	m := b.re.FindSubmatchIndex(whole)
	if m == nil {
		return
	}
	version := ""
	if len(m) > 3 && m[2] >= 0 {
		version = string(whole[m[2]:m[3]])
	}
	if b.version != nil {
		version = b.version(version)
	}
	_, offset := span.Place(start + m[0])
	s.add(b.name, version, "", evidence.Evidence{
		Method: evidence.Banner, Section: "data", Offset: offset, Text: strings.TrimSpace(string(whole[m[0]:m[1]])), Confidence: sureBanner,
	})
}

// bounds finds the zero bytes about byte at of data, or the ends of data.
func bounds(data []byte, at int) (start, end int, ok bool) {
	for start = at; start > 0 && data[start-1] != 0; start-- {
		if at-start >= maxText {
			return 0, 0, false
		}
	}
	for end = at; end < len(data) && data[end] != 0; end++ {
		if end-at >= 2*maxText {
			return 0, 0, false
		}
	}
	return start, end, true
}

// add adds a proven component.
func (s *search) add(name, version, commit string, e evidence.Evidence) {
	s.versioned[name] = s.versioned[name] || version != ""
	s.c.Add(evidence.Component{
		Ecosystem: evidence.Generic, Name: name, Version: version, Commit: commit,
		Class: evidence.Proven, Evidence: []evidence.Evidence{e},
	})
}

// present lists the libraries of which the module has the texts.
func (s *search) present() []*compiledLibrary {
	var list []*compiledLibrary
	for i := range libraries {
		l := &libraries[i]
		has := !s.versioned[l.name]
		for _, a := range l.needs {
			has = has && s.seen[a] >= 0
		}
		for _, a := range l.unless {
			has = has && s.seen[a] < 0
		}
		if has {
			list = append(list, l)
		}
	}
	return list
}

// decide adds a library that is present, with the one bare version that can be
// its own, or without one.
func (s *search) decide(l *compiledLibrary, found *bares) {
	literal := evidence.Evidence{
		Method: evidence.Literal, Section: "data", Offset: s.seen[l.needs[0]], Text: anchors[l.needs[0]], Confidence: sureLiteral,
	}
	if l.name == "sqlite" {
		if id, at, ok := found.sourceID(); ok {
			s.sqlite(id, at, l, found)
			return
		}
	}
	if version, at, ok := found.only(l.re); ok {
		s.add(l.name, version, "", evidence.Evidence{
			Method: evidence.Banner, Section: "data", Offset: at, Text: version, Confidence: sureBare,
		})
		return
	}
	s.c.Add(evidence.Component{
		Ecosystem: evidence.Generic, Name: l.name, Class: evidence.Named, Evidence: []evidence.Evidence{literal},
	})
}

// sqlite adds SQLite by the identifier of its source, with the version of that
// source if it is a release, or else the bare version that stands elsewhere.
func (s *search) sqlite(id string, at int64, l *compiledLibrary, found *bares) {
	version := sqliteReleases[id[:sqliteKey]]
	if version == "" {
		version, _, _ = found.only(l.re)
	}
	s.add(l.name, version, id[len("2006-01-02 15:04:05 "):], evidence.Evidence{
		Method: evidence.SourceID, Section: "data", Offset: at, Text: id, Confidence: sureSourceID,
	})
}
