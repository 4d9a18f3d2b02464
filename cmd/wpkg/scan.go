package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/internal/durable"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/sbom/vuln/vex"
)

// scanFlags are the flags of scan.
type scanFlags struct {
	known     advisoryFlags
	author    string
	failOn    string
	reachable bool
	out       string
}

// Values of --fail-on besides the ratings.
const (
	failAny   = "any"
	failNever = "never"
)

func (t *tool) scanCommand() *cli.Command {
	var f scanFlags
	return &cli.Command{
		Name:      "scan",
		Usage:     "find known vulnerabilities in Wasm, and whether their code can run",
		ArgsUsage: "FILE|REF|LAYOUT|FOLDER...",
		Description: `Derives the bill of materials of each binary and matches it with advisories in
the OSV format. Each finding says how close it comes: present, the component is in
the binary; linked, code of the affected package is; symbol-linked, an affected
function is; reachable, calls lead to it from outside; or unknown.

Advisories are folders, or zip files as OSV publishes them for each ecosystem
(all.zip), named by --db, by WPKG_ADVISORIES, or laid into the folder
` + "`wpkg/advisories`" + ` of the user's data. Nothing is fetched.

The status is 3 if there is a finding that --fail-on says. --reachable-only leaves
out findings whose code cannot run for certain; those of which nothing is known
stay. What a --vex document states not to be affected, or to be fixed, is listed
apart and does not count. What is attached to a package is whoever's word who may
push there: it is shown, and counts with --vex attached. Of components that only
an attached bill of materials declares, findings are listed as well.

--output takes besides:
   sarif       2.1.0, for code scanning
   cyclonedx   a bill of materials with its vulnerabilities, 1.6
   openvex     statements about what cannot run, with the evidence, for others

   wpkg scan app.wasm --db Go/all.zip --db crates.io/all.zip
   wpkg scan dist --fail-on high --reachable-only --output sarif -o scan.sarif
   wpkg scan app.wasm --output openvex --author 'A. Uthor' -o app.vex.json`,
		Flags: append(f.known.flags(),
			&cli.StringFlag{
				Name: "author", Value: "wpkg", Usage: "with --output openvex, `WHO` states it", Destination: &f.author,
			},
			&cli.StringFlag{
				Name: "fail-on", Value: failAny, Destination: &f.failOn,
				Usage: "end with status 3 from this `RATING` on: critical, high, medium, low, any or never",
			},
			&cli.BoolFlag{
				Name: "reachable-only", Usage: "leave out what certainly cannot run", Destination: &f.reachable, DisableDefaultText: true,
			},
			&cli.StringFlag{Name: "o", Usage: "write the report to this `FILE`", Destination: &f.out, TakesFile: true},
		),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, -1); err != nil {
				return err
			}
			if !slices.Contains([]string{"critical", "high", "medium", "low", failAny, failNever}, f.failOn) {
				return usagef("--fail-on %s: it is critical, high, medium, low, any or never", term.Clean(f.failOn))
			}
			return t.scan(c.Context, c.Args().Slice(), &f)
		},
	}
}

// A scanned is one binary and what was found in it.
type scanned struct {
	Name   string `json:"name"` // the file or reference
	Digest string `json:"digest,omitempty"`
	SHA256 string `json:"sha256,omitempty"` // of the binary
	Size   int64  `json:"size,omitempty"`   // bytes

	// Findings count. Stated are those that a VEX statement says not to be
	// affected, or to be fixed, and Possible what may be true; neither counts.
	Findings []scanFinding  `json:"findings,omitzero"`
	Stated   []scanFinding  `json:"stated,omitempty"`
	Possible []scan.Finding `json:"possible,omitzero"`

	// RuledOut is how many findings --reachable-only left out.
	RuledOut int    `json:"ruledOut,omitempty"`
	Error    string `json:"error,omitempty"`

	err        error
	target     target
	products   []string // package URLs that statements may name it by
	components int
	all        []scanFinding  // of proven components, whether they count or not
	doc        *sbom.Document // only if the output needs it
}

// A scanFinding is one finding of a scan with what was stated about it.
type scanFinding struct {
	scan.Finding

	// Statement is the VEX statement that holds for it, nil without one.
	Statement *statement `json:"vex,omitempty"`

	// Declared says that only the publisher's bill of materials has the component.
	Declared bool `json:"declared,omitempty"`
}

// ruledOut reports whether it is certain that no affected code can run. Who says
// that it is affected all the same may know more.
func (f scanFinding) ruledOut() bool {
	return f.RuledOut() && (f.Statement == nil || f.Statement.Status != vex.Affected)
}

