package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// download reads a blob, over as many connections as it takes: when one breaks,
// the next asks for the rest by Range. Each byte that arrives makes the number
// of attempts begin anew.
type download struct {
	ctx  context.Context
	repo *Repository
	d    ocispec.Descriptor

	off    int64 // of the next byte to hand out
	body   io.ReadCloser
	failed int // attempts since the last byte
}

func (r *Repository) download(ctx context.Context, d ocispec.Descriptor) (*download, error) {
	dl := &download{ctx: auth.AppendRepositoryScope(ctx, r.Reference, auth.ActionPull), repo: r, d: d}
	if err := dl.open(); err != nil {
		return nil, err
	}
	return dl, nil
}

func (dl *download) Read(p []byte) (int, error) {
	for {
		if dl.off >= dl.d.Size {
			return 0, io.EOF
		}
		err := dl.open()
		if err == nil {
			var n int
			n, err = dl.body.Read(p[:min(int64(len(p)), dl.d.Size-dl.off)])
			if n > 0 {
				dl.off += int64(n)
				dl.failed = 0
				return n, nil // an error with the last bytes comes again, from an empty read
			}
			dl.drop()
			if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = errBroken // not an end of the content
			} else {
				err = fmt.Errorf("%w: %w", errBroken, err)
			}
			err = fmt.Errorf("%s: after %d of %d bytes: %w", dl.d.Digest, dl.off, dl.d.Size, err)
		}
		if err := dl.again(err); err != nil {
			return 0, err
		}
	}
}

// again pauses before another attempt, or returns err if there is to be none.
func (dl *download) again(err error) error {
	if dl.ctx.Err() != nil {
		return context.Cause(dl.ctx)
	}
	if !passing(err) && !refused(err) || dl.failed >= maxRetries {
		return err
	}
	dl.failed++
	return dl.repo.client.wait(dl.ctx, dl.failed-1)
}

// open connects, unless it is connected, and asks for the bytes from off on.
func (dl *download) open() error {
	if dl.body != nil || dl.d.Size == 0 {
		return nil
	}
	req, err := http.NewRequestWithContext(dl.ctx, http.MethodGet, dl.repo.url("blobs/"+dl.d.Digest.String()), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept-Encoding", "identity") // the digest is of these bytes
	if dl.off > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", dl.off))
	}
	do := dl.repo.client.auth.Do
	if dl.failed > 0 {
		do = dl.repo.client.once.Do // Read counts the attempts
	}
	resp, err := do(req)
	if err != nil {
		return err
	}
	if err := dl.check(resp); err != nil {
		resp.Body.Close()
		return err
	}
	dl.body = resp.Body
	return nil
}

// check looks at the answer to a GET and leaves its body at off.
func (dl *download) check(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusOK:
		if resp.ContentLength >= 0 && resp.ContentLength != dl.d.Size {
			return fmt.Errorf("%s: %w: %d bytes, not %d", dl.d.Digest, ErrAnswer, resp.ContentLength, dl.d.Size)
		}
		if _, err := io.CopyN(io.Discard, resp.Body, dl.off); err != nil {
			return fmt.Errorf("%s: %w: %w", dl.d.Digest, errBroken, err)
		}
		return nil
	case http.StatusPartialContent:
		if got := resp.Header.Get("Content-Range"); !strings.HasPrefix(got, fmt.Sprintf("bytes %d-", dl.off)) {
			return fmt.Errorf("%s: %w: range %q, asked for byte %d on", dl.d.Digest, ErrAnswer, got, dl.off)
		}
		return nil
	case http.StatusNotFound:
		return fmt.Errorf("%s: %w: %w", dl.d.Digest, ErrNotFound, answer(resp))
	default:
		return answer(resp)
	}
}

func (dl *download) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekStart {
		return dl.off, errors.New("a download seeks from its start only")
	}
	if offset != dl.off {
		dl.drop()
		dl.off = offset
	}
	return offset, nil
}

func (dl *download) drop() {
	if dl.body != nil {
		dl.body.Close()
		dl.body = nil
	}
}

func (dl *download) Close() error {
	dl.drop()
	return nil
}
