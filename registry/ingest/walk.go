package ingest

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

// Limits bound what is spent on one blob. What lies beyond them is not looked
// at, which policies are told.
type Limits struct {
	MaxModule   int64 `json:"maxModule"`   // bytes of one Wasm file; it is held in memory, about four times over
	MaxUnpacked int64 `json:"maxUnpacked"` // bytes that all archives and compressions of a blob unpack to
	MaxRatio    int64 `json:"maxRatio"`    // of unpacked to packed bytes, once more than ratioFrom are unpacked
	MaxEntries  int   `json:"maxEntries"`  // in all archives of a blob
	MaxFiles    int   `json:"maxFiles"`    // Wasm files in a blob
	MaxDepth    int   `json:"maxDepth"`    // of archives and compressions in each other
}

// DefaultLimits suit packages and images that are made to be served: the
// largest module known has 60 MB, and a layer of more than a gigabyte is no
// package.
var DefaultLimits = Limits{
	MaxModule: 128 << 20, MaxUnpacked: 2 << 30, MaxRatio: 200, MaxEntries: 200_000, MaxFiles: 500, MaxDepth: 4,
}

// exceeds reports whether l lets through something that o does not.
func (l Limits) exceeds(o Limits) bool {
	return l.MaxModule > o.MaxModule || l.MaxUnpacked > o.MaxUnpacked || l.MaxRatio > o.MaxRatio ||
		l.MaxEntries > o.MaxEntries || l.MaxFiles > o.MaxFiles || l.MaxDepth > o.MaxDepth
}

// ratioFrom is how many bytes may be unpacked before their ratio matters: a few
// megabytes of zeros harm nobody.
const ratioFrom = 64 << 20

// errLimit says that a blob is beyond the Limits.
var errLimit = errors.New("not looked at any further")

// A walker finds the Wasm in a blob by what its bytes are, whatever its media
// type says: raw, compressed by gzip or zstd, in tar archives, and these in each
// other.
type walker struct {
	limits Limits

	// wasm is called for each file that begins like Wasm, with its first bytes
	// still to be read from r. size is -1 if it is not known.
	// What it leaves unread is passed over. An error of its own is fatal.
	wasm func(ctx context.Context, path string, size int64, r io.Reader) error
	// beyond is called for what could not be looked at, and why.
	beyond func(path string, err error)

	// fatal is set by whoever reads or analyses the blob when that is not the
	// blob's fault. It ends the walk.
	fatal error

	unpacked int64
	entries  int
	files    int
}

// Magic numbers. The first bytes of a tar archive are the name of a file: it is
// known by the checksum of its first header.
var (
	magicWasm = []byte("\x00asm")
	magicGzip = []byte("\x1f\x8b")
	magicZstd = []byte("\x28\xb5\x2f\xfd")
	magicSkip = []byte("\x2a\x4d\x18") // behind 0x50 to 0x5f: a frame that zstd skips
)

const tarBlock = 512

// walk looks through r, which is named path within the blob ("" for the blob
// itself). It fails if r cannot be read to its end, or beyond the limits.
func (w *walker) walk(ctx context.Context, path string, size int64, r io.Reader, depth int) error {
	br := bufio.NewReaderSize(r, 4096)
	head, err := br.Peek(tarBlock)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	var inside func(context.Context, string, io.Reader, int) error
	switch {
	case bytes.HasPrefix(head, magicWasm):
		if w.files++; w.files > w.limits.MaxFiles {
			return fmt.Errorf("%w: more than %d Wasm files", errLimit, w.limits.MaxFiles)
		}
		if err := w.wasm(ctx, path, size, br); err != nil {
			w.fatal = err
		}
		return w.fatal
	case bytes.HasPrefix(head, magicGzip):
		inside = w.gzip
	case bytes.HasPrefix(head, magicZstd), len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], magicSkip):
		inside = w.zstd
	case isTar(head):
		inside = w.tar
	default:
		return nil
	}
	if depth >= w.limits.MaxDepth {
		w.beyond(path, fmt.Errorf("%w: archives nested more than %d deep", errLimit, w.limits.MaxDepth))
		return nil
	}
	err = inside(ctx, path, br, depth+1)
	if err == nil || depth == 0 || w.fatal != nil || errors.Is(err, errLimit) || ctx.Err() != nil {
		return err
	}
	// A damaged archive in an archive hides nothing of what is beside it.
	w.beyond(path, err)
	return nil
}

func (w *walker) gzip(ctx context.Context, path string, r io.Reader, depth int) error {
	packed := &counter{r: r}
	z, err := gzip.NewReader(packed)
	if err != nil {
		return err
	}
	return w.walk(ctx, path, -1, &unpacker{w: w, ctx: ctx, r: z, packed: packed}, depth)
}

// maxWindow is the memory in bytes that a zstd frame may ask for: the format's
// recommendation for what every decoder supports.
const maxWindow = 8 << 20

func (w *walker) zstd(ctx context.Context, path string, r io.Reader, depth int) error {
	packed := &counter{r: r}
	z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return err
	}
	defer z.Close()
	return w.walk(ctx, path, -1, &unpacker{w: w, ctx: ctx, r: z, packed: packed}, depth)
}

func (w *walker) tar(ctx context.Context, path string, r io.Reader, depth int) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // nothing is written to any path
			return err
		}
		if w.entries++; w.entries > w.limits.MaxEntries {
			return fmt.Errorf("%w: more than %d entries in archives", errLimit, w.limits.MaxEntries)
		}
		if h.Size == 0 {
			continue
		}
		if err := w.walk(ctx, join(path, h.Name), h.Size, t, depth); err != nil {
			return err
		}
	}
}

// join names an entry of the archive at path.
func join(path, entry string) string {
	entry = strings.TrimPrefix(strings.TrimPrefix(entry, "./"), "/")
	if path != "" {
		entry = path + "!/" + entry
	}
	return cleanPath(entry)
}

// maxPath bounds a path that is kept, in bytes.
const maxPath = 300

// cleanPath makes a path of an archive fit for databases and messages.
func cleanPath(path string) string {
	if len(path) > maxPath {
		path = path[:maxPath] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, path)
}

// isTar reports whether head begins with a header whose checksum is right, which
// old archives without a magic number have as well.
func isTar(head []byte) bool {
	if len(head) < tarBlock {
		return false
	}
	const at, end = 148, 156
	field := strings.Trim(string(head[at:end]), " \x00")
	want, err := strconv.ParseInt(field, 8, 32)
	if err != nil {
		return false
	}
	var unsigned, signed int64
	for i, c := range head[:tarBlock] {
		if at <= i && i < end {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c))
	}
	return want == unsigned || want == signed
}

// A counter counts what was read through it.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// An unpacker holds what comes out of a decompressor against the limits.
type unpacker struct {
	w      *walker
	ctx    context.Context
	r      io.Reader
	packed *counter
	n      int64
}

func (u *unpacker) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := u.r.Read(p)
	u.n += int64(n)
	u.w.unpacked += int64(n)
	limits := u.w.limits
	switch {
	case u.w.unpacked > limits.MaxUnpacked:
		return 0, fmt.Errorf("%w: it unpacks to more than %d bytes", errLimit, limits.MaxUnpacked)
	case u.n > ratioFrom && u.n/max(u.packed.n, 1) > limits.MaxRatio:
		return 0, fmt.Errorf("%w: it unpacks to more than %d times its size", errLimit, limits.MaxRatio)
	}
	return n, err
}
