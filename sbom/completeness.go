package sbom

import (
	"cmp"
	"maps"
	"slices"

	"github.com/wreg-project/wreg/inspect/origin"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// incomplete says of each ecosystem why its list need not have all, where the
// extractor did not say more.
var incomplete = map[evidence.Ecosystem]string{
	evidence.Cargo:    "only crates whose source paths or texts stand in the binary are seen; code without a panic or a name leaves no trace",
	evidence.Go:       "the binary has no list of modules",
	evidence.NPM:      "only packages that keep a path, a banner or a version text are seen; bundlers take most of them away",
	evidence.PyPI:     "only distributions with metadata in an embedded file system are seen",
	evidence.Gem:      "only gems with files in an embedded file system are seen",
	evidence.Hackage:  "only packages that have an identifier in the binary are seen",
	evidence.NuGet:    "only assemblies that the metadata tables name are seen",
	evidence.Composer: "only packages with files in an embedded file system are seen",
	evidence.Generic:  "C and C++ libraries have no list; only those with a known version text are seen",
}

// languages are the ecosystems of compiled languages, by their names in reports of
// origin: a module of the language has components of the ecosystem, seen or not.
var languages = map[string]evidence.Ecosystem{
	"Rust": evidence.Cargo, "Go": evidence.Go, "C": evidence.Generic, "C++": evidence.Generic, "Haskell": evidence.Hackage,
	"C#": evidence.NuGet, "JavaScript": evidence.NPM, "Python": evidence.PyPI, "Ruby": evidence.Gem, "PHP": evidence.Composer,
	"AssemblyScript": evidence.NPM,
}

// completeness says of every ecosystem that the unit has components of, and of
// every one whose language it was written in, whether the list is whole. A module
// of which nothing is known has one statement, that nothing is.
func completeness(list []evidence.Component, stated []Completeness, from *origin.Origin, cut bool) []Completeness {
	all := map[evidence.Ecosystem]Completeness{}
	state := func(e evidence.Ecosystem) {
		if _, ok := all[e]; !ok {
			all[e] = Completeness{Ecosystem: e, Reason: incomplete[e]}
		}
	}
	for _, s := range stated {
		all[s.Ecosystem] = s
	}
	for _, c := range list {
		if have, ok := all[c.Ecosystem]; !ok || !have.Complete && auditable(c) {
			all[c.Ecosystem] = usual(c)
		}
	}
	if from != nil {
		for _, l := range from.Languages {
			if e, ok := languages[l.Name]; ok && l.Confidence >= sureTrace {
				state(e)
			}
		}
		if len(all) == 0 {
			all[evidence.Generic] = Completeness{
				Ecosystem: evidence.Generic, Reason: "nothing in the module tells what it was made of",
			}
		}
	}
	out := slices.AppendSeq(make([]Completeness, 0, len(all)), maps.Values(all))
	slices.SortFunc(out, func(a, b Completeness) int { return cmp.Compare(a.Ecosystem, b.Ecosystem) })
	for i := range out {
		if cut {
			out[i].Complete, out[i].Reason = false, "there are more components than a list may have"
		}
	}
	return out
}

// usual is the statement about the ecosystem of a component when its extractor
// made none. Interfaces are part of the type of a component: it cannot hide any.
func usual(c evidence.Component) Completeness {
	if c.Ecosystem == evidence.WIT {
		return Completeness{Ecosystem: evidence.WIT, Complete: true, Reason: "imports and exports name every interface"}
	}
	if auditable(c) {
		return Completeness{Ecosystem: c.Ecosystem, Complete: true, Reason: "cargo-auditable lists every crate of the build"}
	}
	return Completeness{Ecosystem: c.Ecosystem, Reason: incomplete[c.Ecosystem]}
}

// sureTrace is the least confidence in a language or tool that traces tell of:
// the names of a small module may look like those of another compiler.
const sureTrace = 0.9

// toolRoles are the roles of origin that took part in the build and are not in
// the binary, by the fields of the producers section.
var toolRoles = map[origin.Role]string{
	origin.RoleCompiler: "processed-by", origin.RoleLinker: "processed-by", origin.RoleOptimiser: "processed-by",
	origin.RoleBindings: "processed-by", origin.RolePackager: "processed-by", origin.RoleTool: "processed-by", origin.RoleSDK: "sdk",
}

// tools lists what the producers section says, and then what traces of other tools
// tell that are not in it.
func tools(b *wasm.Binary, from *origin.Origin) []Tool {
	list := []Tool{}
	named := map[string]bool{}
	add := func(t Tool) {
		t.Name, t.Version = evidence.Clean(t.Name, evidence.MaxName), evidence.Clean(t.Version, evidence.MaxVersion)
		if len(list) < MaxTools && t.Name != "" && !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	for _, p := range b.Metadata.Producers {
		named[p.Name] = true
		add(Tool{Name: p.Name, Version: p.Version, Role: p.Field})
	}
	if from != nil {
		for _, f := range from.Toolchains {
			if role, ok := toolRoles[f.Role]; ok && !named[f.Name] && f.Confidence >= sureTrace {
				add(Tool{Name: f.Name, Version: f.Version, Role: role})
			}
		}
	}
	slices.SortFunc(list, Tool.compare)
	return list
}
