package sqlmeta

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// The index of functions keeps, of all hashes of all blobs, those below a cut,
// which BoundFunctions lowers when there are too many rows. Hashes are uniform,
// so every blob loses the same share, and what two blobs share stays comparable.

// signed is a hash as a column of the database sorts it.
func signed(hash uint64) int64 { return int64(hash ^ 1<<63) }

func encodeHashes(hashes []uint64) []byte {
	buf := make([]byte, 0, 8*len(hashes))
	for _, h := range hashes {
		buf = binary.BigEndian.AppendUint64(buf, h)
	}
	return buf
}

func decodeHashes(buf []byte) ([]uint64, error) {
	if len(buf)%8 != 0 {
		return nil, fmt.Errorf("%w: %d bytes of hashes", errPacked, len(buf))
	}
	hashes := make([]uint64, 0, len(buf)/8)
	for ; len(buf) > 0; buf = buf[8:] {
		hashes = append(hashes, binary.BigEndian.Uint64(buf))
	}
	return hashes, nil
}

// below cuts off what is not less than cut from ascending hashes.
func below(hashes []uint64, cut int64) []uint64 {
	if cut == math.MaxInt64 {
		return hashes // nothing was cut yet
	}
	n, _ := slices.BinarySearchFunc(hashes, cut, func(h uint64, cut int64) int { return cmp.Compare(signed(h), cut) })
	return hashes[:n]
}

func functionCut(ctx context.Context, q querier) (int64, error) {
	var cut int64
	_, err := one(ctx, q, "function_cut", nil, &cut)
	return cut, err
}

// A functionLayer is a row of function_layers.
type functionLayer struct {
	id     int64
	digest digest.Digest
	total  int
	hashes []uint64 // those that are still in the index, ascending
}

// functionLayer is that of a blob; its id is 0 if there is none.
func (r reader) functionLayer(ctx context.Context, d digest.Digest, cut int64) (functionLayer, error) {
	l := functionLayer{digest: d}
	var hashes []byte
	found, err := one(ctx, r.q, "function_layer", args(string(d)), &l.id, &l.total, &hashes)
	if err != nil || !found {
		return functionLayer{}, err
	}
	if l.hashes, err = decodeHashes(hashes); err != nil {
		return functionLayer{}, fmt.Errorf("functions of %s: %w", d, err)
	}
	l.hashes = below(l.hashes, cut)
	return l, nil
}

// maxFunctions bounds the hashes of one blob.
const maxFunctions = 1 << 16

// PutFunctions implements meta.DocumentWriter.
func (t *tx) PutFunctions(ctx context.Context, d digest.Digest, hashes []uint64, total int) error {
	if len(hashes) > maxFunctions || total < 0 {
		return fmt.Errorf("functions of %s: %d hashes of %d functions", d, len(hashes), total)
	}
	cut, err := functionCut(ctx, t)
	if err != nil {
		return err
	}
	old, err := t.functionLayer(ctx, d, cut)
	if err != nil {
		return err
	}
	hashes = slices.Clone(hashes)
	slices.Sort(hashes)
	hashes = below(slices.Compact(hashes), cut)
	var id int64
	if _, err := one(ctx, t, "put_function_layer", args(string(d), int64(total), encodeHashes(hashes)), &id); err != nil {
		return err
	}
	lost, err := t.editFunctions(ctx, "delete_functions", id, without(old.hashes, hashes))
	if err != nil {
		return err
	}
	won, err := t.editFunctions(ctx, "insert_functions", id, without(hashes, old.hashes))
	if err != nil {
		return err
	}
	return t.countFunctions(ctx, won-lost)
}

// without is what sorted a has and sorted b has not.
func without(a, b []uint64) []uint64 {
	return slices.DeleteFunc(slices.Clone(a), func(h uint64) bool {
		_, found := slices.BinarySearch(b, h)
		return found
	})
}

func (t *tx) editFunctions(ctx context.Context, name string, layer int64, hashes []uint64) (n int64, err error) {
	list := make([]int64, len(hashes))
	for i, h := range hashes {
		list[i] = signed(h)
	}
	err = inChunks(list, 128, args(layer), func(params []any) error {
		changed, err := t.exec(ctx, name, params...)
		n += changed
		return err
	})
	return n, err
}

func (t *tx) countFunctions(ctx context.Context, n int64) error {
	if n == 0 {
		return nil
	}
	_, err := t.exec(ctx, "count_functions", n)
	return err
}

