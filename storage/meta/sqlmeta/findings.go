package sqlmeta

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// A findingRow is a row of findings.
type findingRow struct {
	advisory, coordinate int64 // ids
	meta.Finding
}

// findingRows are those of a file, of one advisory unless that is "".
func (r reader) findingRows(ctx context.Context, d digest.Digest, advisory string) ([]findingRow, error) {
	name, params := "file_findings", args(string(d))
	if advisory != "" {
		name, params = "file_findings_of_advisory", append(params, advisory)
	}
	var out []findingRow
	err := each(ctx, r.q, name, params, func(rows *sql.Rows) error {
		var f findingRow
		err := rows.Scan(&f.Advisory, &f.advisory, &f.coordinate, (*int)(&f.Reach), &f.Severity, flag{&f.RuledOut}, when{&f.FirstSeen})
		if err != nil {
			return r.q.fail(name, err)
		}
		out = append(out, f)
		return nil
	})
	return out, err
}

// findings are findingRows for callers, in order.
func (r reader) findings(ctx context.Context, d digest.Digest, advisory string) ([]meta.Finding, error) {
	rows, err := r.findingRows(ctx, d, advisory)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	ids := make([]int64, len(rows))
	for i, f := range rows {
		ids[i] = f.coordinate
	}
	coordinates, err := r.coordinatesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]meta.Finding, 0, len(rows))
	for _, f := range rows {
		var found bool
		if f.Component, found = coordinates[f.coordinate]; found { // else another update has removed it in between
			out = append(out, f.Finding)
		}
	}
	slices.SortFunc(out, func(a, b meta.Finding) int {
		return cmp.Or(strings.Compare(a.Advisory, b.Advisory), compareCoordinates(a.Component, b.Component))
	})
	return out, nil
}

func compareCoordinates(a, b meta.Coordinate) int {
	return cmp.Or(strings.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.Name, b.Name), slices.Compare(a.Key, b.Key),
		strings.Compare(a.Version, b.Version), strings.Compare(a.Class, b.Class), strings.Compare(a.Part, b.Part))
}

func comparePositions(a, b meta.UsePosition) int {
	return cmp.Or(cmp.Compare(a.File, b.File), strings.Compare(a.Repo, b.Repo), strings.Compare(string(a.Manifest), string(b.Manifest)))
}

// FileFindings implements meta.Findings.
func (r reader) FileFindings(ctx context.Context, d digest.Digest) ([]meta.Finding, error) {
	return r.findings(ctx, d, "")
}

// ManifestFindings implements meta.Findings.
func (r reader) ManifestFindings(ctx context.Context, repo string, d digest.Digest) ([]meta.FileFinding, error) {
	files, err := r.filesOfManifest(ctx, repo, d)
	if err != nil {
		return nil, err
	}
	var out []meta.FileFinding
	for _, file := range files {
		fs, err := r.findings(ctx, file, "")
		if err != nil {
			return nil, err
		}
		for _, f := range fs {
			out = append(out, meta.FileFinding{Digest: file, Finding: f})
		}
	}
	return out, nil
}

// filesOfManifest are the blobs that a manifest pins, in byte order.
func (r reader) filesOfManifest(ctx context.Context, repo string, d digest.Digest) ([]digest.Digest, error) {
	files, _, err := r.ManifestReferences(ctx, repo, d)
	if err == nil && len(files) == 0 {
		var there bool
		if there, err = one(ctx, r.q, "find_manifest", args(repo, string(d)), new(int64)); err == nil && !there {
			err = missing(repo, string(d))
		}
	}
	return files, err
}

