package sqlmeta

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// A knownTerm is a row of terms.
type knownTerm struct {
	id     int64
	text   string
	packed int64 // documents that have it, of those that are packed
}

// findTerms finds the rows of those texts that are in the index, by id.
func (r reader) findTerms(ctx context.Context, texts []string) ([]knownTerm, error) {
	s, _ := r.q.(*documentSnapshot)
	found, unknown := s.recall(texts)
	name, size := "terms_by_text", 32
	if len(unknown) > size {
		name, size = "many_terms_by_text", 128
	}
	err := inChunks(unknown, size, nil, func(params []any) error {
		return each(ctx, r.q, name, params, r.scanTerms(name, &found))
	})
	s.remember(found)
	slices.SortFunc(found, func(a, b knownTerm) int { return cmp.Compare(a.id, b.id) })
	return slices.Compact(found), err
}

// maxKnown bounds the terms that a snapshot keeps.
const maxKnown = 8192

// remember keeps terms for the next time that they are looked for.
func (s *documentSnapshot) remember(terms []knownTerm) {
	if s == nil {
		return
	}
	if s.terms == nil {
		s.terms = map[string]knownTerm{}
	}
	for _, k := range terms {
		if len(s.terms) < maxKnown {
			s.terms[k.text] = k
		}
	}
}

// recall gives the terms that are kept, and the other texts.
func (s *documentSnapshot) recall(texts []string) (found []knownTerm, unknown []string) {
	if s == nil || len(s.terms) == 0 {
		return nil, texts
	}
	for _, text := range texts {
		if k, ok := s.terms[text]; ok {
			found = append(found, k)
		} else {
			unknown = append(unknown, text)
		}
	}
	return found, unknown
}

func (r reader) scanTerms(name string, into *[]knownTerm) func(*sql.Rows) error {
	return func(rows *sql.Rows) error {
		var k knownTerm
		if err := rows.Scan(&k.id, &k.text, &k.packed); err != nil {
			return r.q.fail(name, err)
		}
		*into = append(*into, k)
		return nil
	}
}

func termIDsOf(known []knownTerm) []int64 {
	ids := make([]int64, len(known))
	for i, k := range known {
		ids[i] = k.id
	}
	return ids
}

// Terms implements meta.Documents.
func (r reader) Terms(ctx context.Context, prefix, after string, limit int) ([]meta.Term, error) {
	c, err := r.changes(ctx)
	if err != nil {
		return nil, err
	}
	var out []meta.Term
	for len(out) < limit {
		asked := limit - len(out)
		page, err := r.termPage(ctx, prefix, after, asked)
		if err != nil {
			return nil, err
		}
		counts := c.recount(page)
		for i, k := range page {
			if counts[i] > 0 {
				out = append(out, meta.Term{Text: k.text, Documents: counts[i]})
			}
			after = k.text
		}
		if len(page) < asked {
			break
		}
	}
	return out, nil
}

// termPage lists rows of terms. Some may be of no document any more.
func (r reader) termPage(ctx context.Context, prefix, after string, limit int) ([]knownTerm, error) {
	var page []knownTerm
	// The empty text of everyDocument sorts after none.
	err := each(ctx, r.q, "terms", args(prefix, prefix+last, after, int64(limit)), r.scanTerms("terms", &page))
	if s, ok := r.q.(*documentSnapshot); ok {
		s.remember(page)
	}
	return page, err
}

// recount is how many documents have each of the terms now.
func (c *changes) recount(terms []knownTerm) []int64 {
	counts := make([]int64, len(terms))
	place := make(map[int64]int, len(terms))
	for i, k := range terms {
		counts[i], place[k.id] = k.packed, i
	}
	add := func(ids []int64, n int64) {
		for _, id := range ids {
			if i, ok := place[id]; ok {
				counts[i] += n
			}
		}
	}
	for i := range c.list {
		add(c.list[i].packed, -1)
		add(c.list[i].terms, 1)
	}
	return counts
}

// Postings implements meta.Documents.
func (r reader) Postings(ctx context.Context, terms []string) (*roaring.Bitmap, error) {
	known, err := r.findTerms(ctx, terms)
	if err != nil {
		return nil, err
	}
	return r.union(ctx, termIDsOf(known))
}

// AllDocuments implements meta.Documents.
func (r reader) AllDocuments(ctx context.Context) (*roaring.Bitmap, error) {
	return r.union(ctx, []int64{everyDocument})
}

// union is the set of documents that have any of the terms, which are ascending.
func (r reader) union(ctx context.Context, ids []int64) (*roaring.Bitmap, error) {
	if len(ids) == 0 {
		return roaring.New(), nil
	}
	c, err := r.changes(ctx)
	if err != nil {
		return nil, err
	}
	var g gatherer
	err = r.eachPosting(ctx, ids, func(_ int64, segment uint32, numbers []byte) error { return g.add(segment, numbers) })
	if err != nil {
		return nil, err
	}
	b := g.bitmap()
	b.AndNot(c.numbers)
	c.having(ids, b)
	return b, nil
}

