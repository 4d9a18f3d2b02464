package advisories

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/internal/durable"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/storage/meta"
)

// ErrDigest is of a file that is not the one that an [Address] names.
var ErrDigest = errors.New("not the file that was named")

// An Address is where a file of advisories, EPSS or KEV comes from.
type Address struct {
	// Source is a URL, https or http on loopback, or an absolute path.
	Source string

	// SHA256 is what the file has to be, in hexadecimal; "" for whatever is there.
	SHA256 string
}

const pinned = "#sha256="

// ParseAddress reads a URL or a path, of which one that ends in "#sha256=HEX" is
// good for that content only. A relative path is one of the current folder.
func ParseAddress(text string) (Address, error) {
	a := Address{Source: text}
	if i := strings.LastIndex(text, pinned); i >= 0 {
		a.Source, a.SHA256 = text[:i], strings.ToLower(text[i+len(pinned):])
		if b, err := hex.DecodeString(a.SHA256); err != nil || len(b) != sha256.Size {
			return Address{}, fmt.Errorf("%.200q: what follows %s is not 64 hexadecimal digits", text, pinned)
		}
	}
	if a.Source == "" || len(a.Source) > maxAddress || strings.ContainsFunc(a.Source, func(r rune) bool { return r < ' ' }) {
		return Address{}, fmt.Errorf("%.200q is neither a URL nor a path", text)
	}
	if !a.Remote() {
		abs, err := filepath.Abs(a.Source)
		a.Source = abs
		return a, err
	}
	u, err := url.Parse(a.Source)
	if err != nil {
		return Address{}, fmt.Errorf("%.200q: %w", text, err)
	}
	if u.User != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return Address{}, fmt.Errorf("%.200q: feeds are at https, or http on loopback, without a user", text)
	}
	return a, nil
}

// maxAddress is the most bytes of an address: it is the key of a job.
const maxAddress = 512

// Remote reports whether the file is on a server.
func (a Address) Remote() bool { return strings.Contains(a.Source, "://") }

// A Fetcher brings files.
type Fetcher struct {
	// Dir is a folder for what is downloaded. It is made if it is absent.
	Dir string

	// Client sends the requests, DefaultClient if it is nil.
	Client *http.Client

	// Verify, if it is set, is asked about each download; see vuln.Feed.
	Verify func(ctx context.Context, url string, sha256 []byte) error
}

// DefaultClient gives up on servers that say nothing for a minute, and on downloads
// of more than half an hour.
var DefaultClient = &http.Client{Timeout: 30 * time.Minute, Transport: transport()}

func transport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = time.Minute
	return t
}

// A Fetched is a file that was brought.
type Fetched struct {
	Path   string
	ETag   string
	Digest digest.Digest // "" of a folder
}

// Fetch brings the file of an address: into the folder if it is on a server and
// changed since the last time. Errors are those of vuln.Feed.Fetch, and ErrDigest.
func (f *Fetcher) Fetch(ctx context.Context, a Address) (Fetched, error) {
	if !a.Remote() {
		return local(ctx, a)
	}
	if err := durable.MkdirAll(f.Dir, 0o700); err != nil {
		return Fetched{}, err
	}
	feed := vuln.Feed{URL: a.Source, Client: f.Client, Verify: func(ctx context.Context, url string, sum []byte) error {
		if err := a.check(hex.EncodeToString(sum)); err != nil {
			return err
		}
		if f.Verify == nil {
			return nil
		}
		return f.Verify(ctx, url, sum)
	}}
	if feed.Client == nil {
		feed.Client = DefaultClient
	}
	file := f.file(a)
	if _, err := feed.Fetch(ctx, file); err != nil {
		return Fetched{}, err
	}
	etag, sum := vuln.Fetched(file, a.Source)
	// What is there already may have come before the digest was named.
	if err := a.check(sum); err != nil {
		return Fetched{}, fmt.Errorf("%s: %w", a.Source, err)
	}
	if len(etag) > meta.MaxFeedText {
		etag = "" // it is only shown
	}
	return Fetched{Path: file, ETag: etag, Digest: digest.NewDigestFromEncoded(digest.SHA256, sum)}, nil
}

// file is where a download goes.
func (f *Fetcher) file(a Address) string {
	name := sha256.Sum256([]byte(a.Source))
	ext := ".zip"
	if u, err := url.Parse(a.Source); err == nil {
		switch e := path.Ext(u.Path); e {
		case ".json", ".csv", ".gz":
			ext = e
		}
	}
	return filepath.Join(f.Dir, hex.EncodeToString(name[:16])+ext)
}

func (a Address) check(sum string) error {
	if a.SHA256 != "" && a.SHA256 != sum {
		return fmt.Errorf("%w: its SHA-256 is %s", ErrDigest, sum)
	}
	return nil
}

func local(ctx context.Context, a Address) (Fetched, error) {
	out := Fetched{Path: a.Source}
	info, err := os.Stat(a.Source)
	switch {
	case err != nil:
		return Fetched{}, err
	case info.IsDir() && a.SHA256 != "":
		return Fetched{}, fmt.Errorf("%s: a folder has no SHA-256", a.Source)
	case info.IsDir():
		return out, nil
	}
	file, err := os.Open(a.Source)
	if err != nil {
		return Fetched{}, err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, &cancelled{ctx, file}); err != nil {
		return Fetched{}, err
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	if err := a.check(sum); err != nil {
		return Fetched{}, fmt.Errorf("%s: %w", a.Source, err)
	}
	out.Digest = digest.NewDigestFromEncoded(digest.SHA256, sum)
	return out, nil
}

// cancelled reads until ctx ends.
type cancelled struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelled) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// have is the path of what was brought of an address before, "" for nothing.
func (f *Fetcher) have(a Address) string {
	if !a.Remote() {
		return ""
	}
	file := f.file(a)
	if _, sum := vuln.Fetched(file, a.Source); sum == "" || a.check(sum) != nil {
		return ""
	}
	return file
}

// String is what ParseAddress reads.
func (a Address) String() string {
	if a.SHA256 == "" {
		return a.Source
	}
	return a.Source + pinned + a.SHA256
}