// A scanner holds binaries against advisories.
type scanner struct {
	*matcher
	flags   *scanFlags
	created time.Time // of documents
}

func (t *tool) scan(ctx context.Context, args []string, f *scanFlags) error {
	s, err := t.newScanner(ctx, f)
	if err != nil {
		return err
	}
	defer s.close()
	items, err := s.all(ctx, args)
	if err != nil {
		return err
	}
	s.stated.warn(t)
	if err := s.write(items); err != nil {
		return err
	}
	failed := slices.IndexFunc(items, func(one scanned) bool { return one.err != nil })
	switch {
	case failed >= 0 && len(items) == 1:
		return items[failed].err
	case failed >= 0:
		return errors.New("some of it could not be scanned")
	case slices.ContainsFunc(items, f.fails):
		return errFinding
	}
	return nil
}

// newScanner reads what the flags name. The caller closes it.
func (t *tool) newScanner(ctx context.Context, f *scanFlags) (s *scanner, err error) {
	s = &scanner{flags: f}
	if s.created, err = creationTime(); err != nil {
		return nil, err
	}
	if s.created.IsZero() {
		s.created = time.Now()
	}
	s.matcher, err = t.newMatcher(ctx, &f.known)
	return s, err
}

// all scans what the arguments name. What cannot be read is an item with an
// error; a wrong argument ends the scan.
func (s *scanner) all(ctx context.Context, args []string) (items []scanned, err error) {
	a := &auditor{tool: s.tool} // whose arguments mean the same
	for _, arg := range args {
		targets, err := a.targets(ctx, arg)
		if err != nil {
			return nil, err
		}
		for _, target := range targets {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			one, err := s.one(ctx, target)
			if err != nil {
				one.Error, one.err = message(err), err
			}
			items = append(items, one)
		}
	}
	return items, nil
}

// one scans one binary.
func (s *scanner) one(ctx context.Context, at target) (scanned, error) {
	one := scanned{Name: at.name, target: at}
	f, err := at.load(ctx)
	if err != nil {
		return one, err
	}
	one.Name, one.Digest, one.Size = f.name, f.digest, int64(len(f.data))
	b, err := wasm.Parse(f.data)
	if err != nil {
		return one, f.fault(err)
	}
	d, err := sbom.Extract(b, sbom.Options{Name: f.name})
	if err != nil {
		return one, f.fault(err)
	}
	one.SHA256, one.products = d.Subject.SHA256, productsOf(f, d)
	for range d.All() {
		one.components++
	}
	if s.format == formatCycloneDX {
		one.doc = d
	}
	more, err := s.attached(ctx, f)
	if err != nil {
		return one, err
	}
	derived, declared, err := s.match(ctx, d, scan.CodeOf(b), more)
	if err != nil {
		return one, err
	}
	one.Possible = derived.Possible
	one.all = s.stated.apply(one.products, one.digests(), slices.Concat(derived.Findings, declared.Findings), more)
	for i := len(derived.Findings); i < len(one.all); i++ {
		one.all[i].Declared = true
	}
	one.sort(s.flags.reachable)
	return one, nil
}

// sort takes findings apart into those that count and those that do not.
func (s *scanned) sort(reachable bool) {
	s.Findings = []scanFinding{}
	for _, f := range s.all {
		switch {
		case f.Statement.dismisses():
			s.Stated = append(s.Stated, f)
		case reachable && f.ruledOut():
			s.RuledOut++
		default:
			s.Findings = append(s.Findings, f)
		}
	}
}

// fails reports whether a binary has a finding that --fail-on says. What is no
// vulnerability in itself never counts.
func (f *scanFlags) fails(s scanned) bool {
	return f.failOn != failNever && slices.ContainsFunc(s.Findings, func(v scanFinding) bool {
		return v.Informational == "" && (f.failOn == failAny || v.Severity.Rating.AtLeast(vuln.Rating(f.failOn)))
	})
}

// write writes the report in the format asked for, to a file or to standard
// output.
func (s *scanner) write(items []scanned) error {
	if s.flags.out == "" {
		return s.print(s.tool, items)
	}
	var b strings.Builder
	to := *s.tool
	to.out = &b
	if err := s.print(&to, items); err != nil {
		return err
	}
	return durable.WriteFile(s.flags.out, []byte(b.String()), 0o644)
}

