package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// errSource says that what was to be uploaded could not be read.
var errSource = errors.New("read content to upload")

// upload moves one blob into a repository: by POST and one PUT if it is small,
// else by POST, a PATCH for each piece, and a PUT that closes. After an
// interruption it asks the server how far it came and goes on there.
type upload struct {
	repo *Repository
	d    ocispec.Descriptor
	src  source

	at    *url.URL // the session; nil when there is none
	off   int64    // bytes that the server has
	chunk int64    // bytes of a PATCH
	whole bool     // the server refuses PATCH: everything by one PUT
	blind bool     // off is a guess: the server would not say
}

func (r *Repository) upload(ctx context.Context, d ocispec.Descriptor, content io.Reader, session string) error {
	ctx = auth.AppendRepositoryScope(ctx, r.Reference, auth.ActionPull, auth.ActionPush)
	u := &upload{repo: r, d: d, src: source{r: content}, chunk: r.client.opts.Chunk}
	defer u.src.release()
	if session != "" {
		if err := u.move(r.url("blobs/uploads/"), session); err != nil {
			return err
		}
	}
	u.whole = d.Size <= u.chunk
	failed, best := 0, int64(0)
	for {
		done, err := u.step(ctx)
		if err == nil && done {
			return nil
		}
		if u.off > best {
			failed, best = 0, u.off
		}
		if err == nil {
			continue
		}
		if !u.recoverable(err) || failed >= maxRetries || ctx.Err() != nil {
			return fmt.Errorf("upload %s: %w", d.Digest, err)
		}
		if err := r.client.wait(ctx, failed); err != nil {
			return err
		}
		failed++
		if done, err := u.resume(ctx); err != nil || done {
			return err
		}
	}
}

// step makes the next request.
func (u *upload) step(ctx context.Context) (done bool, err error) {
	switch {
	case u.at == nil:
		return false, u.start(ctx)
	case u.whole || u.off == u.d.Size:
		return true, u.finish(ctx)
	default:
		return false, u.patch(ctx)
	}
}

// recoverable reports whether asking the server may lead on: the connection
// broke, the server is overloaded or being restarted, or it and we disagree
// about the session.
func (u *upload) recoverable(err error) bool {
	if u.at == nil {
		return passing(err)
	}
	var e *errcode.ErrorResponse
	if errors.As(err, &e) {
		switch e.StatusCode {
		case http.StatusRequestedRangeNotSatisfiable, http.StatusNotFound:
			return true
		}
	}
	return passing(err) || refused(err)
}

// start opens a session (end-4a).
func (u *upload) start(ctx context.Context) error {
	resp, err := u.send(ctx, http.MethodPost, u.repo.url("blobs/uploads/"), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return answer(resp)
	}
	if least, err := strconv.ParseInt(resp.Header.Get("OCI-Chunk-Min-Length"), 10, 64); err == nil && least > u.chunk {
		u.chunk = least
	}
	u.off = 0
	return u.moved(resp)
}

// patch sends the next piece (end-5).
func (u *upload) patch(ctx context.Context) error {
	n := min(u.chunk, u.d.Size-u.off)
	body, err := u.src.at(u.off, n)
	if err != nil {
		return err
	}
	resp, err := u.send(ctx, http.MethodPatch, u.at.String(), body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusAccepted, http.StatusNoContent, http.StatusCreated:
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		if u.off > 0 {
			return answer(resp)
		}
		// Some registries take a blob only in one piece.
		u.whole, u.at = true, nil
		return nil
	default:
		return answer(resp)
	}
	if err := u.moved(resp); err != nil {
		return err
	}
	off := u.off + n
	if got, ok := received(resp); ok && got < off {
		if got < u.off {
			return fmt.Errorf("%w: the registry has %d bytes after it had %d", ErrAnswer, got, u.off)
		}
		off = got
	}
	u.off, u.blind = off, false
	return nil
}

// finish sends the rest, if any, and closes the session (end-6).
func (u *upload) finish(ctx context.Context) error {
	at := *u.at
	q := at.Query()
	q.Set("digest", u.d.Digest.String())
	at.RawQuery = q.Encode()
	var body *piece
	if u.off < u.d.Size {
		var err error
		if body, err = u.src.at(u.off, u.d.Size-u.off); err != nil {
			return err
		}
	}
	resp, err := u.send(ctx, http.MethodPut, at.String(), body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return answer(resp)
	}
	if got := resp.Header.Get("Docker-Content-Digest"); got != "" && got != u.d.Digest.String() {
		return fmt.Errorf("%w: the registry stored %q", ErrDigest, got)
	}
	return nil
}

// resume finds out where to go on (end-13). An upload whose last request was
// done though its answer was lost is done.
func (u *upload) resume(ctx context.Context) (done bool, err error) {
	if u.at == nil {
		return false, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.at.String(), nil)
	if err != nil {
		return false, err
	}
	resp, err := u.repo.client.auth.Do(req)
	if err != nil {
		return false, fmt.Errorf("upload %s: %w", u.d.Digest, err)
	}
	defer resp.Body.Close()
	known := resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusOK
	switch got, ok := received(resp); {
	case known && ok && got <= u.d.Size:
		u.off, u.blind = got, false
		return false, u.moved(resp)
	case known && !ok && !u.blind:
		u.off, u.blind = 0, true // if it is wrong, the next answer is 416
		return false, u.moved(resp)
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return false, answer(resp)
	}
	// The session is gone, or tells nothing of use. It may be gone because the
	// blob is complete.
	if there, err := u.repo.Exists(ctx, u.d); err != nil || there {
		return there, err
	}
	u.at, u.off, u.blind = nil, 0, false
	return false, nil
}

