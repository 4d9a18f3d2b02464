package sqlmeta

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// Components of files.
//
// What tells components apart is a row of coordinates, found by a hash of all of
// it: most components of a file are in other files too. A file is a row with the
// ids of its coordinates, and component_postings is that turned round: for each
// coordinate and each segment of 2,048 files one row of at most 256 bytes. Other
// than the postings of documents these are written in place: a file has some
// fifty components, not hundreds of terms, and the rows are small, so that it
// costs no more than a row for each file and coordinate, which would take many
// times the space. Coordinates that no file has any more go at once, so that those
// left are exactly what an advisory has to be compared with.

// A coordinateKey is a coordinate to compare.
type coordinateKey struct{ ecosystem, name, version, class, part, key string }

func keyOf(c meta.Coordinate) coordinateKey {
	return coordinateKey{c.Ecosystem, c.Name, c.Version, c.Class, c.Part, string(c.Key)}
}

func (k coordinateKey) params() []any {
	return args(k.hash(), k.ecosystem, k.name, k.version, k.class, k.part, []byte(k.key))
}

// hash is that of all fields. Two coordinates may have the same, if somebody takes
// the trouble, so rows found by it are compared.
func (k coordinateKey) hash() int64 {
	var buf []byte
	for _, s := range []string{k.ecosystem, k.name, k.version, k.class, k.part, k.key} {
		buf = binary.AppendUvarint(buf, uint64(len(s)))
		buf = append(buf, s...)
	}
	sum := sha256.Sum256(buf)
	return int64(binary.BigEndian.Uint64(sum[:]))
}

func checkCoordinate(c meta.Coordinate) error {
	for _, b := range []struct {
		what, text string
		most       int
	}{
		{"ecosystem", c.Ecosystem, meta.MaxEcosystem},
		{"name", c.Name, meta.MaxPackageName},
		{"version", c.Version, meta.MaxVersion},
		{"class", c.Class, meta.MaxClass},
		{"part", c.Part, meta.MaxPart},
	} {
		if len(b.text) > b.most {
			return fmt.Errorf("its %s %.40q has %d bytes, more than %d", b.what, b.text, len(b.text), b.most)
		}
		if err := checkText("its "+b.what, b.text); err != nil {
			return err
		}
	}
	if len(c.Key) > meta.MaxVersionKey {
		return fmt.Errorf("the key of its version has %d bytes, more than %d", len(c.Key), meta.MaxVersionKey)
	}
	return nil
}

// A componentFile is a row of component_files.
type componentFile struct {
	id      int64
	version int
	ids     []int64 // of coordinates, ascending
}

// componentFile is that of a blob; its id is 0 if there is none.
func (r reader) componentFile(ctx context.Context, d digest.Digest) (componentFile, error) {
	var (
		f      componentFile
		packed []byte
	)
	found, err := one(ctx, r.q, "component_file", args(string(d)), &f.id, &f.version, &packed)
	if err != nil || !found {
		return componentFile{}, err
	}
	if f.ids, err = decodeIDs(packed); err != nil {
		return componentFile{}, fmt.Errorf("components of %s: %w", d, err)
	}
	return f, nil
}

// idChunk is how many ids a statement takes that takes many.
const idChunk = 64

// eachCoordinate calls f for the rows of a statement of coordinates.
func (r reader) eachCoordinate(ctx context.Context, name string, params []any, f func(meta.StoredCoordinate)) error {
	return each(ctx, r.q, name, params, func(rows *sql.Rows) error {
		var c meta.StoredCoordinate
		if err := rows.Scan(&c.ID, &c.Ecosystem, &c.Name, &c.Version, &c.Class, &c.Part, &c.Key); err != nil {
			return r.q.fail(name, err)
		}
		if len(c.Key) == 0 {
			c.Key = nil
		}
		f(c)
		return nil
	})
}

