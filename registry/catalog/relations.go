package catalog

import (
	"context"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/registry/search"
	"github.com/wreg-project/wreg/storage/meta"
)

// Bounds of the tree of dependencies.
const (
	maxTreeDepth = 8
	maxTreeNodes = 500 // imports, each a search
	maxProviders = 5   // of one import
	findProvider = 50  // versions among which they are chosen
)

// A tree is one of dependencies while it grows.
type tree struct {
	api       *API
	q         *request
	nodes     int
	truncated bool
}

// getDependencies gives what a version imports, with who exports it.
func (a *API) getDependencies(ctx context.Context, q *request) (answer, error) {
	d, err := a.digestOf(ctx, q.repo, q.version)
	if err != nil {
		return answer{}, err
	}
	t := &tree{api: a, q: q}
	key := meta.ManifestKey{Repo: q.repo, Digest: d}
	imports, err := t.imports(ctx, key, int(q.number("depth")), []meta.ManifestKey{key})
	if err != nil {
		return answer{}, err
	}
	return found(wire.Dependencies{Package: wire.PackageName(q.repo), Digest: d, Imports: imports, Truncated: t.truncated})
}

// imports gives those of a version, depth levels deep; path is what stands above
// it in the tree, itself included.
func (t *tree) imports(ctx context.Context, key meta.ManifestKey, depth int, path []meta.ManifestKey) ([]wire.Dependency, error) {
	files, _, err := t.api.filesOf(ctx, key.Repo, key.Digest)
	if err != nil {
		return nil, err
	}
	list := []wire.Dependency{}
	hosted, names := imported(files)
	for _, name := range names {
		if t.nodes++; t.nodes > maxTreeNodes {
			t.truncated = true
			break
		}
		dep := wire.Dependency{Interface: name, Host: hosted[name]}
		if dep.Providers, dep.More, err = t.providers(ctx, name, depth, path); err != nil {
			return nil, err
		}
		list = append(list, dep)
	}
	return list, nil
}

// imported are the interfaces and modules that files import, sorted, and whether
// hosts provide each: all that is imported of it is something that a known host
// has. Types that a component imports need nobody.
func imported(files []ingest.File) (hosted map[string]bool, names []string) {
	hosted = map[string]bool{}
	types := map[string]bool{}
	for _, f := range files {
		for _, im := range f.Report.Imports {
			name := im.Module
			if name == "" {
				name = im.Name
			}
			if im.Module == "" && im.Kind == "type" {
				types[name] = true
				continue
			}
			known, seen := hosted[name]
			hosted[name] = (known || !seen) && (ofHost(name) || capability.Lookup(im.Module, im.Name).Known())
		}
		names = append(names, f.Report.ImportModules...)
		names = append(names, f.Report.Interfaces.Imports...)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return types[n] })
	slices.Sort(names)
	return hosted, slices.Compact(names)
}

