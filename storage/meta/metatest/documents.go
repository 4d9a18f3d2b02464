package metatest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// document is one with these terms, of the manifest whose content is text.
func document(repo, text string, terms ...string) meta.Document {
	return meta.Document{
		Repo: repo, Digest: sum(text), Terms: terms, Size: int64(len(text)), Updated: start, Body: json.RawMessage(`{"of": "` + text + `"}`),
	}
}

// index puts manifests and their documents.
func (f *fixture) index(ds ...meta.Document) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error {
		for _, d := range ds {
			if err := putIndexed(ctx, tx, d); err != nil {
				return err
			}
		}
		return nil
	})
}

func putIndexed(ctx context.Context, tx meta.Tx, d meta.Document) error {
	m := meta.NewManifest{Manifest: meta.Manifest{Repo: d.Repo, Digest: d.Digest, MediaType: "x", Content: []byte("x"), Created: start}}
	if _, err := tx.PutManifest(ctx, m); err != nil {
		return err
	}
	return tx.PutDocument(ctx, d)
}

// pack packs until there is nothing to do.
func (f *fixture) pack() {
	f.Helper()
	for more := true; more; {
		f.update(func(ctx context.Context, tx meta.Tx) error {
			var err error
			more, err = tx.PackDocuments(ctx)
			return err
		})
	}
}

// names are the documents of a set as repo and content's first digits, in order.
func (f *fixture) documents(call string, b *roaring.Bitmap, err error) []string {
	f.Helper()
	if err != nil {
		f.Fatalf("%s = %v", call, err)
	}
	ds, err := f.db.DocumentsByID(f.Context(), b.ToArray())
	if err != nil {
		f.Fatalf("DocumentsByID() = %v", err)
	}
	var names []string
	for _, d := range ds {
		var body struct{ Of string }
		if err := json.Unmarshal(d.Body, &body); err != nil {
			f.Fatal(err)
		}
		names = append(names, d.Repo+" "+body.Of)
	}
	slices.Sort(names)
	return names
}

