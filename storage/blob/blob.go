// Package blob stores immutable byte strings under their digest, SHA-256 or
// SHA-512.
//
// It is the only way large bytes reach disk in wreg: layers, SBOMs and
// signatures are all blobs, told apart by package meta and not by where they
// lie. Beside the blobs a store keeps a few named objects: the journal and the
// snapshots from which a lost metadata database is rebuilt. Drivers are
// subpackages (mem, fs, distdriver) and prove themselves with blobtest.Run; a
// new one needs no change here.
package blob

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
)

// Info describes a stored blob.
type Info struct {
	Key      Key
	Size     int64 // bytes
	Modified time.Time
}

// Store keeps blobs and named objects. All methods are safe for concurrent use.
// Whatever takes a Key fails with ErrKey if it is not valid, and with the error of
// ctx if that has ended before.
type Store interface {
	// Open reads k from byte off on. n is how many bytes the caller wants, n < 0
	// meaning all; a remote driver fetches no more than those. The reader may
	// hold more than n bytes, so the caller bounds what it copies: a reader over
	// a local file is the *os.File itself, that the kernel can send it. The
	// caller closes it. An absent blob is ErrNotFound; off past the end reads
	// as empty; a negative off is an error.
	Open(ctx context.Context, k Key, off, n int64) (io.ReadCloser, error)

	// Create starts an upload, hashed by alg while it is written; ErrKey if alg is
	// neither SHA-256 nor SHA-512. Nothing is visible before its Commit. The upload outlives ctx, which bounds only the
	// call.
	Create(ctx context.Context, alg digest.Algorithm) (Upload, error)

	// Stat describes k, ErrNotFound if it is absent.
	Stat(ctx context.Context, k Key) (Info, error)

	// Delete removes k. A blob that is absent already is no error. Once Delete
	// returns, the removal is as durable as a Commit.
	Delete(ctx context.Context, k Key) error

	// List calls yield for every stored blob in no particular order, until yield
	// fails; its error is returned. It holds no more than one directory or page
	// of names in memory. yield may call other methods, Delete among them.
	List(ctx context.Context, yield func(Info) error) error

	// Sweep removes what interrupted uploads left behind and reports how many
	// and how many bytes. It is called once, before the first Create.
	Sweep(ctx context.Context) (removed int, bytes int64, err error)

	Objects
}

// Objects keeps small named files beside the blobs. A name is a slash-separated
// path of [a-z0-9.-] components, for instance "journal/00000000000000000042-00000000000000000050";
// any other is ErrName, see [CheckName]. Do not use one name for an object and a
// folder of objects: some drivers cannot hold both.
type Objects interface {
	// PutObject stores the bytes of r under name, replacing an earlier object
	// whole, and returns once they are durable. A reader that fails leaves the
	// earlier object as it was.
	PutObject(ctx context.Context, name string, r io.Reader) error

	// OpenObject reads name, ErrNotFound if it is absent. The caller closes it.
	OpenObject(ctx context.Context, name string) (io.ReadCloser, error)

	// ListObjects calls yield for every object below the folder dir, "" being all
	// of them, in ascending byte order of names, until yield fails; its error is
	// returned. An absent folder is empty.
	ListObjects(ctx context.Context, dir string, yield func(name string, size int64) error) error

	// DeleteObject removes name durably. An absent object is no error.
	DeleteObject(ctx context.Context, name string) error
}

// Upload receives one blob. It has one owner, who ends it by Commit or Abort;
// its methods are not safe for concurrent use. After a failed Write the upload is
// dead: all but Abort return that error.
type Upload interface {
	io.Writer

	// Size is the number of bytes written so far.
	Size() int64

	// Commit makes the bytes written so far visible as k and returns once they
	// are durable. If their hash is not k.Digest it fails with ErrDigest. It ends
	// the upload whatever it returns, and when it fails nothing is kept. A digest of another algorithm than the one given to Create
	// costs a second reading. Committing a key that is stored already succeeds
	// and leaves one copy.
	Commit(ctx context.Context, k Key) error

	// Verify fails with ErrDigest if the bytes written so far are not d. It
	// stores nothing and does not end the upload: a blob that is there already
	// needs no second copy.
	Verify(ctx context.Context, d digest.Digest) error

	// Abort forgets the bytes. After Commit it does nothing.
	Abort() error
}

// A Locator is a Store whose blobs can be fetched from somewhere else.
type Locator interface {
	// URL is a presigned address of k that works for at least the given time,
	// or "" if the store has none for this blob. It may be given for a blob that
	// is absent.
	URL(ctx context.Context, k Key, valid time.Duration) (string, error)
}

// Errors of a Store, usually wrapped; test with [errors.Is].
var (
	ErrNotFound = errors.New("blob not found")
	ErrDigest   = errors.New("content does not match the digest")
	ErrKey      = errors.New("invalid blob key")
	ErrName     = errors.New("invalid object name")
	ErrEnded    = errors.New("upload has ended") // Write, Verify or Commit after Commit or Abort
)
