// Package gc looks after a registry's storage as a whole: the blobs, the
// metadata database over them, and the journal and snapshots from which a lost
// database is rebuilt.
//
//   - [Journaler] copies the database's outbox to journal objects beside the
//     blobs, [Snapshot] shortens that journal, [Rebuild] reads both back.
//   - [Collect] removes what nothing refers to any more, in steps each of which
//     a crash may follow.
//   - [Check] verifies every digest and every reference; [Repair] finishes at
//     start what a crash interrupted.
//
// Nothing here knows a rule of the registry: what is referred to is what
// package meta says. The order throughout is that bytes are durable before the
// row that names them, and that the row goes before the bytes.
package gc

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/wreg-project/wreg/storage/blob"
)

// Errors of this package, usually wrapped; test with [errors.Is].
var (
	// ErrDamaged is a journal object or snapshot that is cut short or altered.
	ErrDamaged = errors.New("object is damaged")
	// ErrGap is a journal from which entries are missing.
	ErrGap = errors.New("journal entries are missing")
	// ErrBehind is a database that lacks entries its journal has: another
	// database, or an older copy. Writing on would overwrite the journal; run
	// wreg rebuild.
	ErrBehind = errors.New("database is older than its journal")
	// ErrNothing is a store without journal and snapshot.
	ErrNothing = errors.New("storage has neither a journal nor a snapshot")
)

// The folders of the objects. Their names hold sequences of 20 digits, so that
// the order of names is the order of entries: a journal object is named for its
// first and last entry, joined by a dash, a snapshot for the last entry it
// includes. No two journal objects of different content share a name, so that
// servers which journal the same database never overwrite what another wrote.
const (
	journalDir  = "journal"
	snapshotDir = "snapshot"
	damagedDir  = "damaged" // where Rebuild puts what it could not read
)

const sequenceDigits = 20

func snapshotName(seq int64) string { return fmt.Sprintf("%s/%020d", snapshotDir, seq) }

func journalName(first, last int64) string {
	return fmt.Sprintf("%s/%020d-%020d", journalDir, first, last)
}

// A namedObject is an object of one of the two folders.
type namedObject struct {
	name        string
	first, last int64 // the same in a snapshot
	size        int64 // bytes
}

// parseObject reads the sequences from a name below dir; false means that the
// object is not one of ours.
func parseObject(dir, name string, size int64) (namedObject, bool) {
	base, ok := strings.CutPrefix(name, dir+"/")
	if !ok {
		return namedObject{}, false
	}
	o := namedObject{name: name, size: size}
	first, last := base, base
	if dir == journalDir {
		if first, last, ok = strings.Cut(base, "-"); !ok {
			return namedObject{}, false
		}
	}
	if o.first, ok = parseSequence(first); !ok {
		return namedObject{}, false
	}
	o.last, ok = parseSequence(last)
	return o, ok && o.first <= o.last
}

func parseSequence(digits string) (int64, bool) {
	if len(digits) != sequenceDigits || digits[0] == '-' || digits[0] == '+' {
		return 0, false
	}
	seq, err := strconv.ParseInt(digits, 10, 64)
	return seq, err == nil && seq < math.MaxInt64
}

// listObjects returns the objects of dir in order. A journal holds no more than
// [Policy] lets gather, and its names are all that is kept in memory.
func listObjects(ctx context.Context, store blob.Objects, dir string) ([]namedObject, error) {
	var objects []namedObject
	err := store.ListObjects(ctx, dir, func(name string, size int64) error {
		if o, ok := parseObject(dir, name, size); ok {
			objects = append(objects, o)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	return objects, nil
}