// received reads how many bytes the registry says it has. "0-0" is one byte by
// the letter and none in practice, so it counts as unknown.
func received(resp *http.Response) (int64, bool) {
	from, to, ok := strings.Cut(strings.TrimPrefix(resp.Header.Get("Range"), "bytes="), "-")
	last, err := strconv.ParseInt(to, 10, 64)
	if !ok || from != "0" || err != nil || last < 1 {
		return 0, false
	}
	return last + 1, true
}

// moved follows the session to where an answer says it is now.
func (u *upload) moved(resp *http.Response) error {
	to := resp.Header.Get("Location")
	if to == "" {
		if u.at != nil {
			return nil
		}
		return fmt.Errorf("%w: a session without a Location", ErrAnswer)
	}
	return u.move(resp.Request.URL.String(), to)
}

// move sets the session to the URL to, relative to base. A registry spoken to
// over TLS cannot lead us away from it.
func (u *upload) move(base, to string) error {
	b, err := url.Parse(base)
	if err != nil {
		return err
	}
	at, err := b.Parse(to)
	if err != nil {
		return fmt.Errorf("%w: location %q: %w", ErrAnswer, to, err)
	}
	if at.Scheme != "https" && (at.Scheme != "http" || b.Scheme == "https") {
		return fmt.Errorf("%w: location %q after %s", ErrAnswer, to, b.Scheme)
	}
	u.at = at
	return nil
}

// send makes a request of the upload, once. A failure of reading body counts
// before what the transport made of it.
func (u *upload) send(ctx context.Context, method, to string, body *piece) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, to, http.NoBody)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Body = body
		req.ContentLength = body.n
		req.Header.Set("Content-Type", "application/octet-stream")
		req.GetBody = func() (io.ReadCloser, error) { return u.src.at(body.off, body.n) }
		if method == http.MethodPatch {
			req.Header.Set("Content-Range", fmt.Sprintf("%d-%d", body.off, body.off+body.n-1))
		}
	}
	resp, err := u.repo.client.once.Do(req)
	if failed := u.src.err(); failed != nil {
		if err == nil {
			resp.Body.Close()
		}
		return nil, fmt.Errorf("%w: %w", errSource, failed)
	}
	return resp, err
}

// mount asks for a blob of another repository and falls back to uploading it
// (end-11).
func (r *Repository) mount(ctx context.Context, d ocispec.Descriptor, from string, content func() (io.ReadCloser, error)) error {
	ctx = auth.AppendRepositoryScope(ctx, r.Reference, auth.ActionPull, auth.ActionPush)
	other := r.Reference
	other.Repository = from
	ctx = auth.AppendRepositoryScope(ctx, other, auth.ActionPull)
	q := url.Values{"mount": {d.Digest.String()}, "from": {from}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url("blobs/uploads/")+"?"+q.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := r.client.once.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	session := ""
	switch resp.StatusCode {
	case http.StatusCreated:
		return nil
	case http.StatusAccepted:
		session = resp.Header.Get("Location")
	case http.StatusUnauthorized:
		return answer(resp)
	}
	// Any other refusal is of the mount, not of the blob.
	rc, err := content()
	if err != nil {
		return err
	}
	defer rc.Close()
	return r.upload(ctx, d, rc, session)
}

// source hands out pieces of what is uploaded. Pieces are read by the transport,
// which may still read one after its request failed: taking the next piece cuts
// off the one before.
type source struct {
	r    io.Reader
	pos  int64
	last *piece
}

// at is the piece of n bytes from off on. Going back needs an [io.Seeker].
func (s *source) at(off, n int64) (*piece, error) {
	if s.last != nil {
		s.pos += s.last.cut()
		s.last = nil
	}
	if off != s.pos {
		seeker, ok := s.r.(io.Seeker)
		if !ok {
			return nil, fmt.Errorf("%w: byte %d is needed again, and it can be read once only", errSource, off)
		}
		if _, err := seeker.Seek(off, io.SeekStart); err != nil {
			return nil, fmt.Errorf("%w: %w", errSource, err)
		}
		s.pos = off
	}
	s.last = &piece{r: s.r, off: off, n: n}
	return s.last, nil
}

// err is what reading the last piece failed with.
func (s *source) err() error {
	if s.last == nil {
		return nil
	}
	s.last.mu.Lock()
	defer s.last.mu.Unlock()
	return s.last.failed
}

// release makes sure that nobody reads any more.
func (s *source) release() {
	if s.last != nil {
		s.last.cut()
	}
}

// piece is the body of one request.
type piece struct {
	off, n int64

	mu     sync.Mutex
	r      io.Reader // nil once cut off
	done   int64
	failed error
}

func (p *piece) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.r == nil {
		return 0, io.ErrClosedPipe
	}
	if p.done == p.n {
		return 0, io.EOF
	}
	n, err := p.r.Read(b[:min(int64(len(b)), p.n-p.done)])
	p.done += int64(n)
	switch {
	case p.done == p.n:
		err = io.EOF
	case errors.Is(err, io.EOF):
		err = fmt.Errorf("it ends %d bytes early", p.n-p.done)
		p.failed = err
	case err != nil:
		p.failed = err
	}
	return n, err
}

// Close does nothing: the reader belongs to who called Push.
func (p *piece) Close() error { return nil }

// cut ends the piece and says how many bytes were read of it.
func (p *piece) cut() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.r = nil
	return p.done
}
