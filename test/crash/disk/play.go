package disk

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// OpHeader is the header by which a recorded client numbers its requests, so
// that Play can tell which request an answer belongs to.
const OpHeader = "X-Op"

// A Moment is one step of a recording.
type Moment struct {
	At   int    // line of the trace
	What string // for people: "fdatasync data/wreg.db-wal"

	Changed bool // the files changed, as the program sees them
	Durable bool // what survives a power loss changed

	// Op is the number of the request that was first seen (Status 0) or
	// answered with Status at this moment; 0 for none. An answer counts from
	// the moment its first byte was handed over.
	Op     int
	Status int
}

// Play runs a recorded program's calls on d. root is the folder that d stands
// for, a clean absolute path; what happens elsewhere is left out. observe is
// called after each step, when d is in the state it had then.
//
// Play fails on anything whose effect on a disk it does not know: a writable
// mapping of a file other than an SQLite -shm, files opened for synchronous
// writes, calls that move data within the kernel.
func Play(calls []*Call, root string, d *Disk, observe func(Moment) error) error {
	type step struct {
		at   int
		exit bool
		call *Call
	}
	var steps []step
	for _, c := range calls {
		steps = append(steps, step{c.Enter, false, c})
		if c.Exit >= 0 {
			steps = append(steps, step{c.Exit, true, c})
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })

	p := &player{disk: d, root: root, open: map[int64]*handle{}, ops: map[int64]int{}, pending: map[*Call]*pending{}}
	for _, s := range steps {
		do := p.enter
		if s.exit {
			do = p.exit
		}
		m := Moment{At: s.at}
		if err := do(s.call, &m); err != nil {
			return fmt.Errorf("line %d: %w", s.at, err)
		}
		if m.Changed || m.Durable || m.Op != 0 {
			if err := observe(m); err != nil {
				return err
			}
		}
	}
	return nil
}

type player struct {
	disk    *Disk
	root    string
	open    map[int64]*handle // tracked descriptors
	ops     map[int64]int     // connections: the request that was read last
	pending map[*Call]*pending
}

// A handle is an open file description.
type handle struct {
	node       *Node
	pos        int64
	appendOnly bool
}

// pending is what a call was resolved to when it began: its descriptor may be
// closed and used again before the end is recorded.
type pending struct {
	handle *handle
	mark   Mark
	off    int64 // of a write; -1 for the handle's position
	data   []byte
}

// locate resolves the arguments dirfd and name, or name alone with dirfd -1, to
// a folder and a path below it; nil for what is not on the disk.
func (p *player) locate(c *Call, dirfd, name int) (*Node, string, error) {
	b, err := c.bytes(name)
	if err != nil {
		return nil, "", err
	}
	s := string(b)
	if strings.HasPrefix(s, "/") {
		s = path.Clean(s)
		if s == p.root {
			return p.disk.root, ".", nil
		}
		if rel, ok := strings.CutPrefix(s, p.root+"/"); ok {
			return p.disk.root, rel, nil
		}
		return nil, "", nil
	}
	if dirfd < 0 {
		return nil, "", fmt.Errorf("%s: %q is relative to a folder that is not known", c.Name, s)
	}
	fd, err := c.number(dirfd)
	if err != nil {
		return nil, "", err
	}
	if fd == atCWD {
		return nil, "", fmt.Errorf("%s: %q is relative to a folder that is not known", c.Name, s)
	}
	if h := p.open[fd]; h != nil {
		return h.node, s, nil
	}
	return nil, "", nil
}

// enter resolves a call when it begins, and gives effect to what counts from
// then on.
func (p *player) enter(c *Call, m *Moment) error {
	switch c.Name {
	case "close", "read", "lseek", "write", "writev", "pwrite64", "pwritev", "pwritev2", "ftruncate", "fallocate", "fsync", "fdatasync",
		"dup", "dup2", "dup3", "fcntl", "fchdir", "sendto", "sendmsg":
	default:
		return nil
	}
	fd, err := c.number(0)
	if err != nil {
		return err
	}
	h := p.open[fd]
	q := &pending{handle: h, off: -1}
	switch c.Name {
	case "close":
		delete(p.open, fd)
		delete(p.ops, fd)
		return nil
	case "fsync", "fdatasync":
		if h != nil {
			q.mark = p.disk.Begin(h.node)
		}
	case "write", "writev", "pwrite64", "pwritev", "sendto", "sendmsg":
		if q.data, err = c.bytes(1); err != nil && (h != nil || p.ops[fd] != 0) {
			return err
		}
		if h == nil {
			p.answer(c, fd, q.data, m)
			return nil
		}
		if strings.HasPrefix(c.Name, "pwrite") {
			if q.off, err = c.number(len(c.Args) - 1); err != nil {
				return err
			}
		}
	case "pwritev2", "fchdir":
		if h != nil {
			return fmt.Errorf("%s of %s: the replay does not know this call", c.Name, h.node.Path())
		}
	}
	p.pending[c] = q
	return nil
}

