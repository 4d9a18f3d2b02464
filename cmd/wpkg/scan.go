package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/internal/durable"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
)

// scanFlags are the flags of scan.
type scanFlags struct {
	db        cli.StringSlice
	epss, kev string
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
stay. --output takes sarif (2.1.0, for code scanning) besides.

   wpkg scan app.wasm --db Go/all.zip --db crates.io/all.zip
   wpkg scan dist --fail-on high --reachable-only --output sarif -o scan.sarif`,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{
				Name: "db", Usage: "read advisories from this `FOLDER or ZIP`; may be repeated", Destination: &f.db, TakesFile: true,
				EnvVars: []string{"WPKG_ADVISORIES"},
			},
			&cli.StringFlag{Name: "epss", Usage: "rate findings by FIRST's scores in this `FILE` (CSV)", Destination: &f.epss, TakesFile: true},
			&cli.StringFlag{Name: "kev", Usage: "mark findings in CISA's catalogue, this `FILE` (JSON)", Destination: &f.kev, TakesFile: true},
			&cli.StringFlag{
				Name: "fail-on", Value: failAny, Destination: &f.failOn,
				Usage: "end with status 3 from this `RATING` on: critical, high, medium, low, any or never",
			},
			&cli.BoolFlag{
				Name: "reachable-only", Usage: "leave out what certainly cannot run", Destination: &f.reachable, DisableDefaultText: true,
			},
			&cli.StringFlag{Name: "o", Usage: "write the report to this `FILE`", Destination: &f.out, TakesFile: true},
		},
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

	*scan.Report

	// RuledOut is how many findings --reachable-only left out.
	RuledOut int    `json:"ruledOut,omitempty"`
	Error    string `json:"error,omitempty"`

	target target
	doc    *sbom.Document
}

func (t *tool) scan(ctx context.Context, args []string, f *scanFlags) error {
	db, rate, err := f.open(ctx)
	if err != nil {
		return err
	}
	a := &auditor{tool: t} // whose arguments mean the same
	var items []scanned
	failed := error(nil)
	for _, arg := range args {
		targets, err := a.targets(ctx, arg)
		if err != nil {
			return err
		}
		for _, target := range targets {
			if err := ctx.Err(); err != nil {
				return err
			}
			one, err := t.scanOne(ctx, target, db)
			if err != nil {
				one.Error, failed = message(err), err
			} else {
				rate(one.Report)
				if f.reachable {
					one.leaveOut()
				}
			}
			items = append(items, one)
		}
	}
	if err := t.writeScan(items, f); err != nil {
		return err
	}
	switch {
	case failed != nil && len(items) == 1:
		return failed
	case failed != nil:
		return errors.New("some of it could not be scanned")
	case slices.ContainsFunc(items, f.fails):
		return errFinding
	}
	return nil
}

// open reads the advisories and what is known of how they are used.
func (f *scanFlags) open(ctx context.Context) (db *vuln.DB, rate func(*scan.Report), err error) {
	paths := f.db.Value()
	if len(paths) == 0 {
		dir, err := advisoriesFolder()
		if err != nil {
			return nil, nil, err
		}
		paths = []string{dir}
	}
	db, stats, err := vuln.Load(ctx, paths...)
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(f.db.Value()) == 0, vuln.IsNone(err):
		return nil, nil, &hinted{
			fmt.Errorf("there are no advisories in %s", strings.Join(paths, ", ")),
			"--db FOLDER or ZIP, such as the all.zip that OSV publishes for each ecosystem",
		}
	case err != nil:
		return nil, nil, err
	case db.Len() == 0:
		return nil, nil, fmt.Errorf("%s: none of the %d records is about what a binary can have", strings.Join(paths, ", "), stats.Records)
	}
	epss, err := readFrom(f.epss, vuln.ReadEPSS)
	if err != nil {
		return nil, nil, err
	}
	kev, err := readFrom(f.kev, vuln.ReadKEV)
	if err != nil {
		return nil, nil, err
	}
	return db, func(r *scan.Report) { r.Rate(epss, kev) }, nil
}

// readFrom reads a file, "" for none.
func readFrom[T any](file string, read func(io.Reader) (map[string]T, error)) (map[string]T, error) {
	if file == "" {
		return nil, nil
	}
	r, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	m, err := read(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
}

// advisoriesFolder is where advisories lie that no flag names, as the XDG base
// directory specification has it.
func advisoriesFolder() (string, error) {
	data := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(data) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "wpkg", "advisories"), nil
}

func (t *tool) scanOne(ctx context.Context, at target, db *vuln.DB) (scanned, error) {
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
	if one.doc, err = sbom.Extract(b, sbom.Options{Name: f.name}); err != nil {
		return one, f.fault(err)
	}
	one.SHA256 = one.doc.Subject.SHA256
	one.Report, err = scan.Scan(ctx, one.doc, scan.CodeOf(b), db)
	return one, err
}

// leaveOut removes what certainly cannot run.
func (s *scanned) leaveOut() {
	n := len(s.Findings)
	s.Findings = slices.DeleteFunc(s.Findings, scan.Finding.RuledOut)
	s.RuledOut = n - len(s.Findings)
}

// fails reports whether a binary has a finding that --fail-on says. What is no
// vulnerability in itself never counts.
func (f *scanFlags) fails(s scanned) bool {
	return f.failOn != failNever && s.Report != nil && slices.ContainsFunc(s.Findings, func(v scan.Finding) bool {
		return v.Informational == "" && (f.failOn == failAny || v.Severity.Rating.AtLeast(vuln.Rating(f.failOn)))
	})
}

func (t *tool) writeScan(items []scanned, f *scanFlags) error {
	if f.out == "" {
		return t.printScan(items)
	}
	var b strings.Builder
	to := *t
	to.out = &b
	if err := to.printScan(items); err != nil {
		return err
	}
	return durable.WriteFile(f.out, []byte(b.String()), 0o644)
}

func (t *tool) printScan(items []scanned) error {
	switch {
	case t.format == formatSARIF:
		return writeScanSARIF(t.out, items)
	case t.structured():
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
	_, err := fmt.Fprintln(t.out, s.sum())
	return err
}

func findingRows(fs []scan.Finding) [][]string {
	rows := [][]string{{"ADVISORY", "SEVERITY", "COMPONENT", "FIXED IN", "CODE", "SUMMARY"}}
	for _, f := range fs {
		name := strings.TrimSpace(f.Name + " " + f.Version)
		if f.Unit != "" {
			name = f.Unit + " " + name
		}
		rows = append(rows, []string{f.ID, severityOf(f), name, strings.Join(f.Fixed, ", "), f.Reach.Level.String(), clip(f.Summary, maxSummary)})
	}
	return rows
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
	components := 0
	for range s.doc.All() {
		components++
	}
	text := fmt.Sprintf("%s in %s", plural(len(s.Findings), "finding"), plural(components, "component"))
	if n := s.level(reach.Reachable); n > 0 {
		text += fmt.Sprintf(", %d reachable", n)
	}
	if n := s.level(reach.Unknown); n > 0 {
		text += fmt.Sprintf(", %d of which it is not known", n)
	}
	if s.RuledOut > 0 {
		text += fmt.Sprintf("; %d more cannot run", s.RuledOut)
	}
	if n := len(s.Possible); n > 0 {
		text += fmt.Sprintf("; %d possible, which --output json lists", n)
	}
	return text
}

func (s scanned) level(l reach.Level) (n int) {
	for _, f := range s.Findings {
		if f.Reach.Level == l {
			n++
		}
	}
	return n
}
