package advisories

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/version"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/storage/meta"
)

// RescanJob is the kind of the job that follows a change of advisories: its key is
// [RescanKey], its payload nothing. Whoever does it calls [Source.Affected]
// until the end, and then [Source.Matched].
const (
	RescanJob = "rescan"
	RescanKey = "advisories"
)

// A Position is how far a rescan has come. The zero value is the beginning. It may be
// kept as JSON between the steps of a rescan, so that one that was interrupted
// goes on.
type Position struct {
	Target int64 `json:"target,omitempty"` // the revision of advisories up to which it is; 0 if that is not known yet
	Since  int64 `json:"since,omitempty"`  // files that advisories up to this revision concern have been listed
	Until  int64 `json:"until,omitempty"`  // those of advisories up to this one are being listed; 0 for none
	All    bool  `json:"all,omitempty"`    // every file is listed, whatever it has
	After  int64 `json:"after,omitempty"`  // the number of the file that was listed last
}

// A Batch is a part of the files to scan again.
type Batch struct {
	Files []digest.Digest // of blobs; there may be none although more come
	Next  Position
	Done  bool // nothing comes after this
}

// Bounds of a step of a rescan.
const (
	group     = 64 // advisories that are looked at together
	maxGroups = 16 // of a step that finds nothing

	// minWalk is how many changes it takes to go through all files rather than to
	// look for those concerned.
	minWalk = 1000
)

// Affected lists blobs whose findings may be others now than those that are stored,
// because of changes of advisories after meta.Advisories.MatchedRevision: at most
// limit of those behind p. They are
//
//   - those with a component at a version that a changed advisory is about, and
//   - those with a finding of an advisory that changed, was withdrawn or is gone,
//     or that shares a name with one.
//
// After more changes than there are files, as the first import, it is every file.
// One that several changes concern may be listed more than once. For each its
// findings are made anew by [Scan] from what is kept of it, and written in a
// transaction that compares meta.Advisories.AdvisoryRevision with what it was
// before that scan.
//
// A step reads a bounded number of advisories. What changes while a rescan runs and
// is newer than its Target is left to the next one.
func (s *Source) Affected(ctx context.Context, p Position, limit int) (Batch, error) {
	limit = max(limit, 1)
	if p.Target == 0 {
		var err error
		if p, err = s.begin(ctx); err != nil {
			return Batch{}, err
		}
	}
	if p.All {
		files, err := s.db.AllComponentFiles(ctx, p.After, limit)
		if err != nil {
			return Batch{}, err
		}
		return batch(files, p, len(files) < limit), nil
	}
	for range maxGroups {
		files, end, err := s.groupFiles(ctx, &p, limit)
		if err != nil {
			return Batch{}, err
		}
		if end || len(files) > 0 {
			return batch(files, p, end), nil
		}
	}
	return batch(nil, p, false), nil
}

func batch(files []meta.ComponentFile, p Position, done bool) Batch {
	b := Batch{Next: p, Done: done}
	for _, f := range files {
		b.Files = append(b.Files, f.Digest)
		if p.All {
			b.Next.After = f.ID
		}
	}
	return b
}

// Matched notes that all that Affected listed up to the end was scanned and
// written, or will be whatever happens: p is the Next of the last Batch. Advisories
// that no feed has are deleted then.
func (s *Source) Matched(ctx context.Context, p Position) error {
	err := s.db.Update(ctx, func(ctx context.Context, tx meta.Tx) error { return tx.SetMatchedRevision(ctx, p.Target) })
	for forgotten := int64(1); err == nil && forgotten > 0; {
		err = s.db.Update(ctx, func(ctx context.Context, tx meta.Tx) (err error) {
			forgotten, err = tx.ForgetAdvisories(ctx)
			return err
		})
	}
	return err
}

// begin decides how a rescan goes.
func (s *Source) begin(ctx context.Context) (Position, error) {
	target, err := s.db.AdvisoryRevision(ctx)
	if err != nil {
		return Position{}, err
	}
	since, err := s.db.MatchedRevision(ctx)
	if err != nil {
		return Position{}, err
	}
	p := Position{Target: target, Since: min(since, target)}
	if changes := p.Target - p.Since; changes >= minWalk {
		files, err := s.db.CountComponentFiles(ctx, int(min(changes, maxCount))+1)
		if err != nil {
			return Position{}, err
		}
		p.All = int64(files) <= changes
	}
	return p, nil
}

// maxCount is how many files are counted to compare them with advisories.
const maxCount = 1 << 22

// groupFiles lists files that a group of changes concerns, and moves p behind them.
// It reports true if there are no more groups.
func (s *Source) groupFiles(ctx context.Context, p *Position, limit int) (files []meta.ComponentFile, end bool, err error) {
	last := cmp.Or(p.Until, p.Target)
	changed, err := s.db.AdvisoriesSince(ctx, p.Since, group)
	if err != nil {
		return nil, false, err
	}
	changed = slices.DeleteFunc(changed, func(a meta.Advisory) bool { return a.Revision > last })
	if len(changed) == 0 && p.Until == 0 {
		return nil, true, nil
	}
	if p.Until == 0 {
		p.Until = changed[len(changed)-1].Revision
	}
	if files, err = s.concerned(ctx, changed, p.After, limit); err != nil {
		return nil, false, err
	}
	if len(files) < limit {
		p.Since, p.Until, p.After = p.Until, 0, 0
	} else {
		p.After = files[len(files)-1].ID
	}
	return files, false, nil
}