// answer notes the status line of a response.
func (p *player) answer(c *Call, fd int64, data []byte, m *Moment) {
	rest, ok := bytes.CutPrefix(data, []byte("HTTP/1.1 "))
	op := p.ops[fd]
	if !ok || op == 0 || len(rest) < 3 {
		return
	}
	status, err := strconv.Atoi(string(rest[:3]))
	if err != nil || status == 100 {
		return
	}
	m.Op, m.Status = op, status
	m.What = fmt.Sprintf("%s: %d answers request %d", c.Name, status, op)
	p.ops[fd] = 0
}

// exit gives effect to a call that has ended.
func (p *player) exit(c *Call, m *Moment) error {
	q := p.pending[c]
	delete(p.pending, c)
	if c.Result < 0 {
		return nil
	}
	if err := p.exitNames(c, m); err != nil {
		return err
	}
	switch c.Name {
	case "sync", "syncfs", "sync_file_range", "msync", "io_uring_setup", "copy_file_range", "splice", "creat", "openat2", "chdir":
		return p.unknown(c)
	case "mmap":
		return p.mmap(c)
	}
	if q == nil {
		return nil
	}
	switch c.Name {
	case "dup", "dup2", "dup3":
		p.dup(q, c.Result)
		return nil
	case "fcntl":
		if strings.HasPrefix(c.arg(1), "F_DUPFD") {
			p.dup(q, c.Result)
		}
		return nil
	case "read":
		return p.read(c, q, m)
	}
	if q.handle == nil {
		return nil
	}
	return p.exitFile(c, q, m)
}

// unknown refuses a call, unless its descriptors are all elsewhere.
func (p *player) unknown(c *Call) error {
	for i := range c.Args {
		if fd, err := c.number(i); err == nil && fd >= 0 && p.open[fd] != nil {
			return fmt.Errorf("%s of %s: the replay does not know this call", c.Name, p.open[fd].node.Path())
		}
	}
	switch c.Name {
	case "sync", "io_uring_setup", "creat", "openat2", "chdir":
		return fmt.Errorf("%s: the replay does not know this call", c.Name)
	}
	return nil
}

// mmap refuses a mapping through which the program could write unseen.
func (p *player) mmap(c *Call) error {
	fd, err := c.number(4)
	if err != nil {
		return err
	}
	h := p.open[fd]
	if h == nil || !c.has(2, "PROT_WRITE") || !c.has(3, "MAP_SHARED") || strings.HasSuffix(h.node.Path(), "-shm") {
		return nil
	}
	return fmt.Errorf("mmap of %s: writes through it would not be seen", h.node.Path())
}

func (p *player) dup(q *pending, fd int64) {
	delete(p.open, fd)
	delete(p.ops, fd)
	if q.handle != nil {
		p.open[fd] = q.handle
	}
}

func (p *player) read(c *Call, q *pending, m *Moment) error {
	if q.handle != nil {
		q.handle.pos += c.Result
		return nil
	}
	if c.Result == 0 || !strings.Contains(c.arg(1), `"`) {
		return nil
	}
	fd, err := c.number(0)
	if err != nil {
		return err
	}
	data, err := c.bytes(1)
	if err != nil {
		return err
	}
	_, tail, ok := bytes.Cut(data, []byte("\r\n"+OpHeader+": "))
	if !ok {
		return nil
	}
	value, _, _ := bytes.Cut(tail, []byte("\r\n"))
	op, err := strconv.Atoi(string(value))
	if err != nil {
		return fmt.Errorf("header %s: %w", OpHeader, err)
	}
	p.ops[fd] = op
	m.Op, m.What = op, fmt.Sprintf("request %d arrives", op)
	return nil
}

// exitFile gives effect to a call on a tracked descriptor.
func (p *player) exitFile(c *Call, q *pending, m *Moment) error {
	h := q.handle
	m.What = c.Name + " " + h.node.Path()
	switch c.Name {
	case "lseek":
		h.pos = c.Result
	case "write", "writev", "pwrite64", "pwritev":
		off := q.off
		if off < 0 {
			off = h.pos
			if h.appendOnly {
				off = h.node.Size()
			}
			h.pos = off + c.Result
		}
		h.node.Write(off, q.data[:c.Result])
		m.Changed = true
	case "ftruncate":
		size, err := c.number(1)
		if err != nil {
			return err
		}
		h.node.Truncate(size)
		m.Changed = true
	case "fallocate":
		return p.fallocate(c, h, m)
	case "fsync", "fdatasync":
		m.Durable = p.disk.End(q.mark)
	}
	return nil
}

func (p *player) fallocate(c *Call, h *handle, m *Moment) error {
	off, err := c.number(2)
	if err != nil {
		return err
	}
	n, err := c.number(3)
	if err != nil {
		return err
	}
	switch c.arg(1) {
	case "0":
		if off+n > h.node.Size() {
			h.node.Truncate(off + n)
			m.Changed = true
		}
	case "FALLOC_FL_KEEP_SIZE":
	default:
		return fmt.Errorf("fallocate of %s with %s: the replay does not know this call", h.node.Path(), c.arg(1))
	}
	return nil
}