// coordinatesByID are the rows of ids.
func (r reader) coordinatesByID(ctx context.Context, ids []int64) (map[int64]meta.Coordinate, error) {
	found := make(map[int64]meta.Coordinate, len(ids))
	err := inChunks(ids, idChunk, nil, func(params []any) error {
		return r.eachCoordinate(ctx, "coordinates_by_id", params, func(c meta.StoredCoordinate) { found[c.ID] = c.Coordinate })
	})
	return found, err
}

// FileComponents implements meta.Components.
func (r reader) FileComponents(ctx context.Context, d digest.Digest) (meta.FileComponents, error) {
	f, err := r.componentFile(ctx, d)
	if err == nil && f.id == 0 {
		err = fmt.Errorf("%w: components of %s", meta.ErrNotFound, d)
	}
	if err != nil {
		return meta.FileComponents{}, err
	}
	found, err := r.coordinatesByID(ctx, f.ids)
	if err != nil {
		return meta.FileComponents{}, err
	}
	out := meta.FileComponents{Digest: d, Version: f.version}
	for _, id := range f.ids {
		if c, ok := found[id]; ok { // else another update has replaced the list in between
			out.Components = append(out.Components, c)
		}
	}
	return out, nil
}

// Coordinates implements meta.Components.
func (r reader) Coordinates(ctx context.Context, ranges []meta.PackageRange, class string) ([]meta.StoredCoordinate, error) {
	var out []meta.StoredCoordinate
	seen := map[int64]bool{}
	collect := func(c meta.StoredCoordinate) {
		if (class == "" || c.Class == class) && !seen[c.ID] {
			seen[c.ID] = true
			out = append(out, c)
		}
	}
	for _, p := range ranges {
		for _, keys := range keyRanges(p) {
			params := args(p.Ecosystem, p.Name, keys[0], keys[1])
			if err := r.eachCoordinate(ctx, "coordinates_in_range", params, collect); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// keyRanges are the ranges of keys to read, each up to before its second key: the
// empty key, and what p says.
func keyRanges(p meta.PackageRange) [][2][]byte {
	high := p.High
	if len(high) == 0 {
		high = []byte(strings.Repeat("\xff", meta.MaxVersionKey+1))
	}
	if len(p.Low) == 0 {
		return [][2][]byte{{{}, high}}
	}
	return [][2][]byte{{{}, {0}}, {p.Low, high}}
}

// PutComponents implements meta.ComponentWriter.
func (t *tx) PutComponents(ctx context.Context, f meta.FileComponents) error {
	if err := t.putComponents(ctx, f); err != nil {
		return fmt.Errorf("components of %s: %w", f.Digest, err)
	}
	return nil
}

func (t *tx) putComponents(ctx context.Context, f meta.FileComponents) error {
	if len(f.Components) > meta.MaxFileComponents {
		return fmt.Errorf("%d are more than %d", len(f.Components), meta.MaxFileComponents)
	}
	if err := checkText("digest", string(f.Digest)); err != nil {
		return err
	}
	for _, c := range f.Components {
		if err := checkCoordinate(c); err != nil {
			return err
		}
	}
	ids, err := t.ensureCoordinates(ctx, f.Components)
	if err != nil {
		return err
	}
	old, err := t.componentFile(ctx, f.Digest)
	if err != nil {
		return err
	}
	packed := encodeIDs(ids)
	if old.id != 0 {
		_, err = t.exec(ctx, "update_component_file", old.id, int64(f.Version), packed)
	} else {
		_, err = one(ctx, t, "insert_component_file", args(string(f.Digest), int64(f.Version), packed), &old.id)
	}
	if err != nil {
		return err
	}
	if err := t.editPostings(ctx, old.id, without64(ids, old.ids), true); err != nil {
		return err
	}
	return t.dropComponents(ctx, old.id, without64(old.ids, ids))
}

// without64 is what sorted a has and sorted b has not.
func without64(a, b []int64) []int64 {
	if len(b) == 0 {
		return a
	}
	return slices.DeleteFunc(slices.Clone(a), func(id int64) bool {
		_, found := slices.BinarySearch(b, id)
		return found
	})
}

// ensureCoordinates gives the ids of coordinates, ascending and each once. Those
// that are new get one.
func (t *tx) ensureCoordinates(ctx context.Context, cs []meta.Coordinate) ([]int64, error) {
	keys := make([]coordinateKey, 0, len(cs))
	known := make(map[coordinateKey]int64, len(cs))
	for _, c := range cs {
		k := keyOf(c)
		if _, twice := known[k]; !twice {
			known[k] = 0
			keys = append(keys, k)
		}
	}
	if err := t.findCoordinates(ctx, keys, known); err != nil {
		return nil, err
	}
	fresh := slices.DeleteFunc(slices.Clone(keys), func(k coordinateKey) bool { return known[k] != 0 })
	if len(fresh) > 0 {
		if err := t.insertCoordinates(ctx, fresh); err != nil {
			return nil, err
		}
		if err := t.findCoordinates(ctx, fresh, known); err != nil {
			return nil, err
		}
	}
	ids := make([]int64, 0, len(keys))
	for _, k := range keys {
		ids = append(ids, known[k])
	}
	slices.Sort(ids)
	if len(ids) > 0 && ids[0] == 0 {
		return nil, errors.New("a coordinate that was inserted is not there")
	}
	return ids, nil
}

// findCoordinates sets the ids of those keys of known that are stored.
func (r reader) findCoordinates(ctx context.Context, keys []coordinateKey, known map[coordinateKey]int64) error {
	hashes := make([]int64, len(keys))
	for i, k := range keys {
		hashes[i] = k.hash()
	}
	return inChunks(hashes, idChunk, nil, func(params []any) error {
		return r.eachCoordinate(ctx, "coordinates_by_hash", params, func(c meta.StoredCoordinate) {
			if k := keyOf(c.Coordinate); contains(known, k) {
				known[k] = c.ID
			}
		})
	})
}

func contains[K comparable, V any](m map[K]V, k K) bool {
	_, ok := m[k]
	return ok
}

func (t *tx) insertCoordinates(ctx context.Context, keys []coordinateKey) error {
	const many = 8
	for len(keys) > 0 {
		name, n := "insert_coordinates", many
		if len(keys) < many {
			name, n = "insert_coordinate", 1
		}
		params := make([]any, 0, 7*n)
		for _, k := range keys[:n] {
			params = append(params, k.params()...)
		}
		if _, err := t.exec(ctx, name, params...); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// editPostings adds a file to the sets of coordinates, or removes it from them.
func (t *tx) editPostings(ctx context.Context, file int64, ids []int64, add bool) error {
	segment, place := file/fileSegment, uint32(file%fileSegment)
	for len(ids) > 0 {
		n := min(idChunk, len(ids))
		sets, err := t.fileSets(ctx, segment, ids[:n])
		if err != nil {
			return err
		}
		var empty []int64
		rows := make([]any, 0, 2*n)
		for _, id := range ids[:n] {
			s := sets[id]
			if add {
				s.set(place)
			} else {
				s.clear(place)
			}
			if packed := s.encode(); packed != nil {
				rows = append(rows, id, packed)
			} else {
				empty = append(empty, id)
			}
		}
		if err := t.putPostings(ctx, segment, rows); err != nil {
			return err
		}
		err = inChunks(empty, idChunk, args(segment), func(params []any) error {
			_, err := t.exec(ctx, "delete_component_postings", params...)
			return err
		})
		if err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// fileSets reads the sets of one segment; those that are absent are empty.
func (t *tx) fileSets(ctx context.Context, segment int64, ids []int64) (map[int64]fileSet, error) {
	sets := make(map[int64]fileSet, len(ids))
	err := inChunks(ids, idChunk, args(segment), func(params []any) error {
		return each(ctx, t, "component_postings_in", params, func(rows *sql.Rows) error {
			var (
				id     int64
				packed sql.RawBytes
				s      fileSet
			)
			if err := rows.Scan(&id, &packed); err != nil {
				return t.fail("component_postings_in", err)
			}
			if err := s.decode(packed); err != nil {
				return fmt.Errorf("files of coordinate %d: %w", id, err)
			}
			sets[id] = s
			return nil
		})
	})
	return sets, err
}

// putPostings writes sets of a segment: rows is coordinate and set by turns.
func (t *tx) putPostings(ctx context.Context, segment int64, rows []any) error {
	const many = 16
	for len(rows) > 0 {
		name, n := "put_component_postings", many
		if len(rows) < 2*many {
			name, n = "put_component_posting", 1
		}
		if _, err := t.exec(ctx, name, append(args(segment), rows[:2*n]...)...); err != nil {
			return err
		}
		rows = rows[2*n:]
	}
	return nil
}

// dropComponents removes coordinates of a file, with its findings about them.
func (t *tx) dropComponents(ctx context.Context, file int64, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	if err := t.editPostings(ctx, file, ids, false); err != nil {
		return err
	}
	err := inChunks(ids, idChunk, args(file), func(params []any) error {
		_, err := t.exec(ctx, "delete_component_findings", params...)
		return err
	})
	if err != nil {
		return err
	}
	return inChunks(ids, idChunk, nil, func(params []any) error {
		_, err := t.exec(ctx, "delete_unused_coordinates", params...)
		return err
	})
}

// dropComponentFile forgets what a blob is made of; nothing may be known.
func (t *tx) dropComponentFile(ctx context.Context, d digest.Digest) error {
	f, err := t.componentFile(ctx, d)
	if err != nil || f.id == 0 {
		return err
	}
	if err := t.dropComponents(ctx, f.id, f.ids); err != nil {
		return err
	}
	_, err = t.exec(ctx, "delete_component_file", f.id) // its findings go with it
	return err
}

// ForgetComponents implements meta.ComponentWriter.
func (t *tx) ForgetComponents(ctx context.Context, below int) (int64, error) {
	ds, err := list[digest.Digest](ctx, t, "component_files_to_forget", int64(below), int64(meta.MaxForgottenFiles))
	if err != nil {
		return 0, err
	}
	for _, d := range ds {
		if err := t.dropComponentFile(ctx, d); err != nil {
			return 0, err
		}
	}
	return int64(len(ds)), nil
}

// ComponentFiles implements meta.Components.
func (r reader) ComponentFiles(ctx context.Context, coordinates []int64, after int64, limit int) ([]meta.ComponentFile, error) {
	ids, err := r.filesWith(ctx, coordinates, after+1)
	if err != nil {
		return nil, err
	}
	if limit > 0 {
		ids = ids[:min(limit, len(ids))]
	}
	rows, err := r.componentFilesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]meta.ComponentFile, 0, len(rows))
	for _, id := range ids {
		if f, ok := rows[id]; ok {
			out = append(out, f.ComponentFile)
		}
	}
	return out, nil
}

// filesWith are the numbers from first on of files that have any of the
// coordinates, ascending.
func (r reader) filesWith(ctx context.Context, coordinates []int64, first int64) ([]int64, error) {
	sets := map[int64]*fileSet{}
	first = max(first, 0)
	err := inChunks(coordinates, idChunk, args(first/fileSegment), func(params []any) error {
		return each(ctx, r.q, "component_postings_of", params, func(rows *sql.Rows) error {
			var (
				id, segment int64
				packed      sql.RawBytes
				s           fileSet
			)
			if err := rows.Scan(&id, &segment, &packed); err != nil {
				return r.q.fail("component_postings_of", err)
			}
			if err := s.decode(packed); err != nil {
				return fmt.Errorf("files of coordinate %d: %w", id, err)
			}
			if have, ok := sets[segment]; ok {
				have.add(&s)
			} else {
				sets[segment] = &s
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	segments := make([]int64, 0, len(sets))
	for segment := range sets {
		segments = append(segments, segment)
	}
	slices.Sort(segments)
	var ids []int64
	for _, segment := range segments {
		for place := range sets[segment].all() {
			if id := segment*fileSegment + int64(place); id >= first {
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}

// A fileRow is a row of component_files with its list.
type fileRow struct {
	meta.ComponentFile
	ids []int64
}

func (r reader) componentFilesByID(ctx context.Context, ids []int64) (map[int64]fileRow, error) {
	found := make(map[int64]fileRow, len(ids))
	err := inChunks(ids, idChunk, nil, func(params []any) error {
		return each(ctx, r.q, "component_files_by_id", params, func(rows *sql.Rows) error {
			var (
				f      fileRow
				packed sql.RawBytes
			)
			if err := rows.Scan(&f.ID, (*string)(&f.Digest), &packed); err != nil {
				return r.q.fail("component_files_by_id", err)
			}
			var err error
			if f.ids, err = decodeIDs(packed); err != nil {
				return fmt.Errorf("components of %s: %w", f.Digest, err)
			}
			found[f.ID] = f
			return nil
		})
	})
	return found, err
}

// maxLookedAt is how many files a listing of uses looks at: that many may well
// belong to nobody who asks.
const maxLookedAt = 64 * idChunk

// A use is a manifest that pins a file.
type use struct {
	meta.UsePosition
	digest digest.Digest
}

// uses lists the manifests that v may see and that pin any of the files, which
// are ascending and from after on.
func (r reader) uses(
	ctx context.Context, v meta.Visibility, files []int64, after meta.UsePosition, most int,
) (out []use, next *meta.UsePosition, err error) {
	left := limit(meta.Page{Limit: most})
	for looked := 0; len(files) > 0; looked += idChunk {
		if looked >= maxLookedAt {
			return out, &meta.UsePosition{File: files[0]}, nil
		}
		n := min(idChunk, len(files))
		page, err := r.usesOf(ctx, v, files[:n], after, left)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, page...)
		if left -= int64(len(page)); left == 0 {
			return out, &out[len(out)-1].UsePosition, nil
		}
		files = files[n:]
	}
	return out, nil, nil
}

// usesOf lists those of at most idChunk files.
func (r reader) usesOf(ctx context.Context, v meta.Visibility, files []int64, after meta.UsePosition, most int64) ([]use, error) {
	var out []use
	for _, s := range spans(v) {
		first := args(s.low, s.high, after.File, after.Repo, string(after.Manifest), most)
		err := inChunks(files, idChunk, first, func(params []any) error {
			return each(ctx, r.q, "file_uses", params, func(rows *sql.Rows) error {
				var u use
				if err := rows.Scan(&u.File, &u.Repo, (*string)(&u.Manifest), (*string)(&u.digest)); err != nil {
					return r.q.fail("file_uses", err)
				}
				out = append(out, u)
				return nil
			})
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b use) int { return comparePositions(a.UsePosition, b.UsePosition) })
	return out[:min(int64(len(out)), most)], nil
}

// ComponentUses implements meta.Components.
func (r reader) ComponentUses(
	ctx context.Context, v meta.Visibility, coordinates []int64, after meta.UsePosition, most int,
) (meta.ComponentPage, error) {
	files, err := r.filesWith(ctx, coordinates, after.File)
	if err != nil {
		return meta.ComponentPage{}, err
	}
	found, next, err := r.uses(ctx, v, files, after, most)
	if err != nil {
		return meta.ComponentPage{}, err
	}
	rows, err := r.componentFilesByID(ctx, filesOf(found))
	if err != nil {
		return meta.ComponentPage{}, err
	}
	wanted := slices.Clone(coordinates)
	slices.Sort(wanted)
	page := meta.ComponentPage{Next: next}
	for _, u := range found {
		var has []int64
		for _, id := range rows[u.File].ids {
			if _, ok := slices.BinarySearch(wanted, id); ok {
				has = append(has, id)
			}
		}
		if len(has) > 0 { // else another update has replaced the list in between
			page.Uses = append(page.Uses, meta.ComponentUse{UsePosition: u.UsePosition, Digest: u.digest, Coordinates: has})
		}
	}
	return page, nil
}

// filesOf are the files of uses, which are in order, each once.
func filesOf(uses []use) []int64 {
	ids := make([]int64, 0, len(uses))
	for _, u := range uses {
		ids = append(ids, u.File)
	}
	return slices.Compact(ids)
}