var documentTests = []test{
	{"a document is found by its terms, by any of several, and read back", func(f *fixture) {
		ctx := f.Context()
		f.index(document("a", "one", "x", "y"), document("a", "two", "y", "z", "y"), document("b", "one", "x"))
		b, err := f.db.Postings(ctx, []string{"x"})
		want(f, "Postings(x)", f.documents("Postings(x)", b, err), nil, []string{"a one", "b one"})
		b, err = f.db.Postings(ctx, []string{"z", "x", "none"})
		want(f, "Postings(z, x, none)", f.documents("Postings(z, x, none)", b, err), nil, []string{"a one", "a two", "b one"})
		b, err = f.db.Postings(ctx, nil)
		want(f, "Postings()", f.documents("Postings()", b, err), nil, nil)
		d, err := f.db.Document(ctx, "a", sum("two"))
		d.Number = 0
		want(f, "Document(a, two)", d, err, document("a", "two", "y", "z"))
		terms, err := f.db.Terms(ctx, "", "", 10)
		want(f, "Terms()", terms, err, []meta.Term{{Text: "x", Documents: 2}, {Text: "y", Documents: 2}, {Text: "z", Documents: 1}})
	}},
	{"a document needs a manifest, and one that is not there is ErrNotFound", func(f *fixture) {
		f.put(manifest("a", "held"))
		for _, d := range []meta.Document{document("none", "one", "x"), document("a", "one", "x")} {
			f.failing("PutDocument("+d.Repo+")", meta.ErrNotFound, func(ctx context.Context, tx meta.Tx) error { return tx.PutDocument(ctx, d) })
		}
		_, err := f.db.Document(f.Context(), "a", sum("held"))
		fails(f, "Document(a, held)", err, meta.ErrNotFound)
		_, err = f.db.Document(f.Context(), "none", sum("held"))
		fails(f, "Document(none, held)", err, meta.ErrRepository)
		f.update(func(ctx context.Context, tx meta.Tx) error {
			return errors.Join(tx.DeleteDocument(ctx, "a", sum("held")), tx.DeleteDocument(ctx, "none", sum("held")))
		})
	}},
	{"what is no term or body, or too much, is refused", func(f *fixture) {
		f.put(manifest("a", "one"))
		many := make([]string, meta.MaxTerms+1)
		for i := range many {
			many[i] = fmt.Sprint("t", i)
		}
		longest := strings.Repeat("x", meta.MaxTerm)
		f.index(document("a", "one", longest))
		tests := []struct {
			name string
			d    meta.Document
		}{
			{"an empty term", document("a", "one", "")},
			{"a zero byte", document("a", "one", "a\x00b")},
			{"bytes that are not UTF-8", document("a", "one", "a\xff")},
			{"a long term", document("a", "one", longest+"x")},
			{"many terms", document("a", "one", many...)},
			{"a body that is no JSON", meta.Document{Repo: "a", Digest: sum("one"), Body: json.RawMessage("{")}},
		}
		for _, tt := range tests {
			err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error { return tx.PutDocument(ctx, tt.d) })
			if err == nil {
				f.Errorf("PutDocument() with %s succeeded, want an error", tt.name)
			}
		}
	}},
	{"documents go with their manifest and with their repository", func(f *fixture) {
		ctx := f.Context()
		f.index(document("a", "one", "x"), document("a", "two", "x", "y"), document("b", "one", "x"), document("c", "one", "x"))
		f.update(func(ctx context.Context, tx meta.Tx) error {
			if _, err := tx.DeleteManifest(ctx, "a", sum("two")); err != nil {
				return err
			}
			return errors.Join(tx.DeleteRepository(ctx, "b"), tx.DeleteDocument(ctx, "c", sum("one")))
		})
		b, err := f.db.Postings(ctx, []string{"x"})
		want(f, "Postings(x)", f.documents("Postings(x)", b, err), nil, []string{"a one"})
		if n := b.GetCardinality(); n != 1 {
			f.Errorf("Postings(x) has %d numbers, want 1", n)
		}
		terms, err := f.db.Terms(ctx, "", "", 10)
		want(f, "Terms()", terms, err, []meta.Term{{Text: "x", Documents: 1}})
		if _, err := f.db.Manifest(ctx, "c", sum("one")); err != nil {
			f.Errorf("Manifest() after DeleteDocument() = %v, want it there", err)
		}
	}},
	{"a number is not used again", func(f *fixture) {
		f.index(document("a", "one", "x"))
		before, err := f.db.Document(f.Context(), "a", sum("one"))
		if err != nil {
			f.Fatal(err)
		}
		f.index(document("a", "one", "y"))
		same, err := f.db.Document(f.Context(), "a", sum("one"))
		want(f, "number after another PutDocument()", same.Number, err, before.Number)
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.DeleteRepository(ctx, "a") })
		f.index(document("a", "one", "x"))
		after, err := f.db.Document(f.Context(), "a", sum("one"))
		if err != nil || after.Number <= before.Number {
			f.Errorf("number of a document made anew = %d, %v; want more than %d", after.Number, err, before.Number)
		}
	}},
	{"terms are listed by prefix, page by page in byte order", func(f *fixture) {
		f.index(document("a", "one", "a:1", "a:2", "b:é", "b:z", "B", "a", "a;"))
		tests := []struct {
			prefix, after string
			limit         int
			want          []string
		}{
			{"", "", 3, []string{"B", "a", "a:1"}},
			{"", "a:1", 9, []string{"a:2", "a;", "b:z", "b:é"}},
			{"a:", "", 9, []string{"a:1", "a:2"}},
			{"a:", "a:1", 9, []string{"a:2"}},
			{"b:z", "", 9, []string{"b:z"}},
			{"c", "", 9, nil},
			{"a", "", 0, nil},
		}
		for _, tt := range tests {
			terms, err := f.db.Terms(f.Context(), tt.prefix, tt.after, tt.limit)
			var got []string
			for _, t := range terms {
				got = append(got, t.Text)
			}
			want(f, fmt.Sprintf("Terms(%q, %q, %d)", tt.prefix, tt.after, tt.limit), got, err, tt.want)
		}
	}},
	{"pulls are counted, also those before the document", func(f *fixture) {
		f.put(manifest("a", "one"))
		pull := func(n int64) {
			f.update(func(ctx context.Context, tx meta.Tx) error {
				return tx.AddDownloads(ctx, []meta.Download{{Repo: "a", Digest: sum("one"), Day: start, Count: n}})
			})
		}
		pull(3)
		f.index(document("a", "one", "x"))
		pull(4)
		f.index(document("a", "one", "y"))
		d, err := f.db.Document(f.Context(), "a", sum("one"))
		want(f, "pulls", d.Pulls, err, 7)
		b, err := f.db.InRange(f.Context(), meta.ColumnPulls, 7, 7, nil)
		want(f, "InRange(pulls, 7, 7)", f.documents("InRange()", b, err), nil, []string{"a one"})
	}},
	{"an update sees the documents it wrote", func(f *fixture) {
		f.update(func(ctx context.Context, tx meta.Tx) error {
			if _, err := tx.PutManifest(ctx, manifest("a", "one")); err != nil {
				return err
			}
			if err := tx.PutDocument(ctx, document("a", "one", "x")); err != nil {
				return err
			}
			return tx.ReadDocuments(ctx, func(docs meta.Documents) error {
				b, err := docs.Postings(ctx, []string{"x"})
				if err == nil && b.GetCardinality() != 1 {
					err = fmt.Errorf("Postings(x) has %d numbers, want 1", b.GetCardinality())
				}
				return err
			})
		})
	}},
	{"ReadDocuments sees one state whatever is written", func(f *fixture) {
		f.index(document("a", "one", "x"))
		ctx := f.Context()
		err := f.db.ReadDocuments(ctx, func(docs meta.Documents) error {
			before, err := docs.AllDocuments(ctx)
			if err != nil {
				return err
			}
			f.index(document("a", "two", "x"))
			after, err := docs.Postings(ctx, []string{"x"})
			if err == nil && !before.Equals(after) {
				err = fmt.Errorf("AllDocuments() = %v, then Postings(x) = %v; want the same", before, after)
			}
			return err
		})
		if err != nil {
			f.Errorf("ReadDocuments() = %v", err)
		}
		fails(f, "ReadDocuments() of a failing function", f.db.ReadDocuments(ctx, func(meta.Documents) error { return meta.ErrPinned }), meta.ErrPinned)
	}},
	{"an order by name gives up for a while when too much lies between", func(f *fixture) {
		const others, ours = 10_500, 2_100
		f.update(func(ctx context.Context, tx meta.Tx) error {
			for i := range others + ours {
				repo := "a"
				if i >= others {
					repo = "b"
				}
				m := manifest(repo, fmt.Sprint(i))
				if _, err := tx.PutManifest(ctx, m); err != nil {
					return err
				}
				if err := tx.PutDocument(ctx, document(repo, fmt.Sprint(i), repo)); err != nil {
					return err
				}
			}
			return nil
		})
		f.pack()
		ctx := f.Context()
		within, err := f.db.Postings(ctx, []string{"b"})
		if err != nil || within.GetCardinality() != ours {
			f.Fatalf("Postings(b) = %d numbers, %v; want %d", within.GetCardinality(), err, ours)
		}
		top, err := f.db.TopDocuments(ctx, meta.ColumnName, true, within, nil, 2)
		if err != nil || len(top.Positions) != 0 || top.Resume == nil {
			f.Fatalf("TopDocuments(name) = %+v, %v; want a place to resume from", top, err)
		}
		top, err = f.db.TopDocuments(ctx, meta.ColumnName, true, within, top.Resume, 2)
		if err != nil || len(top.Positions) != 2 || top.Positions[0].Number != within.Minimum() || top.Positions[1].Name != "b" {
			f.Errorf("TopDocuments(name) = %+v, %v; want the first two of b", top, err)
		}
	}},
	{"functions are found in blobs, and blobs that share them", func(f *fixture) {
		ctx := f.Context()
		f.update(func(ctx context.Context, tx meta.Tx) error {
			return errors.Join(
				tx.PutFunctions(ctx, sum("a"), []uint64{1, 2, 3, math.MaxUint64}, 40),
				tx.PutFunctions(ctx, sum("b"), []uint64{3, 2, 5, 5}, 3),
				tx.PutFunctions(ctx, sum("c"), []uint64{3, 1 << 63}, 2),
				tx.PutFunctions(ctx, sum("d"), []uint64{3, 1}, 2),
				tx.PutFunctions(ctx, sum("d"), []uint64{3, 9}, 2),
			)
		})
		layers, err := f.db.LayersWithFunction(ctx, 3, 10)
		want(f, "LayersWithFunction(3)", layers, err, []digest.Digest{sum("a"), sum("b"), sum("c"), sum("d")})
		layers, err = f.db.LayersWithFunction(ctx, 3, 2)
		want(f, "LayersWithFunction(3, 2)", layers, err, []digest.Digest{sum("a"), sum("b")})
		layers, err = f.db.LayersWithFunction(ctx, math.MaxUint64, 2)
		want(f, "LayersWithFunction(greatest)", layers, err, []digest.Digest{sum("a")})
		layers, err = f.db.LayersWithFunction(ctx, 1, 2)
		want(f, "LayersWithFunction(1)", layers, err, []digest.Digest{sum("a")})
		similar, err := f.db.SimilarLayers(ctx, sum("a"), 10, 10)
		want(f, "SimilarLayers(a)", similar, err, []meta.LayerOverlap{
			{Digest: sum("b"), Shared: 2, Sample: 3, Total: 3},
			{Digest: sum("c"), Shared: 1, Sample: 2, Total: 2},
			{Digest: sum("d"), Shared: 1, Sample: 2, Total: 2},
		})
		similar, err = f.db.SimilarLayers(ctx, sum("a"), 3, 10)
		want(f, "SimilarLayers(a) but for what four have", similar, err, []meta.LayerOverlap{{Digest: sum("b"), Shared: 1, Sample: 3, Total: 3}})
		_, err = f.db.SimilarLayers(ctx, sum("none"), 3, 10)
		fails(f, "SimilarLayers(none)", err, meta.ErrNotFound)
	}},
	{"the index of functions is bounded, from the greatest hashes down", func(f *fixture) {
		ctx := f.Context()
		put := func(text string, from, n uint64) {
			hashes := make([]uint64, n)
			for i := range hashes {
				hashes[i] = (from + uint64(i)) << 40
			}
			f.update(func(ctx context.Context, tx meta.Tx) error {
				return tx.PutFunctions(ctx, sum(text), hashes, len(hashes))
			})
		}
		bound := func(limit int64) (steps int) {
			for more := true; more; steps++ {
				f.update(func(ctx context.Context, tx meta.Tx) error {
					var err error
					more, err = tx.BoundFunctions(ctx, limit)
					return err
				})
			}
			return steps
		}
		put("a", 0, 100)
		put("b", 50, 12_000)
		if steps := bound(20_000); steps != 1 {
			f.Errorf("BoundFunctions() took %d steps with nothing to do", steps)
		}
		if steps := bound(1000); steps < 2 {
			f.Errorf("BoundFunctions() took %d steps for 11,000 functions, want several", steps)
		}
		layers, err := f.db.LayersWithFunction(ctx, 99<<40, 10)
		want(f, "LayersWithFunction(99)", layers, err, []digest.Digest{sum("a"), sum("b")})
		layers, err = f.db.LayersWithFunction(ctx, 960<<40, 10)
		want(f, "LayersWithFunction(960)", layers, err, nil)
		put("c", 940, 100)
		layers, err = f.db.LayersWithFunction(ctx, 940<<40, 10)
		want(f, "LayersWithFunction(940)", layers, err, []digest.Digest{sum("b"), sum("c")})
		layers, err = f.db.LayersWithFunction(ctx, 960<<40, 10)
		want(f, "LayersWithFunction(960), noted again", layers, err, nil)
		similar, err := f.db.SimilarLayers(ctx, sum("c"), 10, 10)
		want(f, "SimilarLayers(c)", similar, err, []meta.LayerOverlap{{Digest: sum("b"), Shared: 10, Sample: 900, Total: 12_000}})
	}},
	{"the functions of a blob go with it", func(f *fixture) {
		f.update(func(ctx context.Context, tx meta.Tx) error {
			if err := tx.LinkBlob(ctx, "a", blob("x")); err != nil {
				return err
			}
			if err := tx.PutFunctions(ctx, sum("x"), []uint64{7}, 1); err != nil {
				return err
			}
			if err := tx.UnlinkBlob(ctx, "a", sum("x")); err != nil {
				return err
			}
			for _, from := range []meta.BlobState{meta.BlobLive, meta.BlobCondemned, meta.BlobDeleted} {
				if err := tx.SetBlobState(ctx, sum("x"), 0, from, min(from+1, meta.BlobDeleted), at(1)); err != nil {
					return err
				}
			}
			return nil
		})
		layers, err := f.db.LayersWithFunction(f.Context(), 7, 1)
		want(f, "LayersWithFunction()", layers, err, nil)
	}},
	{"random writes, packed or not, are found as in a simple model", func(f *fixture) {
		seed := rand.Uint64()
		f.Logf("seed %d", seed)
		m := newIndexModel(f, seed)
		m.burn(7_680 - 400) // so that documents lie on both sides of a segment's end
		for range 10 {
			for range 30 {
				m.update(func(ctx context.Context, tx meta.Tx) error { return m.steps(ctx, tx, 5) })
			}
			m.compare()
		}
		f.pack()
		m.compare()
		f.pack()
		m.deleteAll()
		f.pack()
		m.compare()
	}},
}