// FindingCounts implements meta.Findings.
func (r reader) FindingCounts(ctx context.Context, repo string, d digest.Digest) ([]meta.FindingCount, error) {
	files, err := r.filesOfManifest(ctx, repo, d)
	if err != nil {
		return nil, err
	}
	counts := map[meta.FindingCount]int64{} // without their count
	err = inBatches(files, nil, func(params []any) error {
		return each(ctx, r.q, "finding_counts", params, func(rows *sql.Rows) error {
			var (
				c meta.FindingCount
				n int64
			)
			if err := rows.Scan((*int)(&c.Reach), flag{&c.RuledOut}, &c.Severity, &n); err != nil {
				return r.q.fail("finding_counts", err)
			}
			counts[c] += n
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	var out []meta.FindingCount
	for c, n := range counts {
		c.Count = n
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b meta.FindingCount) int {
		return cmp.Or(cmp.Compare(b.Reach, a.Reach), cmp.Compare(bit(a.RuledOut), bit(b.RuledOut)), cmp.Compare(b.Severity, a.Severity))
	})
	return out, nil
}

// nameChunk is how many names a statement takes that takes many.
const nameChunk = 32

// FindingFiles implements meta.Findings.
func (r reader) FindingFiles(ctx context.Context, names []string, after int64, most int) ([]meta.ComponentFile, error) {
	left := limit(meta.Page{Limit: most})
	var out []meta.ComponentFile
	err := inChunks(names, nameChunk, args(after, left), func(params []any) error {
		found, err := r.componentFiles(ctx, "named_finding_files", params)
		out = append(out, found...)
		return err
	})
	slices.SortFunc(out, func(a, b meta.ComponentFile) int { return cmp.Compare(a.ID, b.ID) })
	out = slices.Compact(out)
	return out[:min(int64(len(out)), left)], err
}

// componentFiles are the rows of a statement that lists files.
func (r reader) componentFiles(ctx context.Context, name string, params []any) ([]meta.ComponentFile, error) {
	var out []meta.ComponentFile
	err := each(ctx, r.q, name, params, func(rows *sql.Rows) error {
		var f meta.ComponentFile
		if err := rows.Scan(&f.ID, (*string)(&f.Digest)); err != nil {
			return r.q.fail(name, err)
		}
		out = append(out, f)
		return nil
	})
	return out, err
}

// FindingUses implements meta.Findings.
func (r reader) FindingUses(
	ctx context.Context, v meta.Visibility, advisory string, after meta.UsePosition, most int,
) (meta.FindingPage, error) {
	found, err := r.componentFiles(ctx, "finding_files", args(advisory, after.File-1, int64(maxLookedAt+1)))
	if err != nil {
		return meta.FindingPage{}, err
	}
	files := make([]int64, len(found))
	for i, f := range found {
		files[i] = f.ID
	}
	uses, next, err := r.uses(ctx, v, files, after, most)
	if err != nil {
		return meta.FindingPage{}, err
	}
	page := meta.FindingPage{Next: next}
	findings := map[digest.Digest][]meta.Finding{}
	for _, u := range uses {
		fs, known := findings[u.digest]
		if !known {
			if fs, err = r.findings(ctx, u.digest, advisory); err != nil {
				return meta.FindingPage{}, err
			}
			findings[u.digest] = fs
		}
		if len(fs) > 0 { // else another update has removed them in between
			page.Uses = append(page.Uses, meta.FindingUse{UsePosition: u.UsePosition, Digest: u.digest, Findings: slices.Clone(fs)})
		}
	}
	return page, nil
}

// PutFindings implements meta.FindingWriter.
func (t *tx) PutFindings(ctx context.Context, d digest.Digest, advisory string, fs []meta.Finding) error {
	if err := t.putFindings(ctx, d, advisory, fs); err != nil {
		return fmt.Errorf("findings of %s: %w", d, err)
	}
	return nil
}

func (t *tx) putFindings(ctx context.Context, d digest.Digest, advisory string, fs []meta.Finding) error {
	file, err := t.componentFile(ctx, d)
	if err != nil {
		return err
	}
	if file.id == 0 {
		return fmt.Errorf("%w: its components", meta.ErrNotFound)
	}
	next, err := t.resolve(ctx, file, advisory, fs)
	if err != nil {
		return err
	}
	old, err := t.findingRows(ctx, d, advisory)
	if err != nil {
		return err
	}
	for _, o := range old {
		k := findingKey{o.advisory, o.coordinate}
		f, stays := next[k]
		if !stays {
			if _, err := t.exec(ctx, "delete_finding", file.id, o.advisory, o.coordinate); err != nil {
				return err
			}
			continue
		}
		if o.FirstSeen.Before(f.FirstSeen) {
			f.FirstSeen = o.FirstSeen
		}
		if f.Reach == o.Reach && f.Severity == o.Severity && f.RuledOut == o.RuledOut && stored(f.FirstSeen).Equal(o.FirstSeen) {
			delete(next, k)
		} else {
			next[k] = f
		}
	}
	for k, f := range next {
		_, err := t.exec(ctx, "put_finding", file.id, k.advisory, k.coordinate, int64(f.Reach), int64(f.Severity), bit(f.RuledOut),
			micros(f.FirstSeen))
		if err != nil {
			return err
		}
	}
	return nil
}

// A findingKey is what is one finding of a file.
type findingKey struct{ advisory, coordinate int64 }

// resolve finds the rows that findings speak of.
func (t *tx) resolve(ctx context.Context, file componentFile, only string, fs []meta.Finding) (map[findingKey]meta.Finding, error) {
	hashes := make([]coordinateHash, 0, len(fs))
	for _, f := range fs {
		if err := checkFinding(f, only); err != nil {
			return nil, err
		}
		hashes = append(hashes, hashOf(f.Component))
	}
	coordinates, err := t.findCoordinates(ctx, hashes)
	if err != nil {
		return nil, err
	}
	advisories := map[string]int64{}
	out := make(map[findingKey]meta.Finding, len(fs))
	for i, f := range fs {
		id, known := advisories[f.Advisory]
		if !known {
			found, err := one(ctx, t, "advisory_id", args(f.Advisory), &id)
			if err != nil {
				return nil, err
			}
			if !found {
				return nil, fmt.Errorf("%w: advisory %s", meta.ErrNotFound, f.Advisory)
			}
			advisories[f.Advisory] = id
		}
		c := coordinates[hashes[i]]
		if _, has := slices.BinarySearch(file.ids, c); !has {
			return nil, fmt.Errorf("%w: component %s %s of advisory %s", meta.ErrNotFound, f.Component.Name, f.Component.Version, f.Advisory)
		}
		out[findingKey{id, c}] = f
	}
	return out, nil
}

func checkFinding(f meta.Finding, only string) error {
	switch {
	case only != "" && f.Advisory != only:
		return fmt.Errorf("one of advisory %s among those of %s", f.Advisory, only)
	case f.Reach < meta.ReachUnknown || f.Reach > meta.ReachReachable:
		return fmt.Errorf("there is no reach %d", f.Reach)
	case f.RuledOut && f.Reach == meta.ReachReachable:
		return errors.New("what can be reached is not ruled out")
	case f.Severity < 0 || f.Severity > 100:
		return fmt.Errorf("there is no severity of %d tenths", f.Severity)
	}
	if err := checkText("advisory", f.Advisory); err != nil {
		return err
	}
	return checkCoordinate(f.Component)
}
