// Package disk replays what a program did to its files and says what a power
// loss leaves of it.
//
// A Disk keeps, beside what the program saw, what it was promised: the bytes of
// a file that were written before its last sync began, and the names of a
// folder as of that folder's last sync. Nothing else survives in an Image taken
// by Strict; Torn adds some of the rest, as a disk does that had begun to write
// it back. Both stay within what POSIX allows and are harsher than any one
// file system: a name is durable only by the sync of the folder that holds it,
// a new folder's own name included.
//
// Play feeds a Disk from the output of strace.
package disk

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A Disk is one folder and all below it. It is not safe for concurrent use.
type Disk struct {
	// Ignore is asked about each sync; one it answers with true never reaches
	// the disk, although the program is told so. nil ignores none.
	Ignore func(Sync) bool

	root *Node
}

// A Sync describes one fsync or fdatasync.
type Sync struct {
	Path       string // below the disk's root
	Folder     bool   // a folder rather than a file
	NewFolders bool   // it makes the names of new folders durable
}

// A Node is a file or a folder, whatever its names are.
type Node struct {
	folder  bool
	parent  *Node // of the name given last; for Sync.Path
	name    string
	live    map[string]*Node // of a folder: what the program sees
	size    int64            // of a file, likewise
	changes []change         // of a folder, in order
	edits   []edit           // of a file, in order
	durable int              // how many of changes or edits survive

	cached      []byte // what the first cachedEdits of edits make
	cachedEdits int
}

// A change gives names of one folder to nodes, or to nil, in one step: a rename
// within a folder is never half done.
type change []entry

type entry struct {
	name string
	node *Node
}

// An edit is a write of data at off, or with data nil a cut or growth to off.
type edit struct {
	off  int64
	data []byte
}

// New is an empty disk.
func New() *Disk { return &Disk{root: newFolder()} }

func newFolder() *Node { return &Node{folder: true, live: map[string]*Node{}} }

// Root is the folder that was there from the start.
func (d *Disk) Root() *Node { return d.root }

// Lookup finds what the program sees under a path relative to the folder at;
// nil if there is nothing.
func (d *Disk) Lookup(at *Node, rel string) *Node {
	for _, part := range strings.Split(path.Clean(rel), "/") {
		switch {
		case at == nil || !at.folder:
			return nil
		case part == "." || part == "":
		case part == "..":
			at = at.parent
		default:
			at = at.live[part]
		}
	}
	return at
}

// place splits rel into the folder it lies in and its last name.
func (d *Disk) place(at *Node, rel string) (*Node, string, error) {
	dir, name := path.Split(path.Clean(rel))
	folder := d.Lookup(at, "./"+dir)
	if folder == nil || !folder.folder || name == ".." || name == "." || name == "" {
		return nil, "", fmt.Errorf("%s: no folder to hold it", rel)
	}
	return folder, name, nil
}

// Mkdir makes a folder.
func (d *Disk) Mkdir(at *Node, rel string) error {
	folder, name, err := d.place(at, rel)
	if err != nil {
		return err
	}
	folder.apply(change{{name, newFolder()}})
	return nil
}

// Create returns the file at rel and makes it if it is absent.
func (d *Disk) Create(at *Node, rel string) (*Node, error) {
	if n := d.Lookup(at, rel); n != nil {
		return n, nil
	}
	folder, name, err := d.place(at, rel)
	if err != nil {
		return nil, err
	}
	n := &Node{}
	folder.apply(change{{name, n}})
	return n, nil
}

// Link gives n one more name.
func (d *Disk) Link(n *Node, at *Node, rel string) error {
	folder, name, err := d.place(at, rel)
	if err != nil {
		return err
	}
	folder.apply(change{{name, n}})
	return nil
}

// Unlink takes a name away.
func (d *Disk) Unlink(at *Node, rel string) error {
	folder, name, err := d.place(at, rel)
	if err != nil {
		return err
	}
	if folder.live[name] == nil {
		return fmt.Errorf("unlink %s: the replay knows no such name", rel)
	}
	folder.apply(change{{name, nil}})
	return nil
}