// dropFunctions forgets those of a blob that is gone.
func (t *tx) dropFunctions(ctx context.Context, d digest.Digest) error {
	cut, err := functionCut(ctx, t)
	if err != nil {
		return err
	}
	l, err := t.functionLayer(ctx, d, cut)
	if err != nil || l.id == 0 {
		return err
	}
	n, err := t.editFunctions(ctx, "delete_functions", l.id, l.hashes)
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, "delete_function_layer", l.id); err != nil {
		return err
	}
	return t.countFunctions(ctx, -n)
}

// cutAtOnce bounds how many functions one step forgets.
const cutAtOnce = 5000

// BoundFunctions implements meta.DocumentWriter.
func (t *tx) BoundFunctions(ctx context.Context, limit int64) (bool, error) {
	if limit < 0 {
		return false, errors.New("a limit of functions below zero")
	}
	var n int64
	if _, err := one(ctx, t, "function_count", nil, &n); err != nil || n <= limit {
		return false, err
	}
	var cut int64
	found, err := one(ctx, t, "function_from_top", args(min(n-limit, cutAtOnce)-1), &cut)
	if err != nil || !found {
		return false, err
	}
	if _, err := t.exec(ctx, "set_function_cut", cut); err != nil {
		return false, err
	}
	cutOff, err := t.exec(ctx, "cut_functions", cut)
	if err != nil {
		return false, err
	}
	return n-cutOff > limit, t.countFunctions(ctx, -cutOff)
}

// LayersWithFunction implements meta.Documents.
func (r reader) LayersWithFunction(ctx context.Context, hash uint64, limit int) ([]digest.Digest, error) {
	return list[digest.Digest](ctx, r.q, "layers_with_function", signed(hash), int64(limit))
}

// comparedFunctions is how many functions of a blob are looked up to find others
// like it.
const comparedFunctions = 256

// SimilarLayers implements meta.Documents.
func (r reader) SimilarLayers(ctx context.Context, d digest.Digest, common, limit int) ([]meta.LayerOverlap, error) {
	cut, err := functionCut(ctx, r.q)
	if err != nil {
		return nil, err
	}
	l, err := r.functionLayer(ctx, d, cut)
	if err != nil {
		return nil, err
	}
	if l.id == 0 {
		return nil, fmt.Errorf("%w: functions of %s", meta.ErrNotFound, d)
	}
	shared := map[int64]int{}
	for _, h := range l.hashes[:min(len(l.hashes), comparedFunctions)] {
		var layers []int64
		err := each(ctx, r.q, "layer_ids_with_function", args(signed(h), int64(common)+1), func(rows *sql.Rows) error {
			var id int64
			if err := rows.Scan(&id); err != nil {
				return r.q.fail("layer_ids_with_function", err)
			}
			layers = append(layers, id)
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(layers) > common {
			continue
		}
		for _, id := range layers {
			if id != l.id {
				shared[id]++
			}
		}
	}
	ids := make([]int64, 0, len(shared))
	for id := range shared {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b int64) int { return cmp.Or(cmp.Compare(shared[b], shared[a]), cmp.Compare(a, b)) })
	return r.overlaps(ctx, ids[:min(len(ids), max(limit, 0))], shared, cut)
}

// overlaps describes layers, in the order of ids.
func (r reader) overlaps(ctx context.Context, ids []int64, shared map[int64]int, cut int64) ([]meta.LayerOverlap, error) {
	found := make(map[int64]meta.LayerOverlap, len(ids))
	err := inChunks(ids, 32, nil, func(params []any) error {
		return each(ctx, r.q, "function_layers_by_id", params, func(rows *sql.Rows) error {
			var (
				id     int64
				o      meta.LayerOverlap
				packed []byte
			)
			if err := rows.Scan(&id, (*string)(&o.Digest), &o.Total, &packed); err != nil {
				return r.q.fail("function_layers_by_id", err)
			}
			hashes, err := decodeHashes(packed)
			if err != nil {
				return fmt.Errorf("functions of %s: %w", o.Digest, err)
			}
			o.Shared, o.Sample = shared[id], len(below(hashes, cut))
			found[id] = o
			return nil
		})
	})
	out := make([]meta.LayerOverlap, 0, len(ids))
	for _, id := range ids {
		if o, ok := found[id]; ok {
			out = append(out, o)
		}
	}
	return out, err
}
