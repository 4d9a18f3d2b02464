package scan

import (
	"slices"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
)

// A Binary is the Code of a parsed binary. What it needs of a module it makes
// when that is first asked about. It is not safe for concurrent use.
type Binary struct {
	modules  map[place]*wasm.Binary
	analyses map[*wasm.Binary]*reach.Analysis
}

// A place tells the parts of a file apart: nothing else begins and ends there.
type place struct{ offset, size int64 }

func placeOf(u *sbom.Unit) place { return place{u.Offset, u.Size} }

// CodeOf gives the Code of b, which must come from wasm.Parse.
func CodeOf(b *wasm.Binary) *Binary {
	c := &Binary{modules: map[place]*wasm.Binary{}, analyses: map[*wasm.Binary]*reach.Analysis{}}
	c.walk(b)
	return c
}

func (c *Binary) walk(b *wasm.Binary) {
	if b.Component == nil {
		c.modules[place{b.Offset, b.Size}] = b
		return
	}
	for _, m := range b.Component.Modules {
		c.modules[place{m.Offset, m.Size}] = m
	}
	for _, inner := range b.Component.Components {
		c.walk(inner)
	}
}

// Query implements Code.
func (c *Binary) Query(u *sbom.Unit, queries []reach.Query) []reach.Result {
	m := c.module(u)
	if m == nil {
		return unknown(queries)
	}
	a := c.analyses[m]
	if a == nil {
		a = analyse(m, u)
		c.analyses[m] = a
	}
	return a.Query(queries)
}

// module gives the module that u is, nil if names say nothing about what is in it.
func (c *Binary) module(u *sbom.Unit) *wasm.Binary {
	if !slices.ContainsFunc(u.Components, hasFunctions) {
		return nil
	}
	return c.modules[placeOf(u)]
}

func analyse(m *wasm.Binary, u *sbom.Unit) *reach.Analysis {
	return reach.New(m, reach.Options{Main: mainOf(u)})
}

// hasFunctions reports whether functions of a component can be told by name.
func hasFunctions(c evidence.Component) bool {
	return c.Ecosystem == evidence.Go || c.Ecosystem == evidence.Cargo
}

func unknown(queries []reach.Query) []reach.Result {
	return slices.Repeat([]reach.Result{{Reason: "nothing is known of the functions of the unit"}}, len(queries))
}

// mainOf is the path of the Go module that the program is.
func mainOf(u *sbom.Unit) string {
	i := slices.IndexFunc(u.Components, func(c evidence.Component) bool { return c.Main && c.Ecosystem == evidence.Go })
	if i < 0 {
		return ""
	}
	return u.Components[i].Name
}