// Rename moves a name, within one folder in one step and between two in two
// that only each folder's sync makes durable.
func (d *Disk) Rename(fromAt *Node, from string, toAt *Node, to string) error {
	src, oldName, err := d.place(fromAt, from)
	if err != nil {
		return err
	}
	dst, newName, err := d.place(toAt, to)
	if err != nil {
		return err
	}
	n := src.live[oldName]
	if n == nil {
		return fmt.Errorf("rename %s: the replay knows no such name", from)
	}
	if src == dst {
		src.apply(change{{oldName, nil}, {newName, n}})
		return nil
	}
	src.apply(change{{oldName, nil}})
	dst.apply(change{{newName, n}})
	return nil
}

func (n *Node) apply(c change) {
	n.changes = append(n.changes, c)
	for _, e := range c {
		if e.node == nil {
			delete(n.live, e.name)
			continue
		}
		n.live[e.name] = e.node
		e.node.parent, e.node.name = n, e.name
	}
}

// Write stores data at byte off of a file. The caller leaves data alone from
// then on.
func (n *Node) Write(off int64, data []byte) {
	if len(data) == 0 {
		return
	}
	n.edits = append(n.edits, edit{off, data})
	n.size = max(n.size, off+int64(len(data)))
}

// Truncate cuts or grows a file to size bytes.
func (n *Node) Truncate(size int64) {
	if size == n.size {
		return
	}
	n.edits = append(n.edits, edit{off: size})
	n.size = size
}

// Size of a file in bytes, as the program sees it.
func (n *Node) Size() int64 { return n.size }

// Folder reports whether n is a folder.
func (n *Node) Folder() bool { return n.folder }

// Path of n below the root, by the name it got last.
func (n *Node) Path() string {
	if n.parent == nil {
		return "."
	}
	return path.Join(n.parent.Path(), n.name)
}

// A Mark is the moment at which a sync began: what came before it, the sync
// covers.
type Mark struct {
	node *Node
	upTo int
}

// Begin marks the start of a sync of n.
func (d *Disk) Begin(n *Node) Mark {
	if n.folder {
		return Mark{n, len(n.changes)}
	}
	return Mark{n, len(n.edits)}
}

// End makes durable what a sync covers, and reports whether that is anything
// new.
func (d *Disk) End(m Mark) bool {
	n := m.node
	if m.upTo <= n.durable {
		return false
	}
	s := Sync{Path: n.Path(), Folder: n.folder}
	if n.folder {
		for _, c := range n.changes[n.durable:m.upTo] {
			s.NewFolders = s.NewFolders || slices.ContainsFunc(c, func(e entry) bool { return e.node != nil && e.node.folder })
		}
	}
	if d.Ignore != nil && d.Ignore(s) {
		return false
	}
	n.durable = m.upTo
	return true
}

// Sync is Begin and End at once.
func (d *Disk) Sync(n *Node) bool { return d.End(d.Begin(n)) }

// An Image is the state of a disk after a power loss. It shares nothing that
// later changes and may be used by another goroutine.
type Image struct {
	files []imageFile
}

type imageFile struct {
	path    string // below the root, parents before children
	folder  bool
	content []byte
	same    string // path of an earlier file that this is another name of
}

// A Chooser decides what survives beyond what was synced.
type Chooser interface {
	// IntN is a number from 0 to n-1, as of math/rand/v2.
	IntN(n int) int
}

// Strict is what was promised and nothing more.
func (d *Disk) Strict() *Image { return d.image(nil) }

// Torn adds to Strict a random part of what was not synced: of each folder the
// first few changes, of each file any of the writes, and of those any of their
// sectors of 512 bytes.
func (d *Disk) Torn(r Chooser) *Image { return d.image(r) }

func (d *Disk) image(r Chooser) *Image {
	im := &Image{}
	im.add(d.root, "", r, map[*Node]string{})
	return im
}

