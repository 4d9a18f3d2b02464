package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/inspect/code"
	"github.com/wreg-project/wreg/inspect/signal"
	"github.com/wreg-project/wreg/inspect/symbol"
	"github.com/wreg-project/wreg/internal/term"
)

// views are the parts of a report that inspect shows in full.
var views = []view{
	{name: "imports", value: func(r *inspect.Report) any { return r.Imports }, rows: importRows},
	{name: "exports", value: func(r *inspect.Report) any { return r.Exports }, rows: exportRows},
	{name: "sections", value: func(r *inspect.Report) any { return r.Sections }, rows: sectionRows},
	{name: "functions", functions: true, value: func(r *inspect.Report) any { return r.Functions }, rows: functionRows},
	{name: "capabilities", value: func(r *inspect.Report) any { return r.Capabilities }, rows: capabilityRows},
	{name: "size", value: func(r *inspect.Report) any { return sizesOf(r) }, rows: sizeRows},
	{name: "strings", strings: math.MaxInt32, value: func(r *inspect.Report) any { return r.Strings }, rows: stringRows},
	{name: "signals", value: func(r *inspect.Report) any { return r.Signals }, rows: signalRows},
	{name: "features", value: func(r *inspect.Report) any { return r.Requires }, rows: featureRows},
	{name: "names", functions: true, value: func(r *inspect.Report) any { return namesOf(r) }, rows: nameRows},
}

func importRows(rep *inspect.Report) [][]string {
	rows := [][]string{{"IMPORT", "KIND", "TYPE"}}
	for _, i := range rep.Imports {
		rows = append(rows, []string{importedName(i.Module, i.Name), i.Kind, i.Type})
	}
	return missing(rep, "imports", rows)
}

// missing adds how many entries a list lacks that is too long for a report.
func missing(rep *inspect.Report, list string, rows [][]string) [][]string {
	if n := rep.Missing(list); n > 0 {
		rows = append(rows, append([]string{fmt.Sprintf("… and %d more", n)}, make([]string, len(rows[0])-1)...))
	}
	return rows
}

// importedName is how an import is called: components have no module.
func importedName(module, name string) string {
	if module == "" {
		return name
	}
	return module + " " + name
}

func exportRows(rep *inspect.Report) [][]string {
	rows := [][]string{{"EXPORT", "KIND", "TYPE"}}
	for _, e := range rep.Exports {
		rows = append(rows, []string{e.Name, e.Kind, e.Type})
	}
	return missing(rep, "exports", rows)
}

func sectionRows(rep *inspect.Report) [][]string {
	rows := [][]string{{"SECTION", "OFFSET", "SIZE", "BYTES"}}
	for _, s := range rep.Sections {
		name := s.Name
		if s.Custom {
			name = "custom " + strconv.Quote(s.Name)
		}
		rows = append(rows, []string{name, fmt.Sprintf("%#x", s.Offset), sizeText(s.Size), strconv.FormatInt(s.Size, 10)})
	}
	return missing(rep, "sections", rows)
}

func functionRows(rep *inspect.Report) [][]string {
	rows := [][]string{{
		"INDEX", "BYTES", "INSTRUCTIONS", "COMPLEXITY", "NESTING", "LOOPS", "FRAME", "CALLS", "RETAINED", "REACH", "NORMALISED", "FUNCTION",
	}}
	eachFunction(rep, func(t *code.FunctionTable, i int) {
		f := &t.Functions[i]
		row := []string{strconv.FormatUint(uint64(t.First)+uint64(i), 10)}
		for _, n := range []uint32{f.Bytes, f.Instructions, f.Complexity, f.Nesting, f.Loops, f.Frame, f.Calls + f.Indirect, t.Retained[i]} {
			row = append(row, strconv.FormatUint(uint64(n), 10))
		}
		rows = append(rows, append(row, t.Reach[i].String(), f.Normal.String(), functionName(t, i)))
	})
	return rows
}

func eachFunction(rep *inspect.Report, f func(t *code.FunctionTable, i int)) {
	for _, t := range rep.Functions {
		for i := range t.Functions {
			f(t, i)
		}
	}
}

func functionName(t *code.FunctionTable, i int) string {
	if t.Names != nil && t.Names[i] != "" {
		return symbol.Parse(t.Names[i]).Text
	}
	return ""
}

// A name is a function's name, as it is in the file and for people.
type name struct {
	Index uint32 `json:"index"`
	Name  string `json:"name"`
	symbol.Symbol
}

func namesOf(rep *inspect.Report) []name {
	list := []name{}
	eachFunction(rep, func(t *code.FunctionTable, i int) {
		if t.Names != nil && t.Names[i] != "" {
			list = append(list, name{t.First + uint32(i), t.Names[i], symbol.Parse(t.Names[i])})
		}
	})
	return list
}

