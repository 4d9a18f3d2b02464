package sqlmeta

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// The index of documents.
//
// Its packed part is made for reading: for each term and each segment of 7,680
// document numbers one row of postings (at most 960 bytes), and for each segment
// and column one row of values with the least and the greatest of them. A term
// that each of a million documents has is 131 rows.
//
// Writing there would touch a hundred rows for each document. So a write only
// puts the document's row and a row of document_changes, which says what the
// document is now and with which terms it is packed. Readers read all changes
// first and let them count instead of what is packed. PackDocuments folds the
// changes in, hundreds of documents at a time and in small steps: it marks them
// as folding, goes through their terms in order of id and then through their
// columns, and in the end forgets the changes. A document that is written again
// meanwhile is left for the next fold; how far this one came (the state "fold")
// says which of its terms are packed as they were before that write.

// everyDocument is the id of a term that all documents have. Its text is empty.
const everyDocument = 0

// A fold is at the term it comes to next, 0 if none is running, or, behind all
// terms, at a segment of the columns.
const columnsFrom = math.MaxInt64 - math.MaxUint32

// PutDocument implements meta.DocumentWriter.
func (t *tx) PutDocument(ctx context.Context, d meta.Document) error {
	if err := checkDocument(d); err != nil {
		return fmt.Errorf("document of %s in %s: %w", d.Digest, d.Repo, err)
	}
	repo, err := t.repositoryID(ctx, d.Repo)
	if err != nil {
		if errors.Is(err, meta.ErrRepository) {
			err = missing(d.Repo, string(d.Digest))
		}
		return err
	}
	var (
		manifest int64
		old      documentRow
	)
	found, err := one(ctx, t, "document_to_put", args(repo, string(d.Digest)),
		&manifest, &old.number, &old.updated, &old.size, &old.pulls, &old.terms)
	if err != nil {
		return err
	}
	if !found {
		return missing(d.Repo, string(d.Digest))
	}
	ids, err := t.termIDs(ctx, d.Terms)
	if err != nil {
		return err
	}
	now := documentRow{updated: micros(d.Updated), size: d.Size, pulls: old.pulls, terms: encodeIDs(ids)}
	if old.number == 0 {
		params := args(manifest, d.Repo, now.updated, now.size, now.pulls, now.terms, []byte(d.Body))
		if _, err := one(ctx, t, "insert_document", params, &now.number); err != nil {
			return err
		}
		if now.number > math.MaxUint32 {
			return errors.New("there are no more numbers for documents")
		}
		return t.putChange(ctx, documentRow{}, now, true)
	}
	now.number = old.number
	if _, err := t.exec(ctx, "update_document", now.number, now.updated, now.size, now.pulls, now.terms, []byte(d.Body)); err != nil {
		return err
	}
	if now.same(old) {
		return nil
	}
	return t.putChange(ctx, old, now, true)
}

// checkDocument keeps out what one of the databases would not store, or nobody
// could find.
func checkDocument(d meta.Document) error {
	if len(d.Terms) > meta.MaxTerms {
		return fmt.Errorf("%d terms are more than %d", len(d.Terms), meta.MaxTerms)
	}
	for _, text := range d.Terms {
		if text == "" || len(text) > meta.MaxTerm || !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
			return fmt.Errorf("%.40q is no term", text)
		}
	}
	if !json.Valid(d.Body) {
		return errors.New("its body is no JSON")
	}
	return nil
}

// addPulls counts pulls of a manifest in its document, if it has one.
func (t *tx) addPulls(ctx context.Context, manifest, n int64) error {
	old, err := t.documentRow(ctx, manifest)
	if err != nil || old.number == 0 {
		return err
	}
	now := old
	now.pulls += n
	if _, err := t.exec(ctx, "set_pulls", now.number, now.pulls); err != nil {
		return err
	}
	return t.putChange(ctx, old, now, true)
}

// A documentRow is what the index reads of a row of documents.
type documentRow struct {
	number               int64
	updated, size, pulls int64
	terms                []byte
}

func (d documentRow) same(o documentRow) bool {
	return d.updated == o.updated && d.size == o.size && d.pulls == o.pulls && slices.Equal(d.terms, o.terms)
}

// documentRow is that of a manifest; its number is 0 if there is none.
func (t *tx) documentRow(ctx context.Context, manifest int64) (documentRow, error) {
	var d documentRow
	_, err := one(ctx, t, "document_of", args(manifest), &d.number, &d.updated, &d.size, &d.pulls, &d.terms)
	return d, err
}

// putChange notes that a document, of which nothing was there before if old has
// no number, is now another, or deleted if it is not present.
func (t *tx) putChange(ctx context.Context, old, now documentRow, present bool) error {
	packed, err := t.packedTerms(ctx, old, now.number)
	if err != nil {
		return err
	}
	if !present && len(packed) == 0 {
		_, err := t.exec(ctx, "delete_change", now.number)
		return err
	}
	_, err = t.exec(ctx, "put_change", now.number, notNil(packed), integer(present), now.updated, now.size, now.pulls, notNil(now.terms))
	return err
}

