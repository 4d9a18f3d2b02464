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
// Every document has a number. Sets of documents are bitmaps of these numbers,
// read from rows in which popular terms are packed, so that a term that most
// documents have costs a few hundred rows and not a million.
type Documents interface {
	// Terms lists terms that begin with prefix and sort after the given one, in
	// byte order, with how many documents have each.
	Terms(ctx context.Context, prefix, after string, limit int) ([]Term, error)
	// Postings is the set of documents that have any of the terms. The caller owns
	// it.
	Postings(ctx context.Context, terms []string) (*roaring.Bitmap, error)
	// AllDocuments is the set of all documents.
	AllDocuments(ctx context.Context) (*roaring.Bitmap, error)
	// InRange is the subset of within whose column has a value from low to high.
	// A nil within means all.
	InRange(ctx context.Context, c Column, low, high int64, within *roaring.Bitmap) (*roaring.Bitmap, error)
	// TopDocuments are the first limit documents of within by column c, in
	// descending order unless ascending, after the given one (nil from the
	// start). Equal values are in order of number.
	TopDocuments(ctx context.Context, c Column, ascending bool, within *roaring.Bitmap, after *Position, limit int) ([]Position, error)
	// DocumentsByID reads rows, in the order of ids; those that are gone are left
	// out.
	DocumentsByID(ctx context.Context, ids []uint32) ([]Document, error)
	// Document is that of one manifest.
	Document(ctx context.Context, repo string, d digest.Digest) (Document, error)
	// LayersWithFunction are the digests of blobs that contain a function with
	// this hash, at most limit.
	LayersWithFunction(ctx context.Context, hash uint64, limit int) ([]digest.Digest, error)
	// SimilarLayers counts, for every blob that shares functions with d, how many
	// it shares: at most limit, most first. Functions that more than common blobs
	// have say nothing and are left out.
	SimilarLayers(ctx context.Context, d digest.Digest, common, limit int) ([]LayerOverlap, error)
}

// DocumentWriter writes the index.
type DocumentWriter interface {
	// PutDocument stores a document in place of an earlier one of its manifest.
	// ErrNotFound if the manifest is gone. Its Number is ignored. Documents go
	// with their manifests.
	PutDocument(ctx context.Context, d Document) error
	// DeleteDocument removes one; there may be none.
	DeleteDocument(ctx context.Context, repo string, d digest.Digest) error
	// PutFunctions notes which functions a blob contains, by the first 8 bytes of
	// their normalised hashes, in place of what was noted before. total is how
	// many it has, hashes may be a sample.
	PutFunctions(ctx context.Context, d digest.Digest, hashes []uint64, total int) error
	// PackDocuments packs what has become packable, in a bounded amount of work,
	// and reports whether there is more.
	PackDocuments(ctx context.Context) (more bool, err error)
}

// Document is what can be found about one manifest.
type Document struct {
	Number  uint32
	Repo    string
	Digest  digest.Digest
	Terms   []string // in any order, no more than a few thousand
	Size    int64    // bytes of its Wasm
	Updated time.Time
	Pulls   int64
	Body    json.RawMessage // what a listing shows
}

// A Column is a number of every document.
type Column string

// The columns. Names are ordered by their bytes.
const (
	ColumnUpdated Column = "updated" // microseconds since 1970
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
