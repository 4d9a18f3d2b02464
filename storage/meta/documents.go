package meta

import (
	"context"
	"encoding/json"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/opencontainers/go-digest"
)

// Documents is an inverted index: which manifests have a term. It knows no
// query language and no Wasm; terms are texts that package search makes and
// looks for. Documents are derived and not journaled.
//
// Every document has a number, which is never used again. Sets of documents are
// bitmaps of these numbers, read from rows in which terms are packed, so that a
// term that most of a million documents have costs some hundred rows.
type Documents interface {
	// ReadDocuments runs fn on one state of the index, whatever is written
	// meanwhile. Several questions are cheaper that way than each by itself. fn
	// uses nothing but what it is given, and keeps nothing of it.
	ReadDocuments(ctx context.Context, fn func(Documents) error) error

	// Terms lists terms that begin with prefix and sort after the given one, in
	// byte order, with how many documents have each.
	Terms(ctx context.Context, prefix, after string, limit int) ([]Term, error)
	// CountTerms counts for each term that begins with prefix how many documents
	// of within have it, and gives the limit most frequent ones, most first and
	// equal ones in byte order; those of none are left out. A nil within means
	// all. It chooses among the MaxCountedTerms that most documents have.
	CountTerms(ctx context.Context, prefix string, within *roaring.Bitmap, limit int) ([]Term, error)
	// Postings is the set of documents that have any of the terms. The caller owns
	// it.
	Postings(ctx context.Context, terms []string) (*roaring.Bitmap, error)
	// AllDocuments is the set of all documents.
	AllDocuments(ctx context.Context) (*roaring.Bitmap, error)
	// InRange is the subset of within whose column, which is not ColumnName, has a
	// value from low to high. A nil within means all.
	InRange(ctx context.Context, c Column, low, high int64, within *roaring.Bitmap) (*roaring.Bitmap, error)
	// TopDocuments are the first limit documents of within by column c, in
	// descending order unless ascending, after the given one (nil from the
	// start). Equal values are in order of number. A nil within means all.
	TopDocuments(ctx context.Context, c Column, ascending bool, within *roaring.Bitmap, after *Position, limit int) (Top, error)
	// DocumentsByID reads rows, in the order of ids, without their terms; those
	// that are gone are left out.
	DocumentsByID(ctx context.Context, ids []uint32) ([]Document, error)
	// TermsOf gives for each of ids those of terms that it has, in the order of
	// terms.
	TermsOf(ctx context.Context, ids []uint32, terms []string) ([][]string, error)
	// Document is that of one manifest, with its terms in byte order. ErrNotFound
	// if there is none.
	Document(ctx context.Context, repo string, d digest.Digest) (Document, error)
	// LayersWithFunction are the digests of blobs that contain a function with
	// this hash, at most limit, those noted first first.
	LayersWithFunction(ctx context.Context, hash uint64, limit int) ([]digest.Digest, error)
	// SimilarLayers counts, for every blob that shares functions with d, how many
	// it shares: at most limit, most first. Functions that more than common blobs
	// have say nothing and are left out. ErrNotFound if nothing is noted of d.
	SimilarLayers(ctx context.Context, d digest.Digest, common, limit int) ([]LayerOverlap, error)
}

// MaxCountedTerms bounds what CountTerms counts within a set.
const MaxCountedTerms = 512

// DocumentWriter writes the index.
type DocumentWriter interface {
	// PutDocument stores a document in place of an earlier one of its manifest.
	// ErrNotFound if the manifest is gone. Its Number is ignored. Documents go
	// with their manifests.
	PutDocument(ctx context.Context, d Document) error
	// DeleteDocument removes one; there may be none.
	DeleteDocument(ctx context.Context, repo string, d digest.Digest) error
	// PackDocuments packs what has been written since, in a bounded amount of
	// work, and reports whether there is more to do now. Whoever writes documents
	// calls it from time to time, in updates of its own, until there is not:
	// everything is found without it, but every search reads what is not packed.
	PackDocuments(ctx context.Context) (more bool, err error)

	// PutFunctions notes which functions a blob contains, by the first 8 bytes of
	// their normalised hashes, in place of what was noted before. total is how
	// many it has, hashes may be a sample.
	PutFunctions(ctx context.Context, d digest.Digest, hashes []uint64, total int) error
	// BoundFunctions keeps the index of functions to about limit entries: if there
	// are more, it forgets those with the greatest hashes, of every blob alike, in
	// a bounded amount of work, and reports whether there is more to do. Such
	// hashes are not noted again. The functions of a blob go with its row.
	BoundFunctions(ctx context.Context, limit int64) (more bool, err error)
}

// Document is what can be found about one manifest.
type Document struct {
	Number  uint32
	Repo    string
	Digest  digest.Digest
	Terms   []string // in any order, each valid UTF-8 without zero bytes, of 1 to MaxTerm bytes
	Size    int64    // bytes of its Wasm
	Updated time.Time
	Pulls   int64           // ignored by PutDocument: AddDownloads counts
	Body    json.RawMessage // what a listing shows
}

// Bounds of a document. What is beyond them is refused.
const (
	MaxTerm  = 300     // bytes of a term
	MaxTerms = 1 << 14 // of a document
)

// A Column is a number of every document.
type Column string

// The columns. Names are ordered by their bytes.
const (
	ColumnUpdated Column = "updated" // seconds since 1970, rounded down
	ColumnSize    Column = "size"    // bytes
	ColumnPulls   Column = "pulls"
	ColumnName    Column = "name" // only for TopDocuments: the repository's name
)

// Position is where a document stands in an order.
type Position struct {
	Number uint32
	Value  int64
	Name   string // instead of Value for ColumnName
}

// Top is the answer of TopDocuments.
type Top struct {
	Positions []Position
	// Resume is where to go on if the search was given up before there were
	// enough, which only happens for ColumnName: too many names lay between.
	Resume *Position
}

// Term is a word of the index.
type Term struct {
	Text      string
	Documents int64
}

// LayerOverlap says how much two blobs share.
type LayerOverlap struct {
	Digest digest.Digest
	Shared int // functions of the sample in both
	Sample int // functions of this blob's sample
	Total  int // functions it has
}
