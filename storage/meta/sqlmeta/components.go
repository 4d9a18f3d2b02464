package sqlmeta

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// Components of files.
//
// What tells components apart is a row of coordinates, found by a hash of all of
// it: most components of a file are in other files too. A file is a row with the
// ids of its coordinates, and component_postings is that turned round, packed by
// segments of files like the postings of documents. Other than those it is written
// in place: a file has some fifty components, not hundreds of terms, and most rows
// are short. Coordinates that no file has any more go at once, so that those left
// are exactly what an advisory has to be compared with.

// A coordinateHash stands for a coordinate: half of the SHA-256 of its fields, so
// that nobody makes two with the same.
type coordinateHash [sha256.Size / 2]byte

func hashOf(c meta.Coordinate) coordinateHash {
	buf := make([]byte, 0, 256)
	for _, s := range []string{c.Ecosystem, c.Name, c.Version, c.Class, c.Part} {
		buf = binary.AppendUvarint(buf, uint64(len(s)))
		buf = append(buf, s...)
	}
	sum := sha256.Sum256(append(buf, c.Key...))
	return coordinateHash(sum[:])
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

// coordinatesByID are the rows of ids.
func (r reader) coordinatesByID(ctx context.Context, ids []int64) (map[int64]meta.Coordinate, error) {
	found := make(map[int64]meta.Coordinate, len(ids))
	err := inChunks(ids, idChunk, nil, func(params []any) error {
		return each(ctx, r.q, "coordinates_by_id", params, func(rows *sql.Rows) error {
			var (
				id int64
				c  meta.Coordinate
			)
			if err := rows.Scan(&id, &c.Ecosystem, &c.Name, &c.Version, &c.Class, &c.Part, &c.Key); err != nil {
				return r.q.fail("coordinates_by_id", err)
			}
			if len(c.Key) == 0 {
				c.Key = nil
			}
			found[id] = c
			return nil
		})
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
	for _, p := range ranges {
		for _, keys := range keyRanges(p) {
			params := args(p.Ecosystem, p.Name, keys[0], keys[1], class)
			err := each(ctx, r.q, "coordinates_in_range", params, func(rows *sql.Rows) error {
				c := meta.StoredCoordinate{Coordinate: meta.Coordinate{Ecosystem: p.Ecosystem, Name: p.Name}}
				if err := rows.Scan(&c.ID, &c.Version, &c.Class, &c.Part, &c.Key); err != nil {
					return r.q.fail("coordinates_in_range", err)
				}
				if len(c.Key) == 0 {
					c.Key = nil
				}
				out = append(out, c)
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	if len(ranges) > 1 { // they may overlap
		slices.SortFunc(out, func(a, b meta.StoredCoordinate) int { return cmp.Compare(a.ID, b.ID) })
		out = slices.CompactFunc(out, func(a, b meta.StoredCoordinate) bool { return a.ID == b.ID })
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
	if old.id > math.MaxUint32 {
		return errors.New("there are no more numbers for files")
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
	byHash := make(map[coordinateHash]meta.Coordinate, len(cs))
	hashes := make([]coordinateHash, 0, len(cs))
	for _, c := range cs {
		h := hashOf(c)
		if _, twice := byHash[h]; !twice {
			byHash[h] = c
			hashes = append(hashes, h)
		}
	}
	known, err := t.findCoordinates(ctx, hashes)
	if err != nil {
		return nil, err
	}
	fresh := slices.DeleteFunc(hashes, func(h coordinateHash) bool { return known[h] != 0 })
	if len(fresh) > 0 {
		if err := t.insertCoordinates(ctx, fresh, byHash); err != nil {
			return nil, err
		}
		added, err := t.findCoordinates(ctx, fresh)
		if err != nil {
			return nil, err
		}
		maps.Copy(known, added)
	}
	if len(known) != len(byHash) {
		return nil, fmt.Errorf("%d coordinates are stored as %d", len(byHash), len(known))
	}
	return slices.Sorted(maps.Values(known)), nil
}

// findCoordinates gives the ids of those that are stored.
func (r reader) findCoordinates(ctx context.Context, hashes []coordinateHash) (map[coordinateHash]int64, error) {
	known := make(map[coordinateHash]int64, len(hashes))
	params := make([][]byte, len(hashes))
	for i := range hashes {
		params[i] = hashes[i][:]
	}
	err := inChunks(params, idChunk, nil, func(params []any) error {
		return each(ctx, r.q, "coordinates_by_hash", params, func(rows *sql.Rows) error {
			var (
				id   int64
				hash sql.RawBytes
			)
			if err := rows.Scan(&id, &hash); err != nil {
				return r.q.fail("coordinates_by_hash", err)
			}
			if len(hash) != len(coordinateHash{}) {
				return fmt.Errorf("%w: a hash of %d bytes", errPacked, len(hash))
			}
			known[coordinateHash(hash)] = id
			return nil
		})
	})
	return known, err
}

func (t *tx) insertCoordinates(ctx context.Context, hashes []coordinateHash, byHash map[coordinateHash]meta.Coordinate) error {
	const many = 8
	for len(hashes) > 0 {
		name, n := "insert_coordinates", many
		if len(hashes) < many {
			name, n = "insert_coordinate", 1
		}
		params := make([]any, 0, 7*n)
		for _, h := range hashes[:n] {
			c := byHash[h]
			params = append(params, slices.Clone(h[:]), c.Ecosystem, c.Name, c.Version, c.Class, c.Part, notNil(c.Key))
		}
		if _, err := t.exec(ctx, name, params...); err != nil {
			return err
		}
		hashes = hashes[n:]
	}
	return nil
}

// editPostings adds a file to the sets of coordinates, or removes it from them.
func (t *tx) editPostings(ctx context.Context, file int64, ids []int64, add bool) error {
	segment, place := int64(segmentOf(uint32(file))), uint32(file)%segmentSize
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
			if s == nil {
				s = &segmentSet{}
			}
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

// fileSets reads the sets of one segment; those that are absent are nil.
func (t *tx) fileSets(ctx context.Context, segment int64, ids []int64) (map[int64]*segmentSet, error) {
	sets := make(map[int64]*segmentSet, len(ids))
	err := inChunks(ids, idChunk, args(segment), func(params []any) error {
		return each(ctx, t, "component_postings_in", params, func(rows *sql.Rows) error {
			var (
				id     int64
				packed sql.RawBytes
				s      segmentSet
			)
			if err := rows.Scan(&id, &packed); err != nil {
				return t.fail("component_postings_in", err)
			}
			if err := s.decode(packed); err != nil {
				return fmt.Errorf("files of coordinate %d: %w", id, err)
			}
			sets[id] = &s
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

// AllComponentFiles implements meta.Components.
func (r reader) AllComponentFiles(ctx context.Context, after int64, most int) ([]meta.ComponentFile, error) {
	return r.componentFiles(ctx, "all_component_files", args(after, limit(meta.Page{Limit: most})))
}

// CountComponentFiles implements meta.Components.
func (r reader) CountComponentFiles(ctx context.Context, most int) (int, error) {
	var n int
	_, err := one(ctx, r.q, "count_component_files", args(int64(max(most, 0))), &n)
	return n, err
}

// filesWith are the numbers from first on of files that have any of the
// coordinates, ascending.
func (r reader) filesWith(ctx context.Context, coordinates []int64, first int64) ([]int64, error) {
	first = max(first, 0)
	if first > math.MaxUint32 {
		return nil, nil
	}
	var g gatherer
	params := args(int64(segmentOf(uint32(first))))
	err := inChunks(coordinates, idChunk, params, func(params []any) error {
		return each(ctx, r.q, "component_postings_of", params, func(rows *sql.Rows) error {
			var (
				id      int64
				segment uint32
				packed  sql.RawBytes
			)
			if err := rows.Scan(&id, &segment, &packed); err != nil {
				return r.q.fail("component_postings_of", err)
			}
			if err := g.add(segment, packed); err != nil {
				return fmt.Errorf("files of coordinate %d: %w", id, err)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	var ids []int64
	found := g.bitmap().Iterator()
	found.AdvanceIfNeeded(uint32(first))
	for found.HasNext() {
		ids = append(ids, int64(found.Next()))
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