func (s *scanner) print(t *tool, items []scanned) error {
	switch t.format {
	case formatSARIF:
		return writeScanSARIF(t.out, items)
	case formatCycloneDX:
		return writeScanCycloneDX(t.out, items, s.created)
	case formatOpenVEX:
		return s.writeOpenVEX(t.out, items)
	case formatJSON, formatYAML:
		return emitEach(t, items, nil)
	}
	for i, one := range items {
		if i > 0 {
			fmt.Fprintln(t.out)
		}
		if err := t.printScanned(one, len(items) > 1); err != nil {
			return err
		}
	}
	return nil
}

// printScanned shows what was found in one binary.
func (t *tool) printScanned(s scanned, named bool) error {
	if named {
		fmt.Fprintln(t.out, term.Paint(term.Colour(t.out), term.Bold, term.Clean(s.Name)))
	}
	if s.Error != "" {
		_, err := fmt.Fprintf(t.out, "not scanned: %s\n", term.Clean(s.Error))
		return err
	}
	if len(s.Findings) > 0 {
		if err := term.Table(t.out, findingRows(s.Findings)); err != nil {
			return err
		}
	}
	if len(s.Stated) > 0 {
		if len(s.Findings) > 0 {
			fmt.Fprintln(t.out)
		}
		if err := term.Table(t.out, statedRows(s.Stated)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(t.out, s.sum())
	return err
}

func findingRows(fs []scanFinding) [][]string {
	rows := [][]string{{"ADVISORY", "SEVERITY", "COMPONENT", "FIXED IN", "CODE", "STATED", "SUMMARY"}}
	for _, f := range fs {
		stated := ""
		if f.Statement != nil {
			stated = f.Statement.status()
		}
		rows = append(rows, []string{
			f.ID, severityOf(f.Finding), componentOf(f.Finding), strings.Join(f.Fixed, ", "), codeOf(f), stated,
			clip(f.Summary, maxSummary),
		})
	}
	return dropEmpty(rows, "STATED")
}

// statedRows lists what statements say not to matter, who says so and why.
func statedRows(fs []scanFinding) [][]string {
	rows := [][]string{{"NOT COUNTED", "SEVERITY", "COMPONENT", "STATED", "BY", "WHY"}}
	for _, f := range fs {
		s := f.Statement
		rows = append(rows, []string{
			f.ID, severityOf(f.Finding), componentOf(f.Finding), s.status(), s.by(), clip(cmp.Or(s.Text, string(s.Justification)), maxSummary),
		})
	}
	return rows
}

// componentOf names the component of a finding, with the module that it is in.
func componentOf(f scan.Finding) string {
	return strings.TrimSpace(f.Unit + " " + strings.TrimSpace(f.Name+" "+f.Version))
}

// codeOf says how close the code of a finding is.
func codeOf(f scanFinding) string {
	if f.Declared {
		return "declared"
	}
	return f.Reach.Level.String()
}

// maxSummary is how much of a summary fits into a line, in characters.
const maxSummary = 60

func severityOf(f scan.Finding) string {
	switch {
	case f.Informational != "":
		return f.Informational
	case f.KEV != nil:
		return strings.TrimSpace(string(f.Severity.Rating) + " exploited")
	case f.Severity.Score > 0:
		return fmt.Sprintf("%s %.1f", f.Severity.Rating, f.Severity.Score)
	}
	return string(f.Severity.Rating)
}

// sum says in a line how many findings there are, and how close they come.
func (s scanned) sum() string {
	text := fmt.Sprintf("%s in %s", plural(len(s.Findings), "finding"), plural(s.components, "component"))
	if n := s.level(reach.Reachable); n > 0 {
		text += fmt.Sprintf(", %d reachable", n)
	}
	if n := s.level(reach.Unknown); n > 0 {
		text += fmt.Sprintf(", %d of which it is not known", n)
	}
	if n := len(s.Stated); n > 0 {
		text += fmt.Sprintf("; %d stated not to matter", n)
	}
	if s.RuledOut > 0 {
		text += fmt.Sprintf("; %d more cannot run", s.RuledOut)
	}
	if n := s.unbelieved(); n > 0 {
		text += fmt.Sprintf("; %d stated not to matter by what is attached, which --vex attached takes into account", n)
	}
	if n := len(s.Possible); n > 0 {
		text += fmt.Sprintf("; %d possible, which --output json lists", n)
	}
	return text
}

// unbelieved is how many findings are stated not to matter by documents that
// nobody vouched for.
func (s scanned) unbelieved() (n int) {
	for _, f := range s.Findings {
		if f.Statement != nil && f.Statement.harmless() {
			n++
		}
	}
	return n
}

func (s scanned) level(l reach.Level) (n int) {
	for _, f := range s.Findings {
		if f.Reach.Level == l {
			n++
		}
	}
	return n
}
