package evidence

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a hostile binary may make of a list.
const (
	MaxComponents = 16384 // in one module
	MaxEvidence   = 8     // kept of one component, the surest and first in the file
	MaxName       = 512   // bytes; a longer name is refused
	MaxVersion    = 256   // bytes; a longer version is refused
	MaxText       = 256   // bytes of the text of an evidence; the rest is cut
)

// A Collector puts the components of one core module together. The zero value is
// ready for use; it is not safe for concurrent use.
type Collector struct {
	byKey  map[key]*Component
	stated map[Ecosystem]Completeness
	full   bool
}

type key struct {
	ecosystem     Ecosystem
	name, version string
	class         Class
	part          string
}

// Add adds a component, or its evidence to the one of the same ecosystem, name,
// version, class and part. What has no name or one with control characters, white
// space or too many bytes is not one, and is left out.
func (c *Collector) Add(found Component) {
	if !plain(found.Name, MaxName) || found.Name == "" || !plain(found.Version, MaxVersion) || !plain(found.Requirement, MaxVersion) {
		return
	}
	found.Class = cmp.Or(found.Class, Proven)
	k := key{found.Ecosystem, found.Name, found.Version, found.Class, found.Part}
	have, ok := c.byKey[k]
	if !ok {
		if len(c.byKey) >= MaxComponents {
			c.full = true
			return
		}
		if c.byKey == nil {
			c.byKey = map[key]*Component{}
		}
		have = &Component{Ecosystem: k.ecosystem, Name: k.name, Version: k.version, Class: k.class, Part: k.part}
		c.byKey[k] = have
	}
	have.join(found)
}

// join takes over what the other says of the same component.
func (c *Component) join(o Component) {
	c.Requirement = cmp.Or(c.Requirement, o.Requirement)
	c.Checksum = cmp.Or(c.Checksum, Clean(o.Checksum, MaxText))
	c.Commit = cmp.Or(c.Commit, Clean(o.Commit, MaxText))
	c.Source = cmp.Or(c.Source, Clean(o.Source, MaxText))
	c.Replaces = cmp.Or(c.Replaces, Clean(o.Replaces, MaxName+MaxVersion))
	c.Main = c.Main || o.Main
	c.RequiredBy = union(c.RequiredBy, o.RequiredBy)
	c.Licenses = union(c.Licenses, o.Licenses)
	for _, e := range o.Evidence {
		e.Text = Clean(e.Text, MaxText)
		if !slices.Contains(c.Evidence, e) {
			c.Evidence = append(c.Evidence, e)
		}
	}
	slices.SortFunc(c.Evidence, func(a, b Evidence) int {
		return cmp.Or(cmp.Compare(b.Confidence, a.Confidence), cmp.Compare(a.Offset, b.Offset),
			cmp.Compare(a.Method, b.Method), cmp.Compare(a.Section, b.Section), cmp.Compare(a.Text, b.Text))
	})
	c.Evidence = c.Evidence[:min(len(c.Evidence), MaxEvidence)]
}

// maxRequiredBy bounds a list of parents or licences.
const maxRequiredBy = 64

func union(a, b []string) []string {
	if len(b) == 0 {
		return a
	}
	a = append(slices.Clone(a), b...)
	slices.Sort(a)
	a = slices.Compact(a)
	return a[:min(len(a), maxRequiredBy)]
}

// Components are what was found, in the order of ecosystem, name, version, class
// and part.
func (c *Collector) Components() []Component {
	list := make([]Component, 0, len(c.byKey))
	for _, found := range c.byKey {
		list = append(list, *found)
	}
	slices.SortFunc(list, Compare)
	return list
}

// State says how complete the components of an ecosystem are, for an extractor
// that knows. Of several statements about one ecosystem one that is not complete
// counts, the first one of those.
func (c *Collector) State(s Completeness) {
	if have, ok := c.stated[s.Ecosystem]; ok && (!have.Complete || s.Complete) {
		return
	}
	if c.stated == nil {
		c.stated = map[Ecosystem]Completeness{}
	}
	s.Reason = Clean(s.Reason, MaxText)
	c.stated[s.Ecosystem] = s
}

// Stated are the statements of the extractors, in the order of ecosystems. A full
// list is complete for none.
func (c *Collector) Stated() []Completeness {
	list := slices.SortedFunc(maps.Values(c.stated), func(a, b Completeness) int { return cmp.Compare(a.Ecosystem, b.Ecosystem) })
	for i := range list {
		if c.full {
			list[i].Complete, list[i].Reason = false, "there are more components than a list may have"
		}
	}
	return list
}

// Full reports whether there were more components than a list may have.
func (c *Collector) Full() bool { return c.full }

// Compare orders components by ecosystem, name, version, class and part.
func Compare(a, b Component) int {
	return cmp.Or(cmp.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version),
		cmp.Compare(a.Class, b.Class), strings.Compare(a.Part, b.Part))
}

// plain reports whether s can stand in a name or version: at most most bytes of
// UTF-8, all of them graphic and none a space.
func plain(s string, most int) bool {
	return len(s) <= most && utf8.ValidString(s) &&
		strings.IndexFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }) < 0
}

// Clean makes a text from outside fit to be shown: invalid bytes, and characters
// that are not graphic, become the replacement character, and what is more than
// most bytes is cut.
func Clean(s string, most int) string {
	if plain(s, most) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if !unicode.IsGraphic(r) {
			r = unicode.ReplacementChar
		}
		if b.Len()+utf8.RuneLen(r) > most {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