// exitNames gives effect to a call that works on names.
func (p *player) exitNames(c *Call, m *Moment) error {
	var err error
	switch c.Name {
	case "open":
		return p.opened(c, -1, 0, 1, m)
	case "openat":
		return p.opened(c, 0, 1, 2, m)
	case "mkdir":
		err = p.name(c, -1, 0, m, p.disk.Mkdir)
	case "mkdirat":
		err = p.name(c, 0, 1, m, p.disk.Mkdir)
	case "unlink", "rmdir":
		err = p.name(c, -1, 0, m, p.disk.Unlink)
	case "unlinkat":
		err = p.name(c, 0, 1, m, p.disk.Unlink)
	case "rename":
		err = p.rename(c, -1, 0, -1, 1, m)
	case "renameat", "renameat2":
		if c.Name == "renameat2" && c.arg(4) != "0" && c.arg(4) != "RENAME_NOREPLACE" {
			return fmt.Errorf("renameat2 with %s: the replay does not know this call", c.arg(4))
		}
		err = p.rename(c, 0, 1, 2, 3, m)
	case "link":
		err = p.link(c, -1, 0, -1, 1, m)
	case "linkat":
		err = p.link(c, 0, 1, 2, 3, m)
	case "truncate", "symlink", "symlinkat":
		at := 0
		if c.Name != "truncate" {
			at = len(c.Args) - 1
		}
		err = p.name(c, -1, at, m, func(_ *Node, rel string) error {
			return fmt.Errorf("%s of %s: the replay does not know this call", c.Name, rel)
		})
	}
	return err
}

func (p *player) name(c *Call, dirfd, name int, m *Moment, do func(*Node, string) error) error {
	at, rel, err := p.locate(c, dirfd, name)
	if err != nil || at == nil {
		return err
	}
	m.Changed, m.What = true, c.Name+" "+path.Join(at.Path(), rel)
	return do(at, rel)
}

func (p *player) rename(c *Call, fromDir, from, toDir, to int, m *Moment) error {
	fromAt, oldRel, err := p.locate(c, fromDir, from)
	if err != nil {
		return err
	}
	toAt, newRel, err := p.locate(c, toDir, to)
	switch {
	case err != nil:
		return err
	case fromAt == nil && toAt == nil:
		return nil
	case fromAt == nil || toAt == nil:
		return fmt.Errorf("%s of %s to %s crosses the edge of the disk", c.Name, oldRel, newRel)
	}
	m.Changed, m.What = true, c.Name+" "+path.Join(toAt.Path(), newRel)
	return p.disk.Rename(fromAt, oldRel, toAt, newRel)
}

func (p *player) link(c *Call, fromDir, from, toDir, to int, m *Moment) error {
	fromAt, oldRel, err := p.locate(c, fromDir, from)
	if err != nil {
		return err
	}
	toAt, newRel, err := p.locate(c, toDir, to)
	if err != nil || toAt == nil {
		return err
	}
	n := p.disk.Lookup(fromAt, oldRel)
	if n == nil {
		return fmt.Errorf("%s: the replay knows no %s", c.Name, oldRel)
	}
	m.Changed, m.What = true, c.Name+" "+path.Join(toAt.Path(), newRel)
	return p.disk.Link(n, toAt, newRel)
}

// opened tracks a descriptor that open returned.
func (p *player) opened(c *Call, dirfd, name, flags int, m *Moment) error {
	delete(p.open, c.Result)
	delete(p.ops, c.Result)
	b, err := c.bytes(name)
	if err != nil {
		return err
	}
	if dirfd < 0 || c.arg(0) == "AT_FDCWD" {
		if !strings.HasPrefix(string(b), "/") && !c.has(flags, "O_CREAT") {
			return nil // the program's own look at where it was started
		}
	}
	at, rel, err := p.locate(c, dirfd, name)
	if err != nil || at == nil {
		return err
	}
	for _, f := range []string{"O_SYNC", "O_DSYNC", "O_DIRECT", "O_TMPFILE", "__O_TMPFILE"} {
		if c.has(flags, f) {
			return fmt.Errorf("%s is opened with %s, which the replay does not know", path.Join(at.Path(), rel), f)
		}
	}
	n := p.disk.Lookup(at, rel)
	m.What = c.Name + " " + path.Join(at.Path(), rel)
	if n == nil {
		if !c.has(flags, "O_CREAT") {
			return fmt.Errorf("%s is opened, but the replay knows no such file", path.Join(at.Path(), rel))
		}
		if n, err = p.disk.Create(at, rel); err != nil {
			return err
		}
		m.Changed = true
	}
	if c.has(flags, "O_TRUNC") && n.Size() > 0 {
		n.Truncate(0)
		m.Changed = true
	}
	p.open[c.Result] = &handle{node: n, appendOnly: c.has(flags, "O_APPEND")}
	return nil
}
