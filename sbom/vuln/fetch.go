package vuln

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/wreg-project/wreg/internal/durable"
)

// maxDownload is how many bytes a feed's file may have if its Feed says nothing.
const maxDownload = 2 << 30

// ErrFeed is of a server that does not give what was asked for, or of a file that
// Verify refused.
var ErrFeed = errors.New("feed")

// A Feed is a file of advisories on a server: an all.zip of OSV, EPSS or KEV.
type Feed struct {
	URL string // https, or http on loopback

	// Client sends the requests; its timeouts are those of the download.
	Client *http.Client

	// MaxBytes is the most that the file may have, 2 GiB if it is 0.
	MaxBytes int64

	// Verify, if it is set, says whether a file is what its publisher made, by its
	// SHA-256, before it takes the place of the one that is there. A signed feed
	// has its signature over that digest beside it; see docs/spec/advisories.md.
	Verify func(ctx context.Context, url string, sha256 []byte) error
}

// state is what is kept of the last download, in a file beside it.
type state struct {
	URL    string `json:"url"`
	ETag   string `json:"etag,omitempty"`
	SHA256 string `json:"sha256"`
}

const stateSuffix = ".state"

// Fetch brings the file to path, whose folder has to exist, and reports whether it
// is another than before. A file whose ETag the server still has is not sent
// again. What was at path stays there whole until the new file is whole and
// verified; a file at path that was changed since is fetched again.
func (f *Feed) Fetch(ctx context.Context, path string) (changed bool, err error) {
	req, err := f.request(ctx)
	if err != nil {
		return false, err
	}
	have := readState(path, f.URL)
	if have.ETag != "" {
		req.Header.Set("If-None-Match", have.ETag)
	}
	resp, err := f.Client.Do(req)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrFeed, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && have.ETag != "":
		return false, nil
	case resp.StatusCode != http.StatusOK:
		return false, fmt.Errorf("%w %s: status %d", ErrFeed, f.URL, resp.StatusCode)
	case !private(resp.Request.URL):
		return false, fmt.Errorf("%w %s: sent on to plain HTTP", ErrFeed, f.URL)
	}
	sum, err := f.save(ctx, resp.Body, path)
	if err != nil {
		return false, err
	}
	now := state{f.URL, resp.Header.Get("ETag"), sum}
	data, err := json.Marshal(now)
	if err != nil {
		return false, err
	}
	return now.SHA256 != have.SHA256, durable.WriteFile(path+stateSuffix, data, 0o600)
}

// Fetched gives the ETag and the SHA-256, in hexadecimal, of the file at path if
// it is what Fetch brought from url, and otherwise nothing. It reads all of it.
func Fetched(path, url string) (etag, sha256 string) {
	s := readState(path, url)
	return s.ETag, s.SHA256
}

func (f *Feed) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFeed, err)
	}
	if !private(req.URL) {
		return nil, fmt.Errorf("%w %s: neither https nor http on loopback", ErrFeed, f.URL)
	}
	return req, nil
}

// private reports whether nobody on the way can change what is sent.
func private(u *url.URL) bool {
	if u.Scheme == "https" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// save writes a download to its place and gives its digest in hexadecimal.
func (f *Feed) save(ctx context.Context, body io.Reader, path string) (string, error) {
	most := f.MaxBytes
	if most <= 0 {
		most = maxDownload
	}
	file, err := durable.Create(path, 0o600)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(file, hash), io.LimitReader(body, most+1))
	if err == nil && n > most {
		err = fmt.Errorf("%w %s: more than %d bytes: %w", ErrFeed, f.URL, most, ErrLimit)
	}
	sum := hash.Sum(nil)
	if err == nil && f.Verify != nil {
		if bad := f.Verify(ctx, f.URL, sum); bad != nil {
			err = fmt.Errorf("%w %s: %w", ErrFeed, f.URL, bad)
		}
	}
	if err != nil {
		return "", errors.Join(err, file.Abort())
	}
	// Without its old state a new file is fetched again, which is what a crash
	// between the two has to lead to.
	if err := os.Remove(path + stateSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", errors.Join(err, file.Abort())
	}
	return hex.EncodeToString(sum), file.Commit()
}

// maxState is more than a state file has, in bytes.
const maxState = 64 << 10

// readState gives the state of the last download from a URL if the file is still
// what that brought.
func readState(path, from string) state {
	var s state
	in, err := os.Open(path + stateSuffix)
	if err != nil {
		return state{}
	}
	defer in.Close()
	if json.NewDecoder(io.LimitReader(in, maxState)).Decode(&s) != nil || s.URL != from {
		return state{}
	}
	file, err := os.Open(path)
	if err != nil {
		return state{}
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil || hex.EncodeToString(hash.Sum(nil)) != s.SHA256 {
		return state{}
	}
	return s
}
