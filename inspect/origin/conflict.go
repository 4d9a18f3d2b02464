package origin

import (
	"cmp"
	"slices"
	"strings"
)

// exclusive are the rules that recognise a runtime which owns its module: no
// linker joins its code with that of the other languages. What goes with it is
// beside.
var exclusive = map[string][]string{
	"go-js":                  {"Go"},
	"go-build-id":            {"Go"},
	"go-module-info":         {"Go"},
	"assemblyscript-runtime": {"AssemblyScript"},
	"assemblyscript-symbols": {"AssemblyScript"},
	"kotlin-imports":         {"Kotlin"},
	"kotlin-symbols":         {"Kotlin"},
	"dart-imports":           {"Dart"},
	"webcil":                 {"C#"},
}

// maxConflicts bounds the list; a component of a thousand forged modules is
// suspicious enough by the first ones.
const maxConflicts = 20

// conflict compares the producers section of a module with what was found in
// it.
func (c *collector) conflict(o *observer) {
	if o.b.Module == nil || len(c.conflicts) >= maxConflicts {
		return
	}
	c.languageConflict(o)
	c.versionConflict(o)
}

// languageConflict finds a section that names languages, but not the one whose
// runtime is there.
func (c *collector) languageConflict(o *observer) {
	var claimed []string
	for _, p := range o.b.Metadata.Producers[:min(len(o.b.Metadata.Producers), maxProducers)] {
		if p.Field == "language" {
			claimed = append(claimed, languageName(p.Name))
		}
	}
	if len(claimed) == 0 {
		return
	}
	for i := range rules {
		r := &rules[i]
		found, ok := exclusive[r.ID]
		if !ok || slices.Contains(claimed, found[0]) {
			continue
		}
		if evidence, ok := o.test(i); ok {
			c.conflicts = append(c.conflicts, Conflict{
				Kind: "language", Claimed: clip(strings.Join(slices.Compact(claimed), ", ")), Found: found[0],
				Offset: evidence[0].Offset, Evidence: evidence,
			})
			return
		}
	}
}

// versionConflict finds releases of rustc in the paths of its library of which
// the section names none.
func (c *collector) versionConflict(o *observer) {
	var claimed []string
	for _, p := range o.b.Metadata.Producers[:min(len(o.b.Metadata.Producers), maxProducers)] {
		if p.Name == "rustc" && p.Field == "processed-by" {
			claimed = append(claimed, producerVersion("rustc", p.Version))
		}
	}
	thing, ok := things().byRef["data /rustc/"]
	if len(claimed) == 0 || !ok {
		return
	}
	var found []string
	var evidence []Evidence
	for _, v := range o.versions {
		if v.thing != thing {
			continue
		}
		for _, cl := range claimed {
			if commitOf(cl) == "" || commitOf(cl) == commitOf(v.text) {
				return
			}
		}
		found = append(found, v.text)
		evidence = append(evidence, Evidence{Rule: "rust-library-path", Kind: KindData, What: "/rustc/" + v.text, Offset: v.offset})
	}
	if len(found) == 0 {
		return
	}
	slices.SortFunc(evidence, func(a, b Evidence) int { return cmp.Compare(a.Offset, b.Offset) })
	c.conflicts = append(c.conflicts, Conflict{
		Kind: "version", Claimed: clip("rustc " + strings.Join(claimed, ", ")), Found: clip("rustc " + strings.Join(found, ", ")),
		Offset: evidence[0].Offset, Evidence: evidence,
	})
}

// commitOf gives the part of a version of rustc in parentheses.
func commitOf(v string) string {
	_, after, ok := strings.Cut(v, "(")
	if !ok {
		return ""
	}
	return strings.TrimSuffix(after, ")")
}
