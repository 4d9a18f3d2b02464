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

	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/attached"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
)

// advisoryFlags say what is known of vulnerabilities.
type advisoryFlags struct {
	db        cli.StringSlice
	epss, kev string
	vex       cli.StringSlice
}

func (f *advisoryFlags) flags() []cli.Flag {
	return append(f.sources(), &cli.StringSliceFlag{
		Name: "vex", Usage: "take the statements in this `FILE` into account, OpenVEX or CycloneDX, or those attached; may be repeated",
		Destination: &f.vex, TakesFile: true,
	})
}

// sources are the flags that say where advisories are.
func (f *advisoryFlags) sources() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{
			Name: "db", Usage: "read advisories from this `FOLDER or ZIP`; may be repeated", Destination: &f.db, TakesFile: true,
			EnvVars: []string{"WPKG_ADVISORIES"},
		},
		&cli.StringFlag{Name: "epss", Usage: "rate findings by FIRST's scores in this `FILE` (CSV)", Destination: &f.epss, TakesFile: true},
		&cli.StringFlag{Name: "kev", Usage: "mark findings in CISA's catalogue, this `FILE` (JSON)", Destination: &f.kev, TakesFile: true},
	}
}

// paths are where the advisories are; none of them is the folder of the user. A
// variable of the environment that is set to nothing is not set.
func (f *advisoryFlags) paths() []string {
	return slices.DeleteFunc(f.db.Value(), func(p string) bool { return p == "" })
}

// A matcher finds what advisories say about binaries.
type matcher struct {
	*tool
	advisories vuln.Source
	epss       map[string]vuln.EPSS
	kev        map[string]vuln.KEV
	stated     *statements
	close      func()
}

// newMatcher reads what the flags name. The caller closes it.
func (t *tool) newMatcher(ctx context.Context, f *advisoryFlags) (m *matcher, err error) {
	m = &matcher{tool: t}
	if m.stated, err = readStatements(f.vex.Value()); err != nil {
		return nil, err
	}
	if m.epss, err = readFrom(f.epss, vuln.ReadEPSS); err != nil {
		return nil, err
	}
	if m.kev, err = readFrom(f.kev, vuln.ReadKEV); err != nil {
		return nil, err
	}
	if m.advisories, m.close, err = t.openAdvisories(ctx, f.paths()); err != nil {
		return nil, err
	}
	return m, nil
}

// match finds what advisories say about d, made of the binary that code is of, and
// about what only the publisher of the package declares.
func (m *matcher) match(
	ctx context.Context, d *sbom.Document, code scan.Code, more *attached.Attachments,
) (derived, declared *scan.Report, err error) {
	if derived, err = scan.Scan(ctx, d, code, m.advisories); err != nil {
		return nil, nil, err
	}
	declared = &scan.Report{}
	if declared.Findings, err = m.declared(ctx, d, more); err != nil {
		return nil, nil, err
	}
	derived.Rate(m.epss, m.kev)
	declared.Rate(m.epss, m.kev)
	return derived, declared, nil
}

// declared gives the findings about components that the publisher's bills of
// materials have and of which nothing was found in the binary, unless its own list
// is complete and they are not in it.
func (m *matcher) declared(ctx context.Context, d *sbom.Document, more *attached.Attachments) ([]scan.Finding, error) {
	if more == nil || !more.Published() {
		return nil, nil
	}
	var list []evidence.Component
	for _, c := range sbom.Compare(d, more.Declared()).NotFound {
		if !c.Certain {
			list = append(list, c.Component)
		}
	}
	result, err := vuln.Match(ctx, list, m.advisories)
	if err != nil {
		return nil, err
	}
	var out []scan.Finding
	for _, f := range result.Findings {
		out = append(out, scan.Finding{
			Finding: f, Reach: reach.Result{Reason: "the publisher declares the component, and nothing of it was found in the binary"},
		})
	}
	return out, nil
}

// errNoAdvisories is of a place without any.
var errNoAdvisories = errors.New("there are no advisories")

// An advisorySource is a DB or an index of one.
type advisorySource interface {
	vuln.Source
	Len() int
}

// openAdvisories reads the advisories at paths, by default those of the user. The
// caller calls done.
func (t *tool) openAdvisories(ctx context.Context, paths []string) (src vuln.Source, done func(), err error) {
	byDefault := len(paths) == 0
	if byDefault {
		dir, err := advisoriesFolder()
		if err != nil {
			return nil, nil, err
		}
		paths = []string{dir}
	}
	db, stats, done, err := loadAdvisories(ctx, paths)
	switch {
	case errors.Is(err, fs.ErrNotExist) && byDefault, vuln.IsNone(err):
		return nil, nil, &hinted{
			fmt.Errorf("%w in %s", errNoAdvisories, strings.Join(paths, ", ")),
			"--db FOLDER or ZIP, such as the all.zip that OSV publishes for each ecosystem",
		}
	case err != nil:
		return nil, nil, err
	case db.Len() == 0:
		done()
		return nil, nil, fmt.Errorf("%s: none of the records is about what a binary can have", strings.Join(paths, ", "))
	}
	if stats.Refused > 0 {
		t.warn("%s: %s cannot be read: %s", strings.Join(paths, ", "), plural(stats.Refused, "record"), strings.Join(stats.Problems, "; "))
	}
	return db, done, nil
}

// loadAdvisories reads advisories by way of an index in the user's cache, and
// without one where there can be none: a home that nothing may be written to is
// no reason not to scan.
func loadAdvisories(ctx context.Context, paths []string) (advisorySource, vuln.Stats, func(), error) {
	if cache, err := os.UserCacheDir(); err == nil {
		db, stats, err := vuln.LoadCached(ctx, filepath.Join(cache, "wpkg", "advisories"), paths...)
		if err == nil {
			return db, stats, func() { db.Close() }, nil
		}
		if vuln.IsNone(err) || ctx.Err() != nil {
			return nil, stats, nil, err
		}
	}
	db, stats, err := vuln.Load(ctx, paths...)
	return db, stats, func() {}, err
}

// warn says on standard error what the user may want to know.
func (t *tool) warn(format string, args ...any) {
	text := clip(term.Clean(fmt.Sprintf(format, args...)), maxWarning)
	fmt.Fprintf(t.err, "%s %s\n", term.Paint(term.Colour(t.err), term.Yellow, "warning:"), text)
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