func nameRows(rep *inspect.Report) [][]string {
	rows := [][]string{{"INDEX", "SCHEME", "PACKAGE", "NAME"}}
	for _, n := range namesOf(rep) {
		rows = append(rows, []string{strconv.FormatUint(uint64(n.Index), 10), n.Scheme.String(), n.Package, n.Text})
	}
	return rows
}

func capabilityRows(rep *inspect.Report) [][]string {
	rows := [][]string{{"CAPABILITY", "SEVERITY", "LEVEL", "ORIGIN", "ACCESS", "BY", "FROM"}}
	for _, c := range rep.Capabilities.Capabilities {
		access := strings.Join(c.Access, " ")
		if c.Possible {
			access = strings.TrimSpace(access + " (possibly)")
		}
		row := []string{string(c.ID), c.Severity.String(), c.Level.String(), c.Origin.String(), access}
		for i, e := range c.Evidence {
			if i > 0 {
				row = []string{"", "", "", "", ""}
			}
			rows = append(rows, append(row, importedName(e.Module, e.Name), way(e)))
		}
	}
	return rows
}

// way tells how an import is reached.
func way(e capability.Evidence) string {
	if e.Level != capability.Reachable {
		return e.Level.String()
	}
	return strings.Join(append([]string{e.Root}, e.Path...), " → ")
}

// A moduleSizes is where the bytes of one core module are.
type moduleSizes struct {
	Module string     `json:"module,omitempty"`
	Sizes  code.Sizes `json:"sizes"`
}

func sizesOf(rep *inspect.Report) []moduleSizes {
	list := []moduleSizes{}
	for _, m := range rep.CoreModules() {
		list = append(list, moduleSizes{m.Name, m.Code.Sizes})
	}
	return list
}

func sizeRows(rep *inspect.Report) [][]string {
	rows := [][]string{{"WHAT", "NAME", "BYTES", "SHARE", "RETAINED"}}
	share := func(n int64) string { return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(max(rep.Size, 1))) }
	for _, m := range rep.CoreModules() {
		s := m.Code.Sizes
		for _, x := range s.Sections {
			rows = append(rows, []string{"section", x.Name, strconv.FormatInt(x.Bytes, 10), share(x.Bytes), ""})
		}
		for _, x := range s.Packages {
			rows = append(rows, []string{
				"package", packageName(x.Name), strconv.FormatInt(x.Bytes, 10), share(x.Bytes), strconv.FormatInt(x.Retained, 10),
			})
		}
		for _, x := range m.Code.Largest {
			rows = append(rows, []string{
				"function", rankedName(x), strconv.FormatUint(uint64(x.Bytes), 10), share(int64(x.Bytes)), strconv.FormatUint(uint64(x.Retained), 10),
			})
		}
		for _, x := range s.Data {
			name := strings.TrimSpace(fmt.Sprintf("%d %s", x.Index, x.Name))
			rows = append(rows, []string{"data segment", name, strconv.FormatInt(x.Bytes, 10), share(x.Bytes), ""})
		}
	}
	return rows
}

func packageName(s string) string {
	if s == "" {
		return "(not named)"
	}
	return s
}

func rankedName(r code.Ranked) string {
	if r.Name != "" {
		return r.Name
	}
	return fmt.Sprintf("func %d", r.Index)
}

func stringRows(rep *inspect.Report) [][]string {
	rows := [][]string{{"OFFSET", "KIND", "STRING"}}
	for _, s := range rep.Strings.Strings {
		rows = append(rows, []string{fmt.Sprintf("%#x", s.Offset), string(s.Kind), s.Value})
	}
	return rows
}

func signalRows(rep *inspect.Report) [][]string {
	rows := [][]string{{"SEVERITY", "SCORE", "SIGNAL", "COUNT", "PLACE", "EVIDENCE"}}
	for _, s := range rep.Signals.Signals {
		row := []string{string(s.Severity), strconv.Itoa(s.Score), s.Title, strconv.Itoa(s.Count)}
		for i, f := range s.Finds {
			if i > 0 {
				row = []string{"", "", "", ""}
			}
			rows = append(rows, append(row, place(f.Place), f.Evidence))
		}
	}
	return rows
}

// place says where a signal was found.
func place(p signal.Place) string {
	s := fmt.Sprintf("%#x", p.Offset)
	if p.Function != nil {
		s += fmt.Sprintf(" func %d", *p.Function)
	} else if p.Section != "" {
		s += " " + p.Section
	}
	return s
}

func featureRows(rep *inspect.Report) [][]string {
	rows := [][]string{{"FEATURE"}}
	for _, f := range rep.Requires {
		rows = append(rows, []string{f})
	}
	return rows
}

func sizeText(n int64) string { return term.Bytes(n) }
