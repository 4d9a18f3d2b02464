package corpus

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/wreg-project/wreg/internal/durable"
)

// Errors of Fetch, wrapped; test with [errors.Is].
var (
	ErrNoNPM = errors.New("npm is not installed")
	ErrHash  = errors.New("not the listed bytes")
)

// Options say how Fetch works.
type Options struct {
	// Parallel is the number of packages fetched at a time, 4 if zero.
	Parallel int

	// Done is called after each package, by one goroutine at a time, with the
	// number of files that are in place. It may be nil.
	Done func(pkg string, files int, err error)

	// npm packs name@version into the folder dir as its only .tgz; tests put
	// something else in its place.
	npm func(ctx context.Context, spec, dir string) error
}

// Fetch brings the packaged ones of entries into dir. What is there already, by
// its hash, is kept; a file appears under its name only when it is whole, so an
// interrupted call is continued by the next. One package's error does not keep
// the others from being fetched, unless the first Parallel ones all fail. Which
// registry is asked, through which proxy and with which certificates, is npm's
// configuration.
func Fetch(ctx context.Context, dir string, entries []Entry, o Options) error {
	if o.npm == nil {
		if _, err := exec.LookPath("npm"); err != nil {
			return fmt.Errorf("%w: `make setup` installs it", ErrNoNPM)
		}
		o.npm = pack
	}
	if o.Parallel == 0 {
		o.Parallel = 4
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	files := 0
	missing := map[string][]Entry{}
	for _, e := range entries {
		if !e.Packaged() {
			continue
		}
		switch err := check(filepath.Join(dir, e.File), e); {
		case err == nil:
			files++
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrHash):
			missing[e.Package] = append(missing[e.Package], e)
		default:
			return err
		}
	}

	var mu sync.Mutex
	var errs []error
	tried := 0
	// When the first ones all fail, there is no network, and every further one
	// would take npm's time to find that out.
	hopeless := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(errs) == tried && tried >= o.Parallel
	}
	var wg sync.WaitGroup
	turn := make(chan struct{}, o.Parallel)
	for _, spec := range bySize(missing) {
		wg.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			if hopeless() {
				return
			}
			err := fetchPackage(ctx, o, spec, dir, missing[spec])
			mu.Lock()
			defer mu.Unlock()
			tried++
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", spec, err))
			} else {
				files += len(missing[spec])
			}
			if o.Done != nil {
				o.Done(spec, files, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// bySize lists the packages, the largest first, so that the last to end is a
// small one.
func bySize(packages map[string][]Entry) []string {
	size := map[string]int64{}
	var specs []string
	for spec, entries := range packages {
		specs = append(specs, spec)
		for _, e := range entries {
			size[spec] += e.Size
		}
	}
	slices.SortFunc(specs, func(a, b string) int {
		if size[a] != size[b] {
			return int(min(1, max(-1, size[b]-size[a])))
		}
		return strings.Compare(a, b)
	})
	return specs
}

// check reads the file and compares it with its line of the list.
func check(path string, e Entry) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(f, e.Size+1))
	if err != nil {
		return err
	}
	return e.verify(n, h.Sum(nil))
}

func (e Entry) verify(size int64, sum []byte) error {
	if size != e.Size {
		return fmt.Errorf("%s: %w: %d bytes, want %d", e.File, ErrHash, size, e.Size)
	}
	if got := hex.EncodeToString(sum); got != e.SHA256 {
		return fmt.Errorf("%s: %w: SHA-256 %s, want %s", e.File, ErrHash, got, e.SHA256)
	}
	return nil
}

func fetchPackage(ctx context.Context, o Options, spec, dir string, entries []Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	work, err := os.MkdirTemp(dir, ".fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := o.npm(ctx, spec, work); err != nil {
		return err
	}
	tgz, err := filepath.Glob(filepath.Join(work, "*.tgz"))
	if err != nil {
		return err
	}
	if len(tgz) != 1 {
		return fmt.Errorf("npm left %d tarballs, want 1", len(tgz))
	}
	return unpack(tgz[0], dir, entries)
}

// pack has npm download the tarball of a package. It gets a cache of its own
// beside the tarball, which goes with it: the bytes need not lie here twice.
func pack(ctx context.Context, spec, dir string) error {
	// "--" keeps a package's name from being an option; scripts never run. npm's
	// own retries wait for a minute, which a machine without network repeats for
	// every package.
	cmd := exec.CommandContext(ctx, "npm", "pack", "--ignore-scripts", "--loglevel", "error", "--pack-destination", dir,
		"--fetch-retries", "2", "--fetch-retry-factor", "2", "--fetch-retry-mintimeout", "500",
		"--cache", filepath.Join(dir, "cache"), "--", spec)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("npm pack: %w: %s", err, complaint(stderr.String()))
	}
	return nil
}

// complaint is what npm wrote in one line, without its stack trace and what
// follows that.
func complaint(stderr string) string {
	var parts []string
	for line := range strings.Lines(stderr) {
		line = strings.TrimPrefix(strings.TrimRight(line, "\r\n"), "npm error ")
		if strings.HasPrefix(line, "    at ") || strings.HasPrefix(line, "A complete log") {
			break
		}
		parts = append(parts, line)
	}
	return strings.Join(parts, "; ")
}

// maxUnpacked bounds what is read of one package: the largest listed has about
// 200 MB.
const maxUnpacked = 1 << 30

// unpack writes the entries of the tarball into dir.
func unpack(tgz, dir string, entries []Entry) error {
	f, err := os.Open(tgz)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	left := slices.Clone(entries)
	for tr := tar.NewReader(io.LimitReader(z, maxUnpacked)); len(left) > 0; {
		head, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("no %s in the package", left[0].Path)
		}
		if err != nil {
			return err
		}
		// Everything in an npm package lies in one folder, mostly "package".
		_, name, _ := strings.Cut(head.Name, "/")
		i := slices.IndexFunc(left, func(e Entry) bool { return e.Path == name })
		if i < 0 {
			continue
		}
		if err := keep(tr, filepath.Join(dir, left[i].File), left[i]); err != nil {
			return err
		}
		left = slices.Delete(left, i, i+1)
	}
	return nil
}

// keep writes r to path if it is what the list says.
func keep(r io.Reader, path string, e Entry) error {
	if strings.HasSuffix(e.Path, ".gz") {
		z, err := gzip.NewReader(r)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
		r = z
	}
	f, err := durable.Create(path, 0o644)
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(r, e.Size+1))
	if err == nil {
		err = e.verify(n, h.Sum(nil))
	}
	if err != nil {
		return errors.Join(err, f.Abort())
	}
	return f.Commit()
}
