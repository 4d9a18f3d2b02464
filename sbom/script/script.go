// Package script finds what programs of scripting languages bring with them in a
// core module: packages of npm by the paths and banners in JavaScript, which may
// lie compressed in a section of Javy's, and those of PyPI, RubyGems and Packagist
// by what their installers leave in an embedded file system.
//
// What an interpreter has built in is part of it and no component of its own.
package script

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/andybalholm/brotli"

	"github.com/wreg-project/wreg/inspect/origin"
	"github.com/wreg-project/wreg/inspect/text"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// How sure the kinds of evidence are.
const (
	sureManifest = 1.0
	sureBanner   = 0.95
	surePath     = 0.9
)

// What a module may make of the work.
const (
	maxTries  = 1 << 15 // of one rule
	maxSource = 8 << 20 // bytes of unpacked JavaScript; what is beyond is not looked at
)

// rulesOf has the rules that each anchor belongs to, by their indices, once prepare
// was called.
var (
	anchors []string
	rulesOf [][]int
	scanner *origin.Scanner
)

// prepare makes the tables, when the first module is looked at.
var prepare = sync.OnceFunc(func() {
	index := map[string]int{}
	for i, r := range rules {
		for _, a := range r.anchors {
			n, ok := index[a]
			if !ok {
				n = len(anchors)
				index[a], anchors, rulesOf = n, append(anchors, a), append(rulesOf, nil)
			}
			rulesOf[n] = append(rulesOf[n], i)
		}
	}
	var err error
	if scanner, err = origin.NewScanner(anchors...); err != nil {
		panic(fmt.Sprintf("sbom/script: rules: %v", err)) // a fault of rules.go, which every test would show
	}
})

// Extract adds the packages of b, a core module from [wasm.Parse], to c.
func Extract(b *wasm.Binary, c *evidence.Collector) {
	if b.Module == nil {
		return
	}
	prepare()
	s := search{c: c, tries: make([]int, len(rules))}
	for span := range text.Spans(text.Segments(b)) {
		s.scan(span.Bytes, "data", func(at int) int64 { _, offset := span.Place(at); return offset })
	}
	for _, section := range b.Sections {
		if section.ID == wasm.SectionCustom && (section.Name == "javy_source" || section.Name == "javy-source") {
			source := unpack(b.Bytes(section.Body, section.Size))
			s.scan(source, section.Name, func(int) int64 { return section.Body })
		}
	}
}

// unpack gives the JavaScript of a section of Javy's, which compresses it with
// Brotli or, if told so, does not; at most maxSource bytes.
func unpack(section []byte) []byte {
	source, err := io.ReadAll(io.LimitReader(brotli.NewReader(bytes.NewReader(section)), maxSource))
	if err != nil && utf8.Valid(section) {
		return section[:min(len(section), maxSource)]
	}
	return source // what was read before a fault is there all the same
}

// A search is the state of one Extract.
type search struct {
	c     *evidence.Collector
	tries []int // of each rule
}

// scan applies the rules to data, whose bytes stand where place says.
func (s *search) scan(data []byte, section string, place func(int) int64) {
	scanner.Scan(data, func(a, at int) bool {
		for _, i := range rulesOf[a] {
			if s.tries[i]++; s.tries[i] > maxTries {
				continue
			}
			f, ok := rules[i].find(data, at)
			if !ok {
				continue
			}
			s.c.Add(evidence.Component{
				Ecosystem: rules[i].ecosystem, Name: f.name, Version: f.version, Class: evidence.Proven,
				Evidence: []evidence.Evidence{{
					Method: rules[i].method, Section: section, Offset: place(f.start),
					Text: string(data[f.start:f.end]), Confidence: rules[i].confidence,
				}},
			})
		}
		return true
	})
}

// A find is a package, and the bytes of the data that name it.
type find struct {
	name, version string
	start, end    int
}
