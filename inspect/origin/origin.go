// Package origin tells from which languages and by which tools a WebAssembly
// binary was made and for which hosts, and on what evidence.
//
// The producers section says so, but it can be stripped or forged. So each
// module is also held against a table of rules about what compilers, runtimes
// and bindings leave behind: custom sections, names of imports and exports,
// symbols, strings in data segments and the shape of the whole. Every finding
// lists the observations it rests on with their place in the file; findings
// that cannot be true together are listed as conflicts.
//
// The rules are data: [Rules] gives them for documentation, and
// docs/spec/origin.md is made from them.
package origin

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// An Origin is what is known about where a binary comes from and where it
// belongs. Lists are sorted by confidence, and are never nil.
type Origin struct {
	// Languages are those the code was written in, the likeliest first; those
	// that an interpreter in the binary reads have the role "interpreted".
	Languages []Finding `json:"languages"`

	// Toolchains are compilers, linkers, optimisers, bindings, runtimes and
	// packagers.
	Toolchains []Finding `json:"toolchains"`

	// Hosts are the kinds of hosts the binary is made for. A module without
	// imports, which fits any, has the host "none".
	Hosts []Finding `json:"hosts"`

	// Conflicts are findings that contradict each other.
	Conflicts []Conflict `json:"conflicts"`
}

// A Finding is one language, tool or host.
type Finding struct {
	Name string `json:"name"`

	// Version is as the evidence has it, "" if nothing tells. The same tool in
	// two versions is two findings.
	Version string `json:"version,omitempty"`

	Role Role `json:"role"`

	// Confidence lies between 0 and 1: the chance that at least one of the
	// rules that speak for it is right, were they independent. The weights of
	// the rules are judgements.
	Confidence float64 `json:"confidence"`

	// Evidence is at most MaxEvidence observations, one for each rule and
	// place, in the order of the rules.
	Evidence []Evidence `json:"evidence"`
}

// MaxEvidence bounds the observations listed for one finding. Of a component
// of many modules the first ones stand for all.
const MaxEvidence = 8

// A Role says what a finding has to do with the binary.
type Role string

// Roles of languages, toolchains and hosts.
const (
	RoleCompiled    Role = "compiled"    // a language the code was compiled from
	RoleInterpreted Role = "interpreted" // a language an interpreter inside reads
	RoleCompiler    Role = "compiler"
	RoleLinker      Role = "linker"
	RoleOptimiser   Role = "optimiser" // rewrites modules after the linker
	RoleBindings    Role = "bindings"  // generates glue code
	RoleRuntime     Role = "runtime"   // an interpreter, engine or library of the language
	RoleSDK         Role = "sdk"       // a collection of the above
	RolePackager    Role = "packager"  // makes, composes or fills components
	RoleTool        Role = "tool"      // named by the producers section, otherwise unknown
	RoleABI         Role = "abi"       // a host by what it must provide
	RoleForm        Role = "form"      // how a host starts or links the binary
)

// An Evidence is one observation.
type Evidence struct {
	// Rule is the id of a rule of Rules, or "producers".
	Rule string `json:"rule"`

	Kind Kind `json:"kind"`

	// What was seen: the name of the section, import, export or symbol, the
	// string, or a sentence about the shape. At most maxWhat bytes.
	What string `json:"what"`

	// Offset is where it is, in bytes from the start of the file.
	Offset int64 `json:"offset"`
}

// A Kind is the sort of thing that was observed.
type Kind string

// Kinds of evidence.
const (
	KindProducers Kind = "producers"
	KindSection   Kind = "section"
	KindImport    Kind = "import"
	KindExport    Kind = "export"
	KindSymbol    Kind = "symbol"
	KindData      Kind = "data"
	KindShape     Kind = "shape"
)

// A Conflict is a contradiction within one module.
type Conflict struct {
	// Kind is "language" if the producers section claims languages that the
	// runtime found in the module excludes, "version" if it claims a version of
	// rustc while the code names the commits of others.
	Kind    string `json:"kind"`
	Claimed string `json:"claimed"`
	Found   string `json:"found"`

	// Offset is that of the evidence for what was found.
	Offset   int64      `json:"offset"`
	Evidence []Evidence `json:"evidence"`
}

// maxWhat bounds Evidence.What in bytes; names of imports can be long.
const maxWhat = 160

// Detect finds out where b, which [wasm.Parse] made, comes from. Nested modules
// and components count as part of it. It reads data segments and names once.
func Detect(b *wasm.Binary) *Origin {
	c := &collector{found: map[key]*entry{}}
	c.binary(b)
	return c.report()
}

// A key identifies a finding.
type key struct {
	subject subject
	name    string
	version string
}

// An entry is a finding in the making.
type entry struct {
	key
	role     Role
	rules    map[string]float64 // weights of the rules that spoke for it
	size     int64              // of the code of the modules it was found in
	main     bool
	evidence []Evidence
}

// A collector gathers findings over all modules of a binary.
type collector struct {
	found     map[key]*entry
	conflicts []Conflict
	seen      []observation // see observe
	inner     bool          // in a component
}

// maxFindings bounds the entries of a collector: a producers section may hold
// thousands of names. A report with more would help nobody.
const maxFindings = 200