// exported are the interfaces that files export, sorted.
func exported(files []ingest.File) (names []string) {
	for _, f := range files {
		names = append(names, f.Report.Interfaces.Exports...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// exports is the name by which a hit answers a query for compatible versions of an
// interface.
func exports(h search.Hit, asked string) string {
	for _, m := range h.Why {
		for _, t := range m.Terms {
			if name, ok := strings.CutPrefix(t, "exports:"); ok {
				return name
			}
		}
	}
	return asked
}

// ofHost reports whether an interface or module of imports is one of WASI.
func ofHost(name string) bool {
	return strings.HasPrefix(name, "wasi:") || name == "wasi_snapshot_preview1" || name == "wasi_unstable"
}

// providers are the versions that export an interface, the highest of each
// package, with what they import in turn.
func (t *tree) providers(ctx context.Context, name string, depth int, path []meta.ManifestKey) ([]wire.Provider, bool, error) {
	list := []wire.Provider{}
	query, ok := compatible("exports", name)
	if !ok || !strings.Contains(name, ":") {
		return list, false, nil // what a core module calls the module that it imports from names no package
	}
	// A WIT package has the interface and nothing behind it.
	got, err := t.api.find(ctx, t.q, query+" -kind:wit-package", search.SortUpdated, "", findProvider)
	if err != nil {
		return nil, false, err
	}
	more := got.CountIsLeast || got.Count > len(got.Hits)
	for _, h := range highest(got.Hits) {
		if len(list) == maxProviders {
			return list, true, nil
		}
		p := wire.Provider{Package: wire.PackageName(h.Repo), Version: h.version, Digest: h.Digest, Exports: exports(h.Hit, name)}
		key := meta.ManifestKey{Repo: h.Repo, Digest: h.Digest}
		switch {
		case slices.ContainsFunc(path, func(k meta.ManifestKey) bool { return k.Repo == key.Repo }):
			p.Seen = true
		case depth > 1:
			if p.Imports, err = t.imports(ctx, key, depth-1, append(slices.Clone(path), key)); err != nil {
				return nil, false, err
			}
		default:
			t.truncated = true
		}
		list = append(list, p)
	}
	return list, more, nil
}

// A versionHit is a hit with its version.
type versionHit struct {
	search.Hit
	version string
}

// highest keeps the highest version of each package, in the order in which
// packages come first.
func highest(hits []search.Hit) (list []versionHit) {
	for _, h := range hits {
		v := versionHit{h, ""}
		if hit, err := wireHit(h); err == nil {
			v.version = hit.Version
		}
		i := slices.IndexFunc(list, func(o versionHit) bool { return o.Repo == h.Repo })
		switch {
		case i < 0:
			list = append(list, v)
		case compareNamed(versionName(v.version), versionName(list[i].version)) < 0:
			list[i] = v
		}
	}
	return list
}

// versionName is a version in the order of tags.
func versionName(version string) named { return nameTag(strings.Replace(version, "+", "_", 1), false) }

// maxDependencies is how many interfaces dependents are looked for by.
const maxDependencies = 50

// listDependents lists who imports what the latest version exports, newest first.
func (a *API) listDependents(ctx context.Context, q *request) (answer, error) {
	tags, err := a.tags(ctx, q.repo)
	if err != nil {
		return answer{}, err
	}
	list := wire.List[wire.Dependent]{Items: []wire.Dependent{}}
	latest := tags.latest()
	if latest == "" && len(tags) > 0 {
		latest = tags[0].tag // a prerelease, or a tag that is no version
	}
	if latest == "" {
		return found(list)
	}
	d, err := a.digestOf(ctx, q.repo, registryRef{tag: latest})
	if err != nil {
		return answer{}, err
	}
	files, _, err := a.filesOf(ctx, q.repo, d)
	if err != nil {
		return answer{}, err
	}
	names := exported(files)
	if len(names) == 0 {
		return found(list) // a core module offers functions, and no interface
	}
	return a.dependents(ctx, q, names[:min(len(names), maxDependencies)])
}

func (a *API) dependents(ctx context.Context, q *request, names []string) (answer, error) {
	var from string
	if _, err := q.after(&from); err != nil {
		return answer{}, err
	}
	var clauses []string
	byClause := map[string]string{}
	for _, name := range names {
		if c, ok := compatible("imports", name); ok && byClause[c] == "" {
			clauses = append(clauses, c)
			byClause[c] = name
		}
	}
	got, err := a.find(ctx, q, strings.Join(clauses, " OR "), search.SortUpdated, from, q.limit())
	if err != nil {
		return answer{}, err
	}
	list := wire.List[wire.Dependent]{Items: []wire.Dependent{}}
	for _, h := range got.Hits {
		if h.Repo == q.repo {
			continue // versions of the package itself
		}
		hit, err := wireHit(h)
		if err != nil {
			return answer{}, err
		}
		dep := wire.Dependent{Hit: hit, Interfaces: []string{}}
		for _, m := range hit.Why {
			if name := byClause[m.Clause]; name != "" {
				dep.Interfaces = append(dep.Interfaces, name)
			}
		}
		dep.Why = nil
		list.Items = append(list.Items, dep)
	}
	if got.Next != "" {
		if list.Next, err = q.next(got.Next); err != nil {
			return answer{}, err
		}
	}
	return found(list)
}