// packedTerms is the list of terms with which a document is packed at this
// moment.
func (t *tx) packedTerms(ctx context.Context, old documentRow, number int64) ([]byte, error) {
	if old.number == 0 {
		return nil, nil
	}
	c := change{terms: old.terms}
	var folding int64
	changed, err := one(ctx, t, "change", args(number), &folding, &c.packed)
	switch {
	case err != nil:
		return nil, err
	case !changed:
		return old.terms, nil
	case folding == 0:
		return c.packed, nil
	}
	position, err := foldPosition(ctx, t)
	if err != nil {
		return nil, err
	}
	c.folding = true
	d, err := c.decode(position)
	if err != nil {
		return nil, err
	}
	return encodeIDs(d.packed), nil
}

func integer(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func foldPosition(ctx context.Context, q querier) (int64, error) {
	var position int64
	_, err := one(ctx, q, "fold_position", nil, &position)
	return position, err
}

// DeleteDocument implements meta.DocumentWriter.
func (t *tx) DeleteDocument(ctx context.Context, repo string, d digest.Digest) error {
	id, err := t.repositoryID(ctx, repo)
	if err == nil {
		id, err = t.manifestID(ctx, id, repo, d)
	}
	if errors.Is(err, meta.ErrNotFound) || errors.Is(err, meta.ErrRepository) {
		return nil
	}
	if err != nil {
		return err
	}
	return t.dropDocument(ctx, id)
}

// dropDocument removes the document of a manifest, which may have none.
func (t *tx) dropDocument(ctx context.Context, manifest int64) error {
	old, err := t.documentRow(ctx, manifest)
	if err != nil || old.number == 0 {
		return err
	}
	return t.dropRow(ctx, old)
}

func (t *tx) dropRow(ctx context.Context, old documentRow) error {
	if err := t.putChange(ctx, old, documentRow{number: old.number}, false); err != nil {
		return err
	}
	_, err := t.exec(ctx, "delete_document", old.number)
	return err
}

// dropDocuments removes those of a whole repository.
func (t *tx) dropDocuments(ctx context.Context, repo int64) error {
	const page = 500
	for after := int64(0); ; {
		var rows []documentRow
		err := each(ctx, t, "repository_documents", args(repo, after, int64(page)), func(r *sql.Rows) error {
			var d documentRow
			if err := r.Scan(&d.number, &d.updated, &d.size, &d.pulls, &d.terms); err != nil {
				return t.fail("repository_documents", err)
			}
			rows = append(rows, d)
			return nil
		})
		if err != nil {
			return err
		}
		for _, d := range rows {
			if err := t.dropRow(ctx, d); err != nil {
				return err
			}
			after = d.number
		}
		if len(rows) < page {
			return nil
		}
	}
}

// termIDs are the ids of texts, ascending and each once, with that of
// everyDocument. Terms that are new get one.
func (t *tx) termIDs(ctx context.Context, texts []string) ([]int64, error) {
	known := make(map[string]int64, len(texts))
	for _, text := range texts {
		known[text] = 0
	}
	var unknown []string
	for text := range known {
		if id, ok := t.terms[text]; ok {
			known[text] = id
		} else {
			unknown = append(unknown, text)
		}
	}
	slices.Sort(unknown) // the same order on every run
	name, size := "terms_by_text", 32
	if len(unknown) > size {
		name, size = "many_terms_by_text", 128
	}
	err := inChunks(unknown, size, nil, func(params []any) error {
		return each(ctx, t, name, params, func(rows *sql.Rows) error {
			var (
				text  string
				id, n int64
			)
			if err := rows.Scan(&id, &text, &n); err != nil {
				return t.fail(name, err)
			}
			known[text] = id
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	unknown = slices.DeleteFunc(unknown, func(text string) bool { return t.learn(text, known[text]) })
	err = inChunks(unknown, 8, nil, func(params []any) error {
		return each(ctx, t, "insert_terms", params, func(rows *sql.Rows) error {
			var (
				text string
				id   int64
			)
			if err := rows.Scan(&id, &text); err != nil {
				return t.fail("insert_terms", err)
			}
			known[text] = id
			t.learn(text, id)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	ids := make([]int64, 1, 1+len(known))
	ids[0] = everyDocument
	for _, id := range known {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

// maxLearnt bounds the ids of terms that a transaction keeps in memory.
const maxLearnt = 1 << 16

// learn keeps the id of a term for the transaction, and reports whether it has
// one.
func (t *tx) learn(text string, id int64) bool {
	if id == 0 {
		return false
	}
	if t.terms == nil || len(t.terms) >= maxLearnt {
		t.terms = map[string]int64{}
	}
	t.terms[text] = id
	return true
}

// inChunks calls do with first and size values behind it, until each of list had
// its turn. The last chunk is filled up with repetitions.
func inChunks[T any](list []T, size int, first []any, do func(params []any) error) error {
	for len(list) > 0 {
		n := min(size, len(list))
		params := make([]any, 0, len(first)+size)
		params = append(params, first...)
		for i := range size {
			params = append(params, list[min(i, n-1)])
		}
		if err := do(params); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}