// concerned lists files above a number that changed advisories concern, in order.
func (s *Source) concerned(ctx context.Context, changed []meta.Advisory, after int64, limit int) ([]meta.ComponentFile, error) {
	var (
		names       []string
		coordinates []int64
	)
	for _, row := range changed {
		names = append(append(names, row.ID), row.Aliases...)
		if row.Removed || !row.Withdrawn.IsZero() {
			continue
		}
		a, err := decode(row)
		if err != nil {
			return nil, err
		}
		found, err := Coordinates(ctx, s.db, a)
		if err != nil {
			return nil, err
		}
		coordinates = append(coordinates, found...)
	}
	files, err := s.db.FindingFiles(ctx, unique(names), after, limit)
	if err != nil {
		return nil, err
	}
	with, err := s.db.ComponentFiles(ctx, unique(coordinates), after, limit)
	if err != nil {
		return nil, err
	}
	files = append(files, with...)
	slices.SortFunc(files, func(a, b meta.ComponentFile) int { return cmp.Compare(a.ID, b.ID) })
	files = slices.Compact(files)
	if limit > 0 {
		files = files[:min(limit, len(files))]
	}
	return files, nil
}

func unique[T cmp.Ordered](list []T) []T {
	slices.Sort(list)
	return slices.Compact(list)
}

// Coordinates gives the ids of the stored coordinates that an advisory holds for,
// as vuln.Match says: of proven and declared components, and of commits. It is
// the join of one advisory with everything that is stored, by indexed queries for
// stretches of version keys.
func Coordinates(ctx context.Context, db meta.Components, a *vuln.Advisory) ([]int64, error) {
	var (
		ids   []int64
		doubt []meta.StoredCoordinate
	)
	for _, f := range a.Affected {
		stretches, whole := stretchesOf(f)
		stored, err := db.Coordinates(ctx, ranges(f.Package, stretches, whole), "")
		if err != nil {
			return nil, err
		}
		plain := len(f.OS) == 0 && len(f.Arch) == 0 && len(f.Custom) == 0
		for _, c := range stored {
			switch {
			case !matched(c.Coordinate) || len(c.Key) > 0 && !contains(stretches, c.Key):
			case plain && len(c.Key) > 0 && c.Part == "":
				ids = append(ids, c.ID)
			default:
				doubt = append(doubt, c)
			}
		}
	}
	sure, err := hold(ctx, a, doubt)
	return unique(append(ids, sure...)), err
}

// matched reports whether components of the class have findings.
func matched(c meta.Coordinate) bool {
	return c.Class == string(evidence.Proven) || c.Class == Declared || c.Class == Commit
}

// hold gives those coordinates of which vuln.Match says that an advisory is about
// them.
func hold(ctx context.Context, a *vuln.Advisory, doubt []meta.StoredCoordinate) ([]int64, error) {
	if len(doubt) == 0 {
		return nil, nil
	}
	var src vuln.DB
	src.Put(a)
	components := make([]evidence.Component, 0, len(doubt))
	for _, c := range doubt {
		components = append(components, component(c.Coordinate))
	}
	result, err := vuln.Match(ctx, components, &src)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, 0, len(result.Findings))
	for _, f := range result.Findings {
		ids = append(ids, doubt[f.Component].ID)
	}
	return ids, nil
}

// component is what vuln.Match needs of a stored coordinate.
func component(c meta.Coordinate) evidence.Component {
	if c.Class == Commit {
		return evidence.Component{Class: evidence.Proven, Commit: c.Version, Source: c.Name, Part: c.Part}
	}
	return evidence.Component{
		Ecosystem: evidence.Ecosystem(c.Ecosystem), Name: c.Name, Version: c.Version, Class: evidence.Proven, Part: c.Part,
	}
}

// stretchesOf are the intervals of an entry, in order and without overlaps. It
// reports false if versions without a key may be affected too, or commits.
func stretchesOf(f vuln.Affected) ([]version.Interval, bool) {
	all, whole := f.Intervals()
	slices.SortFunc(all, func(a, b version.Interval) int { return bytes.Compare(a.Lo, b.Lo) })
	out := all[:0]
	for _, i := range all {
		if len(out) > 0 {
			last := &out[len(out)-1]
			if last.Hi == nil {
				break
			}
			if bytes.Compare(i.Lo, last.Hi) <= 0 {
				if i.Hi == nil || bytes.Compare(i.Hi, last.Hi) > 0 {
					last.Hi = i.Hi
				}
				continue
			}
		}
		out = append(out, i)
	}
	return out, whole
}

func contains(stretches []version.Interval, key []byte) bool {
	// The last stretch that begins at or before the key is the only one.
	n, _ := slices.BinarySearchFunc(stretches, key, func(i version.Interval, key []byte) int {
		if bytes.Compare(i.Lo, key) <= 0 {
			return -1
		}
		return 1
	})
	return n > 0 && stretches[n-1].Contains(key)
}

// maxRanges is how many stretches are queries of their own: some advisories list a
// thousand versions, and then one query reads all between the first and the last.
const maxRanges = 8

// ranges are the queries for the stretches of a package.
func ranges(p vuln.Package, stretches []version.Interval, whole bool) []meta.PackageRange {
	of := meta.EcosystemPackage{Ecosystem: string(p.Ecosystem), Name: p.Name}
	if n := len(stretches); n > maxRanges {
		stretches = []version.Interval{{Lo: stretches[0].Lo, Hi: stretches[n-1].Hi}}
	}
	out := make([]meta.PackageRange, 0, len(stretches))
	for _, i := range stretches {
		out = append(out, meta.PackageRange{EcosystemPackage: of, Low: i.Lo, High: i.Hi})
	}
	if !whole && len(out) == 0 { // every other range has the versions without a key already
		out = append(out, meta.PackageRange{EcosystemPackage: of, Low: []byte{0}, High: []byte{0}})
	}
	return out
}