func (c *collector) binary(b *wasm.Binary) {
	if b.Module != nil {
		c.module(b)
		return
	}
	c.component(b)
	c.inner = true
	for _, m := range b.Component.Modules {
		c.binary(m)
	}
	for _, m := range b.Component.Components {
		c.binary(m)
	}
}

// add records that rule speaks for a claim.
func (c *collector) add(cl Claim, version, rule string, size int64, ev ...Evidence) {
	k := key{cl.subject, cl.Name, version}
	e := c.found[k]
	if e == nil {
		if len(c.found) >= maxFindings {
			return
		}
		e = &entry{key: k, role: cl.Role, rules: map[string]float64{}}
		c.found[k] = e
	}
	if w, ok := e.rules[rule]; !ok || w < cl.Weight {
		e.rules[rule] = cl.Weight
	}
	e.size += size
	e.main = e.main || cl.Main
	for _, one := range ev {
		if len(e.evidence) < MaxEvidence && !slices.Contains(e.evidence, one) {
			e.evidence = append(e.evidence, one)
		}
	}
}

// report merges findings without a version into those of the same name that
// have one, and sorts all.
func (c *collector) report() *Origin {
	c.mergeVersions()
	o := &Origin{Languages: []Finding{}, Toolchains: []Finding{}, Hosts: []Finding{}, Conflicts: []Conflict{}}
	for _, e := range c.sorted() {
		f := Finding{
			Name: e.name, Version: e.version, Role: e.role, Confidence: confidence(e.rules), Evidence: e.evidence,
		}
		switch e.subject {
		case language:
			o.Languages = append(o.Languages, f)
		case toolchain:
			o.Toolchains = append(o.Toolchains, f)
		case host:
			o.Hosts = append(o.Hosts, f)
		}
	}
	o.Conflicts = append(o.Conflicts, c.conflicts...)
	return o
}

func (c *collector) mergeVersions() {
	for k, e := range c.found {
		if k.version == "" {
			continue
		}
		if from := c.found[key{k.subject, k.name, ""}]; from != nil {
			e.merge(from)
		}
	}
	for k := range c.found {
		if k.version != "" {
			delete(c.found, key{k.subject, k.name, ""})
		}
	}
	c.mergeBindings()
}

// mergeBindings drops "wit-bindgen" where the generator for the language is
// known.
func (c *collector) mergeBindings() {
	generic := key{toolchain, "wit-bindgen", ""}
	from := c.found[generic]
	if from == nil {
		return
	}
	merged := false
	for k, e := range c.found {
		if k.subject == toolchain && strings.HasPrefix(k.name, "wit-bindgen-") {
			e.merge(from)
			merged = true
		}
	}
	if merged {
		delete(c.found, generic)
	}
}

func (e *entry) merge(from *entry) {
	for rule, w := range from.rules {
		e.rules[rule] = max(e.rules[rule], w)
	}
	e.size = max(e.size, from.size)
	e.main = e.main || from.main
	for _, one := range from.evidence {
		if len(e.evidence) < MaxEvidence {
			e.evidence = append(e.evidence, one)
		}
	}
}

// sorted gives the entries in the order of the report: what is compiled before
// what is interpreted, then by confidence in steps and the size of the code it
// was found in.
func (c *collector) sorted() []*entry {
	list := make([]*entry, 0, len(c.found))
	for _, e := range c.found {
		slices.SortStableFunc(e.evidence, func(a, b Evidence) int {
			return cmp.Or(cmp.Compare(ruleOrder(a.Rule), ruleOrder(b.Rule)), cmp.Compare(a.Offset, b.Offset))
		})
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *entry) int {
		return cmp.Or(
			cmp.Compare(a.order(), b.order()),
			cmp.Compare(b.rank(), a.rank()),
			cmp.Compare(a.name, b.name),
			cmp.Compare(a.version, b.version),
		)
	})
	return list
}

// rank weighs confidence by the size of the code: the adapter of a component is
// certain, and small.
func (e *entry) rank() float64 {
	return confidence(e.rules) * math.Log2(float64(2+e.size))
}

// order puts the language of an interpreter before those of its libraries, what
// is compiled before what is interpreted, and compilers before what works on
// their output.
func (e *entry) order() int {
	switch e.role {
	case RoleCompiled, RoleCompiler, RoleSDK, RoleABI:
		if e.main {
			return 0
		}
		return 1
	case RoleRuntime:
		return 2
	case RoleInterpreted, RoleLinker, RoleOptimiser, RoleBindings, RolePackager, RoleTool, RoleForm:
	}
	return 3
}

// confidence combines the weights of rules as if they were independent, and
// rounds to hundredths. Nothing is certain.
func confidence(rules map[string]float64) float64 {
	// Multiplication of floats is not associative; the order of a map would
	// show in the last digit.
	weights := make([]float64, 0, len(rules))
	for _, w := range rules {
		weights = append(weights, w)
	}
	slices.Sort(weights)
	wrong := 1.0
	for _, w := range weights {
		wrong *= 1 - w
	}
	return min(math.Round((1-wrong)*100)/100, 0.99)
}