func (im *Image) add(folder *Node, at string, r Chooser, seen map[*Node]string) {
	upTo := folder.durable
	if r != nil {
		upTo += r.IntN(len(folder.changes) - folder.durable + 1)
	}
	entries := map[string]*Node{}
	for _, c := range folder.changes[:upTo] {
		for _, e := range c {
			if e.node == nil {
				delete(entries, e.name)
			} else {
				entries[e.name] = e.node
			}
		}
	}
	names := make([]string, 0, len(entries))
	for name := range entries {
		names = append(names, name)
	}
	slices.Sort(names) // a seed gives the same image each time
	for _, name := range names {
		n, p := entries[name], path.Join(at, name)
		first, again := seen[n]
		switch {
		case again && n.folder: // a folder that moved has one place on any file system
		case again:
			im.files = append(im.files, imageFile{path: p, same: first})
		case n.folder:
			seen[n] = p
			im.files = append(im.files, imageFile{path: p, folder: true})
			im.add(n, p, r, seen)
		default:
			seen[n] = p
			im.files = append(im.files, imageFile{path: p, content: n.surviving(r)})
		}
	}
}

// surviving is the content of a file after a power loss.
func (n *Node) surviving(r Chooser) []byte {
	if n.cachedEdits != n.durable || n.cached == nil {
		var b []byte
		from := 0
		if n.cached != nil && n.cachedEdits < n.durable {
			b, from = slices.Clone(n.cached), n.cachedEdits
		}
		for _, e := range n.edits[from:n.durable] {
			b = e.apply(b)
		}
		if b == nil {
			b = []byte{}
		}
		n.cached, n.cachedEdits = b, n.durable
	}
	if r == nil || n.durable == len(n.edits) {
		return n.cached
	}
	b := slices.Clone(n.cached)
	for _, e := range n.edits[n.durable:] {
		switch r.IntN(3) {
		case 0: // lost
		case 1:
			b = e.apply(b)
		default:
			b = e.tear(b, r)
		}
	}
	return b
}

func (e edit) apply(b []byte) []byte {
	if e.data == nil {
		return resize(b, e.off)
	}
	b = resize(b, max(int64(len(b)), e.off+int64(len(e.data))))
	copy(b[e.off:], e.data)
	return b
}

// Sector is the unit in bytes that a disk writes whole or not at all.
const Sector = 512

// tear applies some of the sectors of e. The size of the file grows with each
// sector that survives.
func (e edit) tear(b []byte, r Chooser) []byte {
	if e.data == nil {
		return e.apply(b)
	}
	for start := int64(0); start < int64(len(e.data)); {
		end := min(int64(len(e.data)), (e.off+start)/Sector*Sector+Sector-e.off)
		if r.IntN(2) == 0 {
			b = edit{e.off + start, e.data[start:end]}.apply(b)
		}
		start = end
	}
	return b
}

func resize(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b[:size:size]
	}
	return append(b, make([]byte, size-int64(len(b)))...)
}

// WriteTo makes the image's files in the folder dir, which exists and is empty.
func (im *Image) WriteTo(dir string) error {
	for _, f := range im.files {
		to := filepath.Join(dir, filepath.FromSlash(f.path))
		var err error
		switch {
		case f.folder:
			err = os.Mkdir(to, 0o700)
		case f.same != "":
			err = os.Link(filepath.Join(dir, filepath.FromSlash(f.same)), to)
		default:
			err = os.WriteFile(to, f.content, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Read is the content of the file at p, fs.ErrNotExist if there is none.
func (im *Image) Read(p string) ([]byte, error) {
	for _, f := range im.files {
		switch {
		case f.path != p || f.folder:
		case f.same != "":
			return im.Read(f.same)
		default:
			return f.content, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", p, fs.ErrNotExist)
}

// Paths lists files and folders, the latter with a slash behind them.
func (im *Image) Paths() []string {
	var all []string
	for _, f := range im.files {
		if f.folder {
			all = append(all, f.path+"/")
		} else {
			all = append(all, f.path)
		}
	}
	return all
}
