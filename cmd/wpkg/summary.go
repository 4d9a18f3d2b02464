package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/inspect/code"
	"github.com/wreg-project/wreg/inspect/origin"
	"github.com/wreg-project/wreg/inspect/signal"
	"github.com/wreg-project/wreg/internal/term"
)

// A summary writes what a person wants to know of a binary first, on one screen.
type summary struct {
	b      strings.Builder
	colour bool
	rep    *inspect.Report
}

// printSummary shows a report to a person.
func printSummary(w io.Writer, f *wasmFile, rep *inspect.Report, colour bool) error {
	s := &summary{colour: colour, rep: rep}
	s.facts(f)
	if rep.Kind != inspect.KindWITPackage {
		s.capabilities()
		s.packages()
		s.inside()
		s.signals()
	}
	s.wit()
	_, err := io.WriteString(w, s.b.String())
	return err
}

// heading begins a part.
func (s *summary) heading(title string) {
	fmt.Fprintf(&s.b, "\n%s\n", term.Paint(s.colour, term.Bold, title))
}

// table writes rows, indented; the first cell of each may have a style.
func (s *summary) table(rows [][]string, style func(row int) term.Style) {
	var b strings.Builder
	_ = term.Table(&b, rows) // a builder takes everything
	for i, line := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
		if style != nil && s.colour {
			word, rest, _ := strings.Cut(line, " ")
			line = term.Paint(true, style(i), word) + " " + rest
		}
		fmt.Fprintf(&s.b, "  %s\n", line)
	}
}

// facts are lines of a word and what it says.
func (s *summary) facts(f *wasmFile) {
	rep, rows := s.rep, [][]string{}
	add := func(k, v string) {
		if v != "" {
			rows = append(rows, []string{k, v})
		}
	}
	add("name", f.name)
	add("digest", f.digest)
	add("kind", s.kind())
	add("made from", findings(rep.Origin.Languages, 3))
	add("made by", findings(rep.Origin.Toolchains, 6))
	add("made for", hosts(rep.Origin.Hosts))
	add("needs", needs(rep.Requires))
	add("module", rep.Metadata.Name)
	add("version", rep.Metadata.Version)
	add("description", rep.Metadata.Description)
	add("authors", rep.Metadata.Authors)
	add("licenses", rep.Metadata.Licenses)
	add("source", rep.Metadata.Source)
	add("homepage", rep.Metadata.Homepage)
	add("revision", rep.Metadata.Revision)
	if c := rep.Component; c != nil {
		add("package", c.Package)
		add("world", c.Target)
	}
	if rep.Kind != inspect.KindWITPackage {
		add("interface", s.interfaces())
		add("memory", s.memory())
	}
	for _, p := range rep.Problems[:min(len(rep.Problems), 3)] {
		add("problem", fmt.Sprintf("%s (byte %#x)", p.Message, p.Offset))
	}
	_ = term.Table(&s.b, rows)
}

