package search

import (
	"slices"
	"strings"

	"github.com/wreg-project/wreg/internal/near"
	"github.com/wreg-project/wreg/storage/meta"
)

// An operator is a word before a colon.
type operator struct {
	name string
	kind kind
	// stored is the beginning of its terms in the index, if that is not its name.
	stored string
	column meta.Column
	facet  bool
}

// A kind says what may stand behind an operator.
type kind int

const (
	// values are looked up whole, or by their beginning.
	values kind = iota
	// words are cut up like text: all of them have to be there.
	words
	// names have parts, "wasi:http/types@0.2.0", and can be cut behind ':' and '/'.
	names
	digests
	sizes
	counts
	dates
	functions
	// dependencies are package URLs or names, with a version or a range of them.
	dependencies
)

// operators are all there are.
var operators = []operator{
	{name: "text", kind: words},
	{name: "name", kind: words},
	{name: "author", kind: words},
	{name: "repo"},
	{name: "within"},
	{name: "ns", stored: "within"},
	{name: "version"},
	{name: "tag"},
	{name: "digest", kind: digests},
	{name: "layer", kind: digests},
	{name: "type"},
	{name: "license", facet: true},

	{name: "kind", facet: true},
	{name: "wasi", facet: true},
	{name: "lang", facet: true},
	{name: "tool", facet: true},
	{name: "host", facet: true},
	{name: "target", kind: names, facet: true},
	{name: "feature", facet: true},
	{name: "imports", kind: names},
	{name: "exports", kind: names},
	{name: "interface", kind: names},
	{name: "capability", facet: true},
	{name: "declared", stored: "capability"},
	{name: "reachable", facet: true},
	{name: "hidden-capability", facet: true},
	{name: "signal", facet: true},
	{name: "section"},
	{name: "function", kind: functions},

	{name: "dep", kind: dependencies},
	{name: "dep-license", facet: true},
	{name: "sbom", facet: true},
	{name: "vuln"},
	{name: "vuln-severity", facet: true},
	{name: "vuln-reachable", facet: true},

	{name: "signed"},
	{name: "signed-by"},
	{name: "attested"},

	{name: "aot", facet: true},

	{name: "is", facet: true},
	{name: "verdict", facet: true},
	{name: "size", kind: sizes, column: meta.ColumnSize},
	{name: "pulls", kind: counts, column: meta.ColumnPulls},
	{name: "updated", kind: dates, column: meta.ColumnUpdated},
}

func lookUp(name string) (operator, bool) {
	i := slices.IndexFunc(operators, func(o operator) bool { return o.name == name })
	if i < 0 {
		return operator{}, false
	}
	return operators[i], true
}

// prefix is how terms of the operator begin.
func (o operator) prefix() string {
	if o.stored != "" {
		return o.stored + ":"
	}
	return o.name + ":"
}

// FacetOperators are those whose values can be counted, in the order of the
// documentation.
func FacetOperators() []string {
	var list []string
	for _, o := range operators {
		if o.facet {
			list = append(list, o.name)
		}
	}
	return list
}

// nearest is the operator that a misspelt one was probably meant to be, "" if
// none is near.
func nearest(name string) string {
	best, found := 1+len(name)/3, ""
	for _, o := range operators {
		switch d := near.Distance(name, o.name); {
		case d < best, d == best && found == "":
			best, found = d, o.name
		case strings.HasPrefix(o.name, name) && len(name) > 2 && found == "":
			found = o.name
		}
	}
	for _, a := range aliases {
		if a[0] == name {
			return a[1]
		}
	}
	return found
}

// aliases are words that people try, with what they mean.
var aliases = [][2]string{
	{"language", "lang"},
	{"toolchain", "tool"},
	{"import", "imports"},
	{"export", "exports"},
	{"cap", "capability"},
	{"capabilities", "capability"},
	{"namespace", "ns"},
	{"org", "ns"},
	{"package", "name"},
	{"pkg", "name"},
	{"licence", "license"},
	{"downloads", "pulls"},
	{"date", "updated"},
	{"created", "updated"},
	{"pushed", "updated"},
	{"repository", "repo"},
	{"hash", "digest"},
	{"sha256", "digest"},
	{"features", "feature"},
	{"fn", "function"},
	{"world", "target"},
	{"hidden", "hidden-capability"},
	{"dependency", "dep"},
	{"depends", "dep"},
	{"component", "dep"},
	{"purl", "dep"},
	{"cve", "vuln"},
	{"advisory", "vuln"},
	{"vulnerability", "vuln"},
	{"severity", "vuln-severity"},
	{"dep-licence", "dep-license"},
	{"variant", "aot"},
	{"native", "aot"},
}