// An indexModel does to a map what it does to the database, and compares.
type indexModel struct {
	*fixture
	rng  *rand.Rand
	docs map[meta.ManifestKey]*meta.Document
	keys []meta.ManifestKey
}

func newIndexModel(f *fixture, seed uint64) *indexModel {
	m := &indexModel{fixture: f, rng: rand.New(rand.NewPCG(seed, 1)), docs: map[meta.ManifestKey]*meta.Document{}}
	for i := range 1100 {
		m.keys = append(m.keys, meta.ManifestKey{Repo: fmt.Sprintf("r%02d", i%23), Digest: sum(fmt.Sprint("m", i))})
	}
	return m
}

// burn uses up numbers.
func (m *indexModel) burn(n int) {
	m.put(manifest("burnt", "m"))
	for n > 0 {
		k := min(n, 1000)
		n -= k
		m.update(func(ctx context.Context, tx meta.Tx) error {
			for range k {
				if err := tx.PutDocument(ctx, document("burnt", "m", "burnt")); err != nil {
					return err
				}
				if err := tx.DeleteDocument(ctx, "burnt", sum("m")); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func (m *indexModel) key() meta.ManifestKey { return m.keys[m.rng.IntN(len(m.keys))] }

// terms are some of a hundred, the first ones most often.
func (m *indexModel) terms() []string {
	var terms []string
	for range m.rng.IntN(12) {
		terms = append(terms, fmt.Sprintf("%c:%02d", 'a'+m.rng.IntN(3), int(m.rng.ExpFloat64()*8)%34))
	}
	return terms
}

// rareTerms are sometimes so many that packing takes several steps, between
// which documents change.
func (m *indexModel) rareTerms() []string {
	var terms []string
	if m.rng.IntN(2) == 0 {
		for range 80 {
			terms = append(terms, fmt.Sprintf("rare:%03d", m.rng.IntN(500)))
		}
	}
	return terms
}

// steps does n things in one update. The model is changed as they are done: an
// update of a test runs once.
func (m *indexModel) steps(ctx context.Context, tx meta.Tx, n int) error {
	for range n {
		if err := m.step(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

func (m *indexModel) step(ctx context.Context, tx meta.Tx) error {
	key := m.key()
	switch n := m.rng.IntN(1000); {
	case n < 650:
		return m.putDocument(ctx, tx, key)
	case n < 780:
		count := m.rng.Int64N(50)
		if d := m.docs[key]; d != nil {
			d.Pulls += count
		}
		return tx.AddDownloads(ctx, []meta.Download{{Repo: key.Repo, Digest: key.Digest, Day: start, Count: count}})
	case n < 860:
		delete(m.docs, key)
		if err := tx.DeleteDocument(ctx, key.Repo, key.Digest); err != nil {
			return err
		}
		// What was pulled stays with the manifest, of which the model knows nothing.
		return m.deleteManifest(ctx, tx, key)
	case n < 930:
		return m.deleteManifest(ctx, tx, key)
	case n < 932:
		return m.deleteRepository(ctx, tx, key.Repo)
	}
	_, err := tx.PackDocuments(ctx)
	return err
}

func (m *indexModel) putDocument(ctx context.Context, tx meta.Tx, key meta.ManifestKey) error {
	d := meta.Document{
		Repo: key.Repo, Digest: key.Digest, Terms: append(m.terms(), m.rareTerms()...), Size: m.rng.Int64N(1000) << m.rng.IntN(40),
		Updated: at(m.rng.IntN(3_000_000) - 1_000_000), Body: json.RawMessage(fmt.Sprint(m.rng.IntN(10))),
	}
	if err := putIndexed(ctx, tx, d); err != nil {
		return err
	}
	d.Terms = slices.Clone(d.Terms)
	slices.Sort(d.Terms)
	d.Terms = slices.Compact(d.Terms)
	if old := m.docs[key]; old != nil {
		d.Pulls = old.Pulls
	}
	m.docs[key] = &d
	return nil
}

func (m *indexModel) deleteManifest(ctx context.Context, tx meta.Tx, key meta.ManifestKey) error {
	delete(m.docs, key)
	_, err := tx.DeleteManifest(ctx, key.Repo, key.Digest)
	return unlessGone(err)
}

func (m *indexModel) deleteRepository(ctx context.Context, tx meta.Tx, repo string) error {
	maps.DeleteFunc(m.docs, func(k meta.ManifestKey, _ *meta.Document) bool { return k.Repo == repo })
	return unlessGone(tx.DeleteRepository(ctx, repo))
}

// unlessGone is err, but nil if what was to be deleted was not there.
func unlessGone(err error) error {
	if errors.Is(err, meta.ErrNotFound) || errors.Is(err, meta.ErrRepository) {
		return nil
	}
	return err
}

func (m *indexModel) deleteAll() {
	m.update(func(ctx context.Context, tx meta.Tx) error {
		for i := range 23 {
			if err := m.deleteRepository(ctx, tx, fmt.Sprintf("r%02d", i)); err != nil {
				return err
			}
		}
		return nil
	})
}

// compare asks the database everything, in one state and by itself.
func (m *indexModel) compare() {
	m.Helper()
	m.compareDocuments()
	if err := m.db.ReadDocuments(m.Context(), func(docs meta.Documents) error {
		m.compareSets(docs)
		return nil
	}); err != nil {
		m.Fatalf("ReadDocuments() = %v", err)
	}
	m.compareSets(m.db)
}

// compareDocuments learns the numbers on the way.
func (m *indexModel) compareDocuments() {
	m.Helper()
	for key, d := range m.docs {
		got, err := m.db.Document(m.Context(), key.Repo, key.Digest)
		if err != nil {
			m.Fatalf("Document(%v) = %v", key, err)
		}
		d.Number = got.Number
		if len(got.Terms) == 0 {
			got.Terms = d.Terms[:0]
		}
		want(m.fixture, fmt.Sprintf("Document(%v)", key), got, nil, *d)
	}
}

// having are the numbers of documents for which f holds.
func (m *indexModel) having(f func(*meta.Document) bool) *roaring.Bitmap {
	b := roaring.New()
	for _, d := range m.docs {
		if f(d) {
			b.Add(d.Number)
		}
	}
	return b
}

func (m *indexModel) same(call string, got *roaring.Bitmap, err error, want *roaring.Bitmap) {
	m.Helper()
	if err != nil {
		m.Fatalf("%s = %v", call, err)
	}
	if !got.Equals(want) {
		m.Fatalf("%s has %d documents, want %d; it lacks %v and has %v beyond", call, got.GetCardinality(), want.GetCardinality(),
			roaring.AndNot(want, got), roaring.AndNot(got, want))
	}
}

func (m *indexModel) compareSets(docs meta.Documents) {
	m.Helper()
	ctx := m.Context()
	all, err := docs.AllDocuments(ctx)
	m.same("AllDocuments()", all, err, m.having(func(*meta.Document) bool { return true }))
	m.compareTerms(docs)
	sets := []*roaring.Bitmap{nil, all}
	for range 12 {
		terms := append(m.terms(), fmt.Sprintf("rare:%03d", m.rng.IntN(500)))
		b, err := docs.Postings(ctx, terms)
		m.same(fmt.Sprintf("Postings(%q)", terms), b, err, m.having(func(d *meta.Document) bool {
			return slices.ContainsFunc(d.Terms, func(t string) bool { return slices.Contains(terms, t) })
		}))
		sets = append(sets, b)
	}
	for _, within := range sets {
		m.compareCounts(docs, within)
		for _, c := range []meta.Column{meta.ColumnUpdated, meta.ColumnSize, meta.ColumnPulls} {
			m.compareRange(docs, c, within)
			m.compareTop(docs, c, within, m.rng.IntN(2) == 0)
		}
		m.compareTop(docs, meta.ColumnName, within, m.rng.IntN(2) == 0)
	}
}

func (m *indexModel) compareTerms(docs meta.Documents) {
	m.Helper()
	counts := map[string]int64{}
	for _, d := range m.docs {
		for _, t := range d.Terms {
			counts[t]++
		}
	}
	var wanted []meta.Term
	for _, t := range slices.Sorted(maps.Keys(counts)) {
		if strings.HasPrefix(t, "b:") {
			wanted = append(wanted, meta.Term{Text: t, Documents: counts[t]})
		}
	}
	var got []meta.Term
	for after := ""; ; {
		page, err := docs.Terms(m.Context(), "b:", after, 5)
		if err != nil {
			m.Fatalf("Terms(b:) = %v", err)
		}
		if got = append(got, page...); len(page) < 5 {
			break
		}
		after = page[4].Text
	}
	want(m.fixture, "Terms(b:)", got, nil, wanted)
}

func (m *indexModel) compareCounts(docs meta.Documents, within *roaring.Bitmap) {
	m.Helper()
	counts := map[string]int64{}
	for _, d := range m.docs {
		if within != nil && !within.Contains(d.Number) {
			continue
		}
		for _, t := range d.Terms {
			if strings.HasPrefix(t, "a:") {
				counts[t]++
			}
		}
	}
	wanted := []meta.Term{}
	for t, n := range counts {
		wanted = append(wanted, meta.Term{Text: t, Documents: n})
	}
	slices.SortFunc(wanted, func(a, b meta.Term) int {
		return cmp.Or(cmp.Compare(b.Documents, a.Documents), strings.Compare(a.Text, b.Text))
	})
	got, err := docs.CountTerms(m.Context(), "a:", within, 10)
	if len(got) == 0 {
		got = []meta.Term{}
	}
	want(m.fixture, "CountTerms(a:)", got, err, wanted[:min(len(wanted), 10)])
}

// value is a document's in a column.
func value(c meta.Column, d *meta.Document) int64 {
	switch c {
	case meta.ColumnSize:
		return d.Size
	case meta.ColumnPulls:
		return d.Pulls
	default:
		return d.Updated.Unix()
	}
}

func (m *indexModel) compareRange(docs meta.Documents, c meta.Column, within *roaring.Bitmap) {
	m.Helper()
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	if len(m.docs) > 0 && m.rng.IntN(6) > 0 {
		ds := slices.Collect(maps.Values(m.docs))
		low, high = value(c, ds[m.rng.IntN(len(ds))]), value(c, ds[m.rng.IntN(len(ds))])
	}
	got, err := docs.InRange(m.Context(), c, low, high, within)
	m.same(fmt.Sprintf("InRange(%s, %d, %d)", c, low, high), got, err, m.having(func(d *meta.Document) bool {
		v := value(c, d)
		return low <= v && v <= high && (within == nil || within.Contains(d.Number))
	}))
}

func (m *indexModel) compareTop(docs meta.Documents, c meta.Column, within *roaring.Bitmap, ascending bool) {
	m.Helper()
	var wanted []meta.Position
	for _, d := range m.docs {
		switch {
		case within != nil && !within.Contains(d.Number):
		case c == meta.ColumnName:
			wanted = append(wanted, meta.Position{Number: d.Number, Name: d.Repo})
		default:
			wanted = append(wanted, meta.Position{Number: d.Number, Value: value(c, d)})
		}
	}
	slices.SortFunc(wanted, func(a, b meta.Position) int {
		order := cmp.Or(cmp.Compare(a.Value, b.Value), strings.Compare(a.Name, b.Name))
		number := cmp.Compare(a.Number, b.Number)
		switch {
		case ascending:
			return cmp.Or(order, number)
		case c == meta.ColumnName:
			return -cmp.Or(order, number)
		}
		return cmp.Or(-order, number)
	})
	var got []meta.Position
	var after *meta.Position
	limit := 7 + m.rng.IntN(40)
	for len(got) < 3*limit {
		top, err := docs.TopDocuments(m.Context(), c, ascending, within, after, limit)
		if err != nil {
			m.Fatalf("TopDocuments(%s) = %v", c, err)
		}
		got = append(got, top.Positions...)
		if len(top.Positions) < limit {
			break
		}
		after = &got[len(got)-1]
	}
	want(m.fixture, fmt.Sprintf("TopDocuments(%s, %t, limit %d)", c, ascending, limit), got, nil, wanted[:min(len(wanted), 3*limit)])
}
