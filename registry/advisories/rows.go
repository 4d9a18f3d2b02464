package advisories

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/version"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/storage/meta"
)

// Classes of coordinates beside those of package evidence.
const (
	// Declared components are those that a publisher's bill of materials has with a
	// version.
	Declared = "declared"

	// Commit is the class of coordinates that say from which repository and commit
	// a component comes, as some advisories name it: the ecosystem is [vuln.Git], the
	// name the address as [vuln.Name] writes it, the version the commit. They stand
	// beside the coordinate of the component itself and are none of their own.
	Commit = "commit"
)

// A File is one bill of materials that belongs to a blob.
type File struct {
	Document *sbom.Document

	// Code answers for the binary that Document was derived from. Without it
	// nothing is known of what can be reached.
	Code scan.Code

	// Declared says that Document is a publisher's, and not derived.
	Declared bool
}

// A Result is what is stored of a blob, with the reports that it follows from.
type Result struct {
	Components []meta.Coordinate // sorted, each once, at most meta.MaxFileComponents
	Findings   []meta.Finding    // by advisory and component, each once; about Components
	Reports    []*scan.Report    // of each File
}

// Scan makes the rows of a blob from all files in it. Findings of one advisory
// about one component in several files or units are one, with the highest reach;
// one of them that is not ruled out has it not ruled out. Possible findings make
// no rows. now is when findings are first seen that are new; the database keeps
// earlier times.
//
// Errors are those of src.
func Scan(ctx context.Context, src vuln.Source, files []File, now time.Time) (*Result, error) {
	r := &Result{}
	for _, f := range files {
		r.Components = append(r.Components, coordinates(f)...)
	}
	r.Components = bound(r.Components)
	var found []meta.Finding
	for _, f := range files {
		report, err := scan.Scan(ctx, f.Document, f.Code, src)
		if err != nil {
			return nil, err
		}
		r.Reports = append(r.Reports, report)
		found = append(found, rows(f, report, now)...)
	}
	found = slices.DeleteFunc(found, func(row meta.Finding) bool {
		_, stored := slices.BinarySearchFunc(r.Components, row.Component, compareCoordinates)
		return !stored
	})
	r.Findings = merge(found)
	return r, nil
}

// coordinates are the components of a file as they are stored.
func coordinates(f File) []meta.Coordinate {
	var all []meta.Coordinate
	for _, c := range f.Document.All() {
		if stored, ok := coordinate(c, f.Declared); ok {
			all = append(all, stored)
			if c.Commit != "" && c.Source != "" {
				all = append(all, meta.Coordinate{
					Ecosystem: string(vuln.Git), Name: vuln.Name(vuln.Git, c.Source), Version: c.Commit, Class: Commit, Part: c.Part,
				})
			}
		}
	}
	return all
}

// coordinate is a component as it is stored: under the name by which advisories
// know it. An inferred one has its requirement for a version and no place in the
// order of versions. It reports false for what has no room in the database.
func coordinate(c *evidence.Component, declared bool) (meta.Coordinate, bool) {
	p := vuln.PackageOf(*c)
	out := meta.Coordinate{
		Ecosystem: string(p.Ecosystem), Name: p.Name, Version: c.Version, Part: c.Part, Class: string(cmp.Or(c.Class, evidence.Proven)),
	}
	switch c.Class {
	case evidence.Inferred:
		out.Version = cmp.Or(c.Version, c.Requirement)
	case evidence.Named: // no version is known
	default:
		out.Key, _ = version.Key(c.Ecosystem, c.Version)
		if declared {
			out.Class = Declared
		}
	}
	fits := len(out.Ecosystem) <= meta.MaxEcosystem && len(out.Name) <= meta.MaxPackageName && len(out.Version) <= meta.MaxVersion &&
		len(out.Part) <= meta.MaxPart && len(out.Class) <= meta.MaxClass && len(out.Key) <= meta.MaxVersionKey
	return out, fits
}

// bound sorts coordinates and leaves out those of the least certain classes if
// there are too many.
func bound(all []meta.Coordinate) []meta.Coordinate {
	slices.SortFunc(all, compareCoordinates)
	all = slices.CompactFunc(all, func(a, b meta.Coordinate) bool { return compareCoordinates(a, b) == 0 })
	if len(all) <= meta.MaxFileComponents {
		return all
	}
	slices.SortStableFunc(all, func(a, b meta.Coordinate) int { return cmp.Compare(certainty(a.Class), certainty(b.Class)) })
	all = all[:meta.MaxFileComponents]
	slices.SortFunc(all, compareCoordinates)
	return all
}

func certainty(class string) int {
	order := []string{string(evidence.Proven), Commit, Declared, string(evidence.Inferred), string(evidence.Named)}
	return slices.Index(order, class)
}

func compareCoordinates(a, b meta.Coordinate) int {
	return cmp.Or(
		strings.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.Name, b.Name), bytes.Compare(a.Key, b.Key),
		strings.Compare(a.Version, b.Version), strings.Compare(a.Class, b.Class), strings.Compare(a.Part, b.Part),
	)
}

// rows are the findings of a file, in the order of the report.
func rows(f File, r *scan.Report, now time.Time) []meta.Finding {
	units := map[string]*sbom.Unit{}
	for u := range f.Document.Units() {
		units[u.Path] = u
	}
	out := make([]meta.Finding, 0, len(r.Findings))
	for _, found := range r.Findings {
		c, ok := coordinate(&units[found.Unit].Components[found.Component], f.Declared)
		if !ok {
			continue
		}
		out = append(out, meta.Finding{
			Advisory: found.ID, Component: c, Reach: reachOf(found.Reach.Level), RuledOut: found.RuledOut(),
			Severity: severity(found.Severity), FirstSeen: now,
		})
	}
	return out
}

// merge makes one finding of those that are about the same, and sorts them.
func merge(all []meta.Finding) []meta.Finding {
	slices.SortStableFunc(all, compareFindings)
	out := all[:0]
	for _, f := range all {
		if len(out) == 0 || compareFindings(out[len(out)-1], f) != 0 {
			out = append(out, f)
			continue
		}
		last := &out[len(out)-1]
		last.RuledOut = last.RuledOut && f.RuledOut
		last.Reach, last.Severity = max(last.Reach, f.Reach), max(last.Severity, f.Severity)
	}
	return out
}

func compareFindings(a, b meta.Finding) int {
	return cmp.Or(strings.Compare(a.Advisory, b.Advisory), compareCoordinates(a.Component, b.Component))
}

// levels are the stored states of levels.
var levels = map[reach.Level]meta.Reach{
	reach.Present: meta.ReachPresent, reach.Linked: meta.ReachLinked, reach.SymbolLinked: meta.ReachSymbolLinked,
	reach.Reachable: meta.ReachReachable,
}

// reachOf is what is stored of a level.
func reachOf(l reach.Level) meta.Reach { return levels[l] }

// LevelOf is the level that a stored state stands for.
func LevelOf(r meta.Reach) reach.Level {
	for l, stored := range levels {
		if stored == r {
			return l
		}
	}
	return reach.Unknown
}

// least are the lowest scores of ratings, in tenths.
var least = map[vuln.Rating]int{vuln.Low: 1, vuln.Medium: 40, vuln.High: 70, vuln.Critical: 90}

// severity is the score in tenths. A rating without a score counts as the lowest
// score that has it.
func severity(s vuln.Severity) int {
	if s.Score > 0 {
		return min(int(math.Round(s.Score*10)), 100)
	}
	return least[s.Rating]
}