// eachPosting calls f for every packed row of the terms. numbers is good until f
// returns.
func (r reader) eachPosting(ctx context.Context, ids []int64, f func(id int64, segment uint32, numbers []byte) error) error {
	name, size := "postings", 16
	if len(ids) > size {
		name, size = "many_postings", 64
	}
	return inChunks(ids, size, nil, func(params []any) error {
		return each(ctx, r.q, name, params, func(rows *sql.Rows) error {
			var (
				id, segment int64
				numbers     sql.RawBytes
			)
			if err := rows.Scan(&id, &segment, &numbers); err != nil {
				return r.q.fail(name, err)
			}
			if err := f(id, uint32(segment), numbers); err != nil {
				return fmt.Errorf("postings of term %d, segment %d: %w", id, segment, err)
			}
			return nil
		})
	})
}

// fewDocuments is up to which size a set of documents is looked up row by row
// rather than in what is packed by segment.
const fewDocuments = 400

// CountTerms implements meta.Documents.
func (r reader) CountTerms(ctx context.Context, prefix string, within *roaring.Bitmap, limit int) ([]meta.Term, error) {
	known, counts, err := r.frequentTerms(ctx, prefix)
	if err != nil {
		return nil, err
	}
	switch {
	case len(known) == 0 || within == nil: // counted already
	case within.GetCardinality() <= fewDocuments:
		counts, err = r.countByDocument(ctx, known, within)
	default:
		counts, err = r.countBySegment(ctx, known, within)
	}
	if err != nil {
		return nil, err
	}
	out := make([]meta.Term, 0, len(known))
	for i, k := range known {
		if counts[i] > 0 {
			out = append(out, meta.Term{Text: k.text, Documents: counts[i]})
		}
	}
	slices.SortStableFunc(out, func(a, b meta.Term) int { return cmp.Compare(b.Documents, a.Documents) })
	return out[:min(len(out), max(limit, 0))], nil
}

// consideredTerms bounds the terms among which frequentTerms chooses. More have
// one beginning only if somebody made them up.
const consideredTerms = 4096

// frequentTerms are the MaxCountedTerms terms with a prefix that most documents
// have, in byte order, with how many have each.
func (r reader) frequentTerms(ctx context.Context, prefix string) ([]knownTerm, []int64, error) {
	page, err := r.termPage(ctx, prefix, "", consideredTerms)
	if err != nil || len(page) == 0 {
		return nil, nil, err
	}
	c, err := r.changes(ctx)
	if err != nil {
		return nil, nil, err
	}
	counts := c.recount(page)
	place := places(page)
	slices.SortStableFunc(page, func(a, b knownTerm) int { return cmp.Compare(counts[place[b.id]], counts[place[a.id]]) })
	page = page[:min(len(page), meta.MaxCountedTerms)]
	slices.SortFunc(page, func(a, b knownTerm) int { return strings.Compare(a.text, b.text) })
	chosen := make([]int64, len(page))
	for i, k := range page {
		chosen[i] = counts[place[k.id]]
	}
	return page, chosen, nil
}

func (r reader) countByDocument(ctx context.Context, known []knownTerm, within *roaring.Bitmap) ([]int64, error) {
	counts := make([]int64, len(known))
	place := places(known)
	err := r.termsByNumber(ctx, within.ToArray(), func(_ uint32, ids []int64) {
		for _, id := range ids {
			if i, ok := place[id]; ok {
				counts[i]++
			}
		}
	})
	return counts, err
}

func places(known []knownTerm) map[int64]int {
	place := make(map[int64]int, len(known))
	for i, k := range known {
		place[k.id] = i
	}
	return place
}

// termsByNumber calls f with the terms of each document that there is.
func (r reader) termsByNumber(ctx context.Context, numbers []uint32, f func(number uint32, ids []int64)) error {
	return inChunks(distinct(numbers), 32, nil, func(params []any) error {
		return each(ctx, r.q, "terms_by_number", params, func(rows *sql.Rows) error {
			var (
				number int64
				terms  sql.RawBytes
			)
			if err := rows.Scan(&number, &terms); err != nil {
				return r.q.fail("terms_by_number", err)
			}
			ids, err := decodeIDs(terms)
			if err != nil {
				return fmt.Errorf("document %d: %w", number, err)
			}
			f(uint32(number), ids)
			return nil
		})
	})
}

