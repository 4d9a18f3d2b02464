package vuln

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A DB is a Source in memory. Its methods are safe for concurrent use; the zero
// value has no advisories.
type DB struct {
	mu        sync.RWMutex
	byID      map[string]*Advisory
	byPackage map[Package][]*Advisory
}

// Put adds an advisory or puts it in the place of that with its id, and reports
// whether that made a difference. What is older than what is there, by the date of
// modification, makes none. The DB keeps a; the caller does not change it.
func (db *DB) Put(a *Advisory) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	if old := db.byID[a.ID]; old != nil {
		if old.SHA256 == a.SHA256 || old.Modified.After(a.Modified) {
			return false
		}
		for _, p := range old.Packages() {
			db.byPackage[p] = slices.DeleteFunc(db.byPackage[p], func(o *Advisory) bool { return o == old })
		}
	}
	if db.byID == nil {
		db.byID, db.byPackage = map[string]*Advisory{}, map[Package][]*Advisory{}
	}
	db.byID[a.ID] = a
	for _, p := range a.Packages() {
		db.byPackage[p] = append(db.byPackage[p], a)
	}
	return true
}

// Packages are those that an advisory is about, each once, sorted.
func (a *Advisory) Packages() []Package {
	list := make([]Package, 0, len(a.Affected))
	for _, f := range a.Affected {
		list = append(list, f.Package)
	}
	slices.SortFunc(list, comparePackages)
	return slices.Compact(list)
}

func comparePackages(a, b Package) int {
	return cmp.Or(cmp.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.Name, b.Name))
}

// Advisories implements Source.
func (db *DB) Advisories(ctx context.Context, packages []Package) ([]*Advisory, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	var list []*Advisory
	seen := map[*Advisory]bool{}
	for _, p := range packages {
		for _, a := range db.byPackage[p] {
			if !seen[a] {
				seen[a] = true
				list = append(list, a)
			}
		}
	}
	return list, ctx.Err()
}

// Get gives the advisory with an id.
func (db *DB) Get(id string) (*Advisory, bool) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	a, ok := db.byID[id]
	return a, ok
}

// Len is how many advisories there are, withdrawn ones too.
func (db *DB) Len() int {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return len(db.byID)
}

// All gives the advisories in the order of their ids.
func (db *DB) All() []*Advisory {
	db.mu.RLock()
	defer db.mu.RUnlock()
	list := make([]*Advisory, 0, len(db.byID))
	for _, a := range db.byID {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b *Advisory) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// Stats say what an import read.
type Stats struct {
	Records   int       `json:"records"`   // read, of any kind
	Changed   int       `json:"changed"`   // new, or other than before
	Same      int       `json:"same"`      // known by their digest, or newer already
	Elsewhere int       `json:"elsewhere"` // about nothing that a binary can have
	Withdrawn int       `json:"withdrawn"` // among those changed
	Newest    time.Time `json:"newest,omitzero"`

	// Refused counts what was no record; Problems are the first ones.
	Refused  int      `json:"refused"`
	Problems []string `json:"problems,omitempty"`
}

// maxProblems are how many refused records are described.
const maxProblems = 16

// A Store takes the advisories of an import: a DB, or a registry's database.
type Store interface {
	// Known reports whether the record with this digest has been imported.
	Known(ctx context.Context, id, sha256 string) (bool, error)

	// Save keeps an advisory and reports whether that made a difference.
	Save(ctx context.Context, a *Advisory) (bool, error)
}

// Known implements Store.
func (db *DB) Known(_ context.Context, id, sum string) (bool, error) {
	a, ok := db.Get(id)
	return ok && a.SHA256 == sum, nil
}

// Save implements Store.
func (db *DB) Save(_ context.Context, a *Advisory) (bool, error) { return db.Put(a), nil }

// An Importer writes the records of feeds into a Store. It is not safe for
// concurrent use.
type Importer struct {
	Store Store
	Stats Stats

	// Refused, if it is set, is told of every record that is none, by its name in
	// the feed.
	Refused func(name string, err error)
}

// Record imports one record. Only the Store's errors are returned; what is wrong
// with the record is counted.
func (im *Importer) Record(ctx context.Context, r Record) error {
	im.Stats.Records++
	sum := sha256.Sum256(r.Data)
	// The file's name is the id in every feed; if it is not, the record is only
	// read once more than it had to be.
	known, err := im.Store.Known(ctx, r.ID(), hex.EncodeToString(sum[:]))
	if err != nil {
		return fmt.Errorf("advisory %s: %w", r.ID(), err)
	}
	if known {
		im.Stats.Same++
		return nil
	}
	a, err := Parse(r.Data)
	if err != nil {
		im.refuse(r.Name, err)
		return nil
	}
	if len(a.Affected) == 0 {
		im.Stats.Elsewhere++
		return nil
	}
	changed, err := im.Store.Save(ctx, a)
	if err != nil {
		return fmt.Errorf("advisory %s: %w", a.ID, err)
	}
	if !changed {
		im.Stats.Same++
		return nil
	}
	im.Stats.Changed++
	if !a.Withdrawn.IsZero() {
		im.Stats.Withdrawn++
	}
	if a.Modified.After(im.Stats.Newest) {
		im.Stats.Newest = a.Modified
	}
	return nil
}

func (im *Importer) refuse(name string, err error) {
	im.Stats.Refused++
	if im.Refused != nil {
		im.Refused(name, err)
	}
	if len(im.Stats.Problems) < maxProblems {
		im.Stats.Problems = append(im.Stats.Problems, line(name+": "+err.Error()))
	}
}

// Path imports what a path of the local file system has: a record (.json), a zip
// of records, or a folder of either at any depth.
func (im *Importer) Path(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return im.file(ctx, path)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := ReadDir(ctx, root.FS(), func(r Record) error { return im.Record(ctx, r) }, im.refuse); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// file imports a single file.
func (im *Importer) file(ctx context.Context, path string) error {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer root.Close()
	read := func(r Record) error { return im.Record(ctx, r) }
	if err := readFile(ctx, root.FS(), filepath.Base(path), read, im.refuse); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Load reads advisories from paths into memory. See [Importer.Path].
func Load(ctx context.Context, paths ...string) (*DB, Stats, error) {
	db := &DB{}
	im := Importer{Store: db}
	for _, path := range paths {
		if err := im.Path(ctx, path); err != nil {
			return nil, im.Stats, err
		}
	}
	if db.Len() == 0 {
		return nil, im.Stats, fmt.Errorf("%s: %w", strings.Join(paths, ", "), errNone)
	}
	return db, im.Stats, nil
}

// errNone is of a database that would find nothing, however bad a binary is.
var errNone = fmt.Errorf("no advisories: %w", fs.ErrNotExist)

// IsNone reports whether an error of Load says that there were no advisories.
func IsNone(err error) bool { return errors.Is(err, errNone) }