func (s *summary) kind() string {
	kind := map[inspect.Kind]string{
		inspect.KindModule: "core module", inspect.KindComponent: "component", inspect.KindWITPackage: "WIT package",
	}[s.rep.Kind]
	parts := []string{kind}
	if c := s.rep.Component; c != nil && s.rep.Kind == inspect.KindComponent {
		parts = append(parts, fmt.Sprintf("of %s", plural(len(c.Modules), "module")))
	}
	size := sizeText(s.rep.Size)
	if s.rep.Size >= 1024 {
		size += fmt.Sprintf(" (%d bytes)", s.rep.Size)
	}
	return strings.Join(parts, " ") + ", " + size
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// findings lists the likeliest n with their versions.
func findings(list []origin.Finding, n int) string {
	var parts []string
	for _, f := range list {
		name := f.Name
		if f.Version != "" {
			version, _, _ := strings.Cut(f.Version, " ")
			name += " " + version
		}
		switch {
		case f.Confidence < 0.5:
			name += " (perhaps)"
		case f.Role == origin.RoleInterpreted:
			name += " (interpreted)"
		}
		if !slices.Contains(parts, name) {
			parts = append(parts, name)
		}
	}
	if more := len(parts) - n; more > 0 {
		parts = append(parts[:n], fmt.Sprintf("%d more", more))
	}
	return strings.Join(parts, ", ")
}

func needs(features []string) string {
	if len(features) == 0 {
		return "nothing beyond WebAssembly 1.0"
	}
	return strings.Join(features, " ")
}

func hosts(list []origin.Finding) string {
	if len(list) == 1 && list[0].Name == "none" {
		return "any host: it imports nothing"
	}
	return findings(list, 4)
}

// interfaces says how much is imported and exported, and from where.
func (s *summary) interfaces() string {
	imports, exports := s.externs()
	var from []string
	for _, im := range s.rep.Imports {
		if where := im.Module; where != "" && !slices.Contains(from, where) {
			from = append(from, where)
		}
	}
	text := plural(len(imports)+s.rep.Missing("imports"), "import")
	if more := len(from) - 4; more > 0 {
		from = append(from[:4], fmt.Sprintf("%d more", more))
	}
	if len(from) > 0 {
		text += " from " + strings.Join(from, ", ")
	}
	return text + "; " + plural(len(exports)+s.rep.Missing("exports"), "export")
}

// externs gives the names of what is imported and exported: of a component those
// of its world, without the types that belong to them.
func (s *summary) externs() (imports, exports []string) {
	if w := s.rep.WIT; w != nil && s.rep.Kind == inspect.KindComponent && len(w.Worlds) == 1 {
		for _, e := range w.Worlds[0].Imports {
			imports = append(imports, e.Name)
		}
		for _, e := range w.Worlds[0].Exports {
			exports = append(exports, e.Name)
		}
		return imports, exports
	}
	for _, im := range s.rep.Imports {
		imports = append(imports, im.Name)
	}
	for _, ex := range s.rep.Exports {
		exports = append(exports, ex.Name)
	}
	return imports, exports
}

func (s *summary) memory() string {
	var parts []string
	for _, m := range s.rep.CoreModules() {
		for _, mem := range m.Memories {
			text := sizeText(int64(min(mem.Min, 1<<48/mem.PageSize)*mem.PageSize)) + " at first"
			if mem.Max != nil {
				text += ", at most " + sizeText(int64(min(*mem.Max, 1<<48/mem.PageSize)*mem.PageSize))
			} else {
				text += ", no maximum"
			}
			if mem.Shared {
				text += ", shared"
			}
			if !slices.Contains(parts, text) {
				parts = append(parts, text)
			}
		}
	}
	if len(parts) > 3 {
		parts = append(parts[:3], fmt.Sprintf("%d more", len(parts)-3))
	}
	return strings.Join(parts, "; ")
}

// capabilities lists what the binary may do, the gravest first.
func (s *summary) capabilities() {
	list := slices.Clone(s.rep.Capabilities.Capabilities)
	if len(list) == 0 {
		s.heading("May do")
		s.table([][]string{{"nothing but compute: it has no way to anything outside"}}, nil)
		return
	}
	slices.SortStableFunc(list, func(a, b capability.Capability) int {
		return compareCapabilities(b, a)
	})
	s.heading("May do")
	var rows [][]string
	for _, c := range list {
		title := capability.Describe(c.ID).Title
		if len(c.Access) > 0 {
			title += " (" + strings.Join(c.Access, ", ") + ")"
		}
		if c.Possible {
			title += ", possibly"
		}
		rows = append(rows, []string{c.Severity.String(), title, s.because(c)})
	}
	s.table(rows, func(i int) term.Style {
		switch list[i].Severity {
		case capability.Sensitive:
			return term.Red
		case capability.Notable:
			return term.Yellow
		default:
			return term.Dim
		}
	})
}

func compareCapabilities(a, b capability.Capability) int {
	rank := func(c capability.Capability) int {
		n := int(c.Severity)*100 + int(c.Level)*10
		if c.Origin == capability.Program {
			n++
		}
		return n
	}
	return rank(a) - rank(b)
}

// because says in a few words why a capability is listed: by which imports, and
// from where they are reached.
func (s *summary) because(c capability.Capability) string {
	by := ""
	if len(c.Evidence) > 0 {
		by = short(c.Evidence[0].Name, 40)
	}
	if c.Imports > 1 {
		by += fmt.Sprintf(" and %d more", c.Imports-1)
	}
	switch {
	case c.Level == capability.Declared:
		return by + ", never called"
	case c.Level == capability.Adapted:
		return by + ", for an adapter alone"
	case c.Origin == capability.Runtime:
		return by + ", by the language's runtime"
	case len(c.Evidence) > 0 && c.Evidence[0].Root != "":
		return by + ", from " + short(c.Evidence[0].Root, 32)
	}
	return by
}

// short cuts s to n characters.
func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// packages shows what the code is made of, with bars.
func (s *summary) packages() {
	sizes := map[string]int64{}
	var total, named int64
	for _, m := range s.rep.CoreModules() {
		for _, p := range m.Code.Sizes.Packages {
			sizes[p.Name] += p.Bytes
			total += p.Bytes
			if p.Name != "" {
				named += p.Bytes
			}
		}
	}
	if named == 0 {
		return
	}
	type share struct {
		name  string
		bytes int64
	}
	var list []share
	for name, n := range sizes {
		list = append(list, share{packageName(name), n})
	}
	slices.SortFunc(list, func(a, b share) int {
		if a.bytes != b.bytes {
			return int(min(1, max(-1, b.bytes-a.bytes)))
		}
		return strings.Compare(a.name, b.name)
	})
	const most, width = 6, 24
	s.heading("Made of")
	var rows [][]string
	var rest int64
	for i, p := range list {
		if i >= most {
			rest += p.bytes
			continue
		}
		rows = append(rows, []string{short(p.name, 48), sizeText(p.bytes), percent(p.bytes, total), bar(p.bytes, list[0].bytes, width)})
	}
	if rest > 0 {
		rows = append(rows, []string{plural(len(list)-most, "other"), sizeText(rest), percent(rest, total), bar(rest, list[0].bytes, width)})
	}
	s.table(rows, nil)
}

func percent(n, of int64) string { return fmt.Sprintf("%d %%", (200*n+of)/(2*max(of, 1))) }

// bar draws n as a part of most.
func bar(n, most int64, width int) string {
	return strings.Repeat("█", int(max(1, min(n, most)*int64(width)/max(most, 1))))
}

// inside sums up the functions of all core modules.
func (s *summary) inside() {
	var functions, dead, indirect, groups int
	var deadBytes int64
	var worst code.Ranked
	var typical, high uint32
	modules := s.rep.CoreModules()
	for _, m := range modules {
		c := m.Code
		functions += int(c.Totals.Functions)
		dead += c.Graph.Dead
		indirect += c.Graph.Indirect
		deadBytes += c.Graph.DeadBytes
		groups += c.Recursion.Count
		if len(c.MostComplex) > 0 && c.MostComplex[0].Complexity > worst.Complexity {
			worst, typical, high = c.MostComplex[0], c.Complexity.Median, c.Complexity.P95
		}
	}
	if functions == 0 {
		return
	}
	s.heading("Inside")
	rows := [][]string{{
		"functions", fmt.Sprintf("%d; %d reached only through tables, %d by nothing (%s)", functions, indirect, dead, sizeText(deadBytes)),
	}, {
		"complexity", fmt.Sprintf("%d at the median, %d at 95 %%, %d in %s", typical, high, worst.Complexity, short(rankedName(worst), 60)),
	}}
	if groups > 0 {
		rows = append(rows, []string{"recursion", plural(groups, "group") + " of functions that call each other"})
	}
	if list := s.rep.Signals.Algorithms; len(list) > 0 {
		var names []string
		for _, a := range list {
			names = append(names, a.Name)
		}
		rows = append(rows, []string{"algorithms", short(strings.Join(names, ", "), 100)})
	}
	if n := s.rep.Strings.Total; n > 0 {
		rows = append(rows, []string{"strings", fmt.Sprintf("%d, %s", n, sizeText(int64(s.rep.Strings.Bytes)))})
	}
	s.table(rows, nil)
}

// signals lists what deserves a second look.
func (s *summary) signals() {
	const most = 10
	list := slices.DeleteFunc(slices.Clone(s.rep.Signals.Signals), func(v signal.Signal) bool { return v.Severity == signal.Info })
	hidden := len(s.rep.Signals.Signals) - len(list)
	if len(list) == 0 {
		return
	}
	s.heading("Deserves a look")
	more := max(0, len(list)-most)
	list = list[:len(list)-more]
	var rows [][]string
	for _, v := range list {
		title := v.Title
		if v.Count > 1 {
			title += fmt.Sprintf(" (%d)", v.Count)
		}
		row := []string{string(v.Severity), title, "", ""}
		if len(v.Finds) > 0 {
			row[2], row[3] = place(v.Finds[0].Place), short(v.Finds[0].Evidence, 56)
		}
		rows = append(rows, row)
	}
	s.table(rows, func(i int) term.Style {
		switch list[i].Severity {
		case signal.High:
			return term.Red
		case signal.Medium:
			return term.Yellow
		default:
			return term.Dim
		}
	})
	if more+hidden > 0 {
		fmt.Fprintf(&s.b, "  and %d more: --view signals\n", more+hidden)
	}
}

// wit shows the interface of a component in short.
func (s *summary) wit() {
	rep := s.rep
	if rep.Component == nil {
		return
	}
	if rep.Kind == inspect.KindWITPackage {
		s.names("Worlds", rep.Component.Worlds)
		s.names("Interfaces", rep.Component.Interfaces)
		return
	}
	imports, exports := s.externs()
	s.names("Imports", imports)
	s.names("Exports", exports)
}

func (s *summary) names(title string, names []string) {
	const most = 12
	if len(names) == 0 {
		return
	}
	s.heading(fmt.Sprintf("%s (%d)", title, len(names)))
	for _, n := range names[:min(len(names), most)] {
		fmt.Fprintf(&s.b, "  %s\n", term.Clean(n))
	}
	if more := len(names) - most; more > 0 {
		fmt.Fprintf(&s.b, "  and %d more: wpkg wit show\n", more)
	}
}