// distinct gives numbers each once and as the database wants them.
func distinct(numbers []uint32) []int64 {
	out := make([]int64, len(numbers))
	for i, n := range numbers {
		out[i] = int64(n)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (r reader) countBySegment(ctx context.Context, known []knownTerm, within *roaring.Bitmap) ([]int64, error) {
	c, err := r.changes(ctx)
	if err != nil {
		return nil, err
	}
	counts := make([]int64, len(known))
	place := places(known)
	words := padded(roaring.AndNot(within, c.numbers))
	err = r.eachPosting(ctx, termIDsOf(known), func(id int64, segment uint32, numbers []byte) error {
		if err := checkNumbers(numbers); err != nil {
			return err
		}
		from := int(segment) * segmentWords
		if from < len(words) {
			counts[place[id]] += common(words[from:], numbers)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range c.list {
		d := &c.list[i]
		if !within.Contains(d.number) {
			continue
		}
		for _, id := range d.terms {
			if i, ok := place[id]; ok {
				counts[i]++
			}
		}
	}
	return counts, nil
}

// padded gives a set as bits, up to the end of a segment.
func padded(b *roaring.Bitmap) []uint64 {
	if b.IsEmpty() {
		return nil
	}
	segments := int(segmentOf(b.Maximum())) + 1
	words := make([]uint64, max(segments*segmentWords, int(b.DenseSize())))
	b.WriteDenseTo(words)
	return words[:segments*segmentWords]
}

// common counts what a packed row and the words of its segment have in common.
func common(words []uint64, numbers []byte) (n int64) {
	if len(numbers) == segmentBytes {
		for i := range segmentWords {
			n += int64(bits.OnesCount64(words[i] & binary.LittleEndian.Uint64(numbers[8*i:])))
		}
		return n
	}
	for i := 0; i < len(numbers); i += 2 {
		number := binary.LittleEndian.Uint16(numbers[i:])
		n += int64(words[number/64] >> (number % 64) & 1)
	}
	return n
}

// TermsOf implements meta.Documents.
func (r reader) TermsOf(ctx context.Context, ids []uint32, terms []string) ([][]string, error) {
	known, err := r.findTerms(ctx, terms)
	if err != nil {
		return nil, err
	}
	id := make(map[string]int64, len(known))
	for _, k := range known {
		id[k.text] = k.id
	}
	have := make(map[uint32][]int64, len(ids))
	if err := r.termsByNumber(ctx, ids, func(number uint32, list []int64) { have[number] = list }); err != nil {
		return nil, err
	}
	out := make([][]string, len(ids))
	for i, number := range ids {
		for _, text := range terms {
			wanted, ok := id[text]
			if !ok {
				continue
			}
			if _, found := slices.BinarySearch(have[number], wanted); found {
				out[i] = append(out[i], text)
			}
		}
	}
	return out, nil
}

// DocumentsByID implements meta.Documents.
func (r reader) DocumentsByID(ctx context.Context, ids []uint32) ([]meta.Document, error) {
	found := make(map[uint32]meta.Document, len(ids))
	err := inChunks(distinct(ids), 32, nil, func(params []any) error {
		return each(ctx, r.q, "documents_by_number", params, func(rows *sql.Rows) error {
			var (
				d               meta.Document
				number, updated int64
			)
			if err := rows.Scan(&number, &d.Repo, (*string)(&d.Digest), &updated, &d.Size, &d.Pulls, (*[]byte)(&d.Body)); err != nil {
				return r.q.fail("documents_by_number", err)
			}
			d.Number, d.Updated = uint32(number), fromMicros(updated)
			found[d.Number] = d
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	out := make([]meta.Document, 0, len(ids))
	for _, id := range ids {
		if d, ok := found[id]; ok {
			out = append(out, d)
		}
	}
	return out, nil
}

// Document implements meta.Documents.
func (r reader) Document(ctx context.Context, repo string, d digest.Digest) (meta.Document, error) {
	doc := meta.Document{Repo: repo, Digest: d}
	var (
		number, updated int64
		terms           []byte
	)
	found, err := one(ctx, r.q, "document", args(repo, string(d)), &number, &updated, &doc.Size, &doc.Pulls, &terms, (*[]byte)(&doc.Body))
	if err != nil {
		return meta.Document{}, err
	}
	if !found {
		return meta.Document{}, notFound(ctx, r.q, repo, string(d))
	}
	doc.Number, doc.Updated = uint32(number), fromMicros(updated)
	ids, err := decodeIDs(terms)
	if err != nil {
		return meta.Document{}, fmt.Errorf("document %d: %w", number, err)
	}
	doc.Terms, err = r.termTexts(ctx, ids)
	return doc, err
}

func (r reader) termTexts(ctx context.Context, ids []int64) ([]string, error) {
	var texts []string
	err := inChunks(ids, 32, nil, func(params []any) error {
		return each(ctx, r.q, "terms_by_id", params, func(rows *sql.Rows) error {
			var (
				id   int64
				text string
			)
			if err := rows.Scan(&id, &text); err != nil {
				return r.q.fail("terms_by_id", err)
			}
			if id != everyDocument {
				texts = append(texts, text)
			}
			return nil
		})
	})
	slices.Sort(texts)
	return slices.Compact(texts), err
}
