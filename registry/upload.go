package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// A Session names an open upload. Only the principal who began it, in the
// repository where it was begun, knows it: to others it does not exist.
type Session struct {
	Repo  string
	Owner policy.Principal
	ID    string
}

// A Chunk is content for an upload.
type Chunk struct {
	Body   io.Reader
	Length int64 // bytes that Body will give, -1 if that is not known
	// Start is where the chunk belongs and End its last byte, if Ranged; a chunk
	// without them goes behind what is there.
	Ranged     bool
	Start, End int64
}

// sessions are the uploads that are open in this process.
type sessions struct {
	mu     sync.Mutex
	open   map[string]*upload
	max    int
	expiry time.Duration
	now    func() time.Time
	log    *slog.Logger

	stop chan struct{}
	done chan struct{}
}

// upload is an open session. Its bytes get a place in the store only with the
// first of them: many clients begin an upload they never use, and the last
// request may bring both the content and the algorithm to hash it by.
type upload struct {
	Session
	alg  digest.Algorithm // "" until somebody says
	size atomic.Int64     // bytes received
	used atomic.Int64     // Unix time in nanoseconds of the last sign of life

	writing sync.Mutex // held while w is in use
	w       blob.Upload
	ended   bool
}

var errNoUpload = &Error{
	Code: BlobUploadUnknown, Message: "blob upload unknown to registry: it was never begun here, has ended or has expired",
}

func newSessions(o Options) *sessions {
	s := &sessions{
		open: map[string]*upload{}, max: o.MaxUploads, expiry: o.UploadExpiry, now: o.Clock, log: o.Log,
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	go s.janitor()
	return s
}

// janitor forgets uploads that lie idle. It runs until close.
func (s *sessions) janitor() {
	defer close(s.done)
	tick := time.NewTicker(max(s.expiry/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			s.expire()
		}
	}
}

func (s *sessions) expire() {
	limit := s.now().Add(-s.expiry).UnixNano()
	s.mu.Lock()
	var idle []*upload
	for _, u := range s.open {
		if u.used.Load() < limit {
			idle = append(idle, u)
		}
	}
	s.mu.Unlock()
	for _, u := range idle {
		if !u.writing.TryLock() {
			continue // somebody is at it after all
		}
		if u.used.Load() >= limit { // and was, until just now
			u.writing.Unlock()
			continue
		}
		size := u.size.Load()
		s.end(u)
		u.writing.Unlock()
		s.log.LogAttrs(context.Background(), slog.LevelInfo, "upload expired",
			slog.String("repo", u.Repo), slog.Int64("bytes", size))
	}
}

func (s *sessions) close() {
	close(s.stop)
	<-s.done
	s.mu.Lock()
	left := make([]*upload, 0, len(s.open))
	for _, u := range s.open {
		left = append(left, u)
	}
	s.mu.Unlock()
	for _, u := range left {
		u.writing.Lock()
		s.end(u)
		u.writing.Unlock()
	}
}

func (s *sessions) start(repo string, owner policy.Principal, alg digest.Algorithm) (*upload, error) {
	u := &upload{Session: Session{Repo: repo, Owner: owner, ID: rand.Text()}, alg: alg}
	u.used.Store(s.now().UnixNano())
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= s.max {
		return nil, &Error{
			Code: TooManyRequests, Message: "too many uploads are open: try again later", Detail: fields{"limit": s.max},
		}
	}
	s.open[u.ID] = u
	return u, nil
}

func (s *sessions) find(id Session) (*upload, error) {
	s.mu.Lock()
	u := s.open[id.ID]
	s.mu.Unlock()
	if u == nil || u.Session != id {
		return nil, errNoUpload
	}
	u.used.Store(s.now().UnixNano())
	return u, nil
}

// acquire finds an upload and makes the caller its only writer, until it
// unlocks u.writing.
func (s *sessions) acquire(id Session) (*upload, error) {
	u, err := s.find(id)
	if err != nil {
		return nil, err
	}
	if !u.writing.TryLock() {
		return nil, &Error{
			Code: BlobUploadInvalid, Message: "another request is writing to this upload", Err: ErrRange,
			Detail: fields{"received": u.size.Load()},
		}
	}
	if u.ended {
		u.writing.Unlock()
		return nil, errNoUpload
	}
	return u, nil
}

// end forgets u, whose writer the caller is.
func (s *sessions) end(u *upload) {
	s.mu.Lock()
	delete(s.open, u.ID)
	s.mu.Unlock()
	u.ended = true
	if u.w == nil {
		return
	}
	if err := u.w.Abort(); err != nil {
		s.log.LogAttrs(context.Background(), slog.LevelWarn, "upload left bytes behind",
			slog.String("repo", u.Repo), slog.Any("err", err))
	}
}

// OpenUploads is the number of uploads that are open.
func (r *Registry) OpenUploads() int {
	r.uploads.mu.Lock()
	defer r.uploads.mu.Unlock()
	return len(r.uploads.open)
}

// StartUpload opens an upload into repo. alg is what the client will give the
// digest in, "" if it did not say.
func (r *Registry) StartUpload(repo string, owner policy.Principal, alg digest.Algorithm) (Session, error) {
	u, err := r.uploads.start(repo, owner, alg)
	if err != nil {
		return Session{}, err
	}
	return u.Session, nil
}

// UploadSize is how many bytes an upload has received. It also counts as a sign
// of life.
func (r *Registry) UploadSize(id Session) (int64, error) {
	u, err := r.uploads.find(id)
	if err != nil {
		return 0, err
	}
	return u.size.Load(), nil
}

// AppendUpload adds a chunk and returns the bytes received in all. A chunk that
// does not begin where the last one ended is refused with ErrRange and changes
// nothing. When the chunk ends early, what came of it is kept: the client asks
// for UploadSize and goes on from there.
func (r *Registry) AppendUpload(ctx context.Context, id Session, c Chunk) (int64, error) {
	u, err := r.uploads.acquire(id)
	if err != nil {
		return 0, err
	}
	defer u.writing.Unlock()
	if err := r.append(ctx, u, c, u.alg); err != nil {
		return 0, err
	}
	return u.size.Load(), nil
}

// CancelUpload forgets an upload and what it received.
func (r *Registry) CancelUpload(id Session) error {
	u, err := r.uploads.acquire(id)
	if err != nil {
		return err
	}
	defer u.writing.Unlock()
	r.uploads.end(u)
	return nil
}

// FinishUpload adds a last chunk, which may be empty, and stores everything
// received as the blob d. Unless that last chunk is out of order or ends early,
// the upload is over, whatever the outcome.
func (r *Registry) FinishUpload(ctx context.Context, id Session, d digest.Digest, c Chunk) error {
	u, err := r.uploads.acquire(id)
	if err != nil {
		return err
	}
	defer u.writing.Unlock()
	alg := u.alg
	if alg == "" {
		alg = d.Algorithm()
	}
	if err := r.append(ctx, u, c, alg); err != nil {
		return err
	}
	defer r.uploads.end(u)
	if u.w == nil {
		if u.w, err = r.blobs.Create(ctx, alg); err != nil {
			return fmt.Errorf("upload into %s: %w", u.Repo, err)
		}
	}
	return r.storeBlob(ctx, u.Repo, d, u.w, u.Owner)
}

// append writes a chunk behind what u has. A failing store ends the upload,
// since what it holds is not known any more; so does a blob above the limit.
func (r *Registry) append(ctx context.Context, u *upload, c Chunk, alg digest.Algorithm) error {
	if err := checkRange(c, u.size.Load()); err != nil {
		return err
	}
	if c.Length == 0 || c.Body == nil {
		return nil
	}
	if u.w == nil {
		if alg == "" {
			alg = digest.SHA256
		}
		w, err := r.blobs.Create(ctx, alg)
		if err != nil {
			return fmt.Errorf("upload into %s: %w", u.Repo, err)
		}
		u.w = w
	}
	err := r.receive(u.w, c, func(n int) {
		u.size.Add(int64(n))
		u.used.Store(r.now().UnixNano())
	})
	var told *Error
	if err != nil && (!errors.As(err, &told) || errors.Is(err, ErrTooLarge)) {
		r.uploads.end(u)
	}
	if err != nil {
		return refused(err, "upload into %s", u.Repo)
	}
	return nil
}

// checkRange compares a chunk's range with what was received before and with
// its own length.
func checkRange(c Chunk, received int64) error {
	if !c.Ranged {
		return nil
	}
	if c.Start != received {
		return &Error{
			Code: BlobUploadInvalid, Message: "chunk out of order", Err: ErrRange,
			Detail: fields{"expected": received, "start": c.Start},
		}
	}
	if n := c.End - c.Start + 1; c.Length >= 0 && c.Length != n {
		return &Error{
			Code: SizeInvalid, Message: "Content-Length is not the length of Content-Range",
			Detail: fields{"contentLength": c.Length, "contentRange": n},
		}
	}
	return nil
}

// buffers are what bodies are copied through.
var buffers = sync.Pool{New: func() any { return new([128 << 10]byte) }}

// receive copies a chunk into w, telling wrote of every piece. It takes no more
// than the chunk's own length and the largest blob allow.
func (r *Registry) receive(w blob.Upload, c Chunk, wrote func(n int)) error {
	want := c.Length
	if c.Ranged {
		want = c.End - c.Start + 1
	}
	room := r.opts.MaxBlob - w.Size()
	if want > room {
		return TooLarge(SizeInvalid, "blob", r.opts.MaxBlob)
	}
	buf := buffers.Get().(*[128 << 10]byte)
	defer buffers.Put(buf)
	var got int64
	for {
		p := buf[:]
		if want >= 0 && want-got < int64(len(p)) {
			p = p[:want-got]
		}
		if want >= 0 && len(p) == 0 {
			return checkEnd(c, buf[:1])
		}
		n, err := c.Body.Read(p)
		if got += int64(n); got > room {
			return TooLarge(SizeInvalid, "blob", r.opts.MaxBlob)
		}
		if n > 0 {
			if _, err := w.Write(p[:n]); err != nil {
				return err
			}
			wrote(n)
		}
		switch {
		case err == nil || got == want: // a full chunk needs no look at what its reader says behind it
		case errors.Is(err, io.EOF) && want < 0:
			return nil
		default:
			return cutShort(want, got, err)
		}
	}
}

// checkEnd makes sure that a ranged chunk of unknown length has no more than its
// range.
func checkEnd(c Chunk, p []byte) error {
	if !c.Ranged || c.Length >= 0 {
		return nil
	}
	if n, _ := io.ReadFull(c.Body, p); n > 0 {
		return &Error{Code: SizeInvalid, Message: "the body is longer than its Content-Range"}
	}
	return nil
}

func cutShort(want, got int64, err error) error {
	detail := fields{"received": got}
	if want >= 0 {
		detail["expected"] = want
	}
	return &Error{Code: SizeInvalid, Message: "the body ended before its announced length", Detail: detail, Err: err}
}

// PushBlob stores the whole content of a blob in one go. length is what the
// client announced, -1 if it did not. When it fails nothing is kept.
func (r *Registry) PushBlob(ctx context.Context, repo string, d digest.Digest, body io.Reader, length int64, by policy.Principal) error {
	w, err := r.blobs.Create(ctx, d.Algorithm())
	if err != nil {
		return fmt.Errorf("upload into %s: %w", repo, err)
	}
	defer func() {
		if err := w.Abort(); err != nil {
			r.log.LogAttrs(ctx, slog.LevelWarn, "upload left bytes behind", slog.String("repo", repo), slog.Any("err", err))
		}
	}()
	if err := r.receive(w, Chunk{Body: body, Length: length}, func(int) {}); err != nil {
		return refused(err, "upload into %s", repo)
	}
	return r.storeBlob(ctx, repo, d, w, by)
}

// storeBlob makes repo hold what w received as d: first the bytes are durable,
// then the row. Bytes that are stored already are only compared, which proves
// that the client has them, and linked. The caller aborts w.
func (r *Registry) storeBlob(ctx context.Context, repo string, d digest.Digest, w blob.Upload, by policy.Principal) error {
	b, err := r.meta.FindBlob(ctx, d)
	if err != nil && !absent(err) {
		return fmt.Errorf("blob %s: %w", d, err)
	}
	if err == nil && b.State == meta.BlobLive {
		done, err := r.linkStored(ctx, repo, b, w, by)
		if done || err != nil {
			return err
		}
		if b, err = r.meta.FindBlob(ctx, d); err != nil && !absent(err) {
			return fmt.Errorf("blob %s: %w", d, err)
		}
	}
	next := meta.Blob{Digest: d, Size: w.Size(), State: meta.BlobLive, Since: r.now().UTC()}
	if b.Digest != "" {
		next.Generation = meta.NextGeneration(b)
	}
	err = w.Commit(ctx, blob.Key{Digest: d, Generation: next.Generation})
	if errors.Is(err, blob.ErrDigest) {
		return wrongDigest(d, "content")
	}
	if err != nil {
		return fmt.Errorf("store blob %s: %w", d, err)
	}
	if err := r.link(ctx, repo, next, by); err != nil {
		return fmt.Errorf("link blob %s to %s: %w", d, repo, err)
	}
	return nil
}

// linkStored makes repo hold the live blob b if w received the same bytes. It
// is not done if b has gone meanwhile, or if its bytes have: then the upload
// replaces them.
func (r *Registry) linkStored(ctx context.Context, repo string, b meta.Blob, w blob.Upload, by policy.Principal) (done bool, err error) {
	if w.Size() != b.Size {
		return false, wrongDigest(b.Digest, "content")
	}
	if err := w.Verify(ctx, b.Digest); errors.Is(err, blob.ErrDigest) {
		return false, wrongDigest(b.Digest, "content")
	} else if err != nil {
		return false, fmt.Errorf("blob %s: %w", b.Digest, err)
	}
	key := blob.Key{Digest: b.Digest, Generation: b.Generation}
	info, err := r.blobs.Stat(ctx, key)
	if errors.Is(err, blob.ErrNotFound) || err == nil && info.Size != b.Size {
		r.log.LogAttrs(ctx, slog.LevelError, "bytes of a live blob are missing or damaged, storing them anew",
			slog.String("digest", b.Digest.String()))
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("blob %s: %w", b.Digest, err)
	}
	err = r.link(ctx, repo, b, by)
	if errors.Is(err, meta.ErrGeneration) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("link blob %s to %s: %w", b.Digest, repo, err)
	}
	return true, nil
}

func (r *Registry) link(ctx context.Context, repo string, b meta.Blob, by policy.Principal) error {
	b.Uploader = by.Name
	return r.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error { return tx.LinkBlob(ctx, repo, b) })
}

// MountBlob makes repo hold d, which the repository from holds, or, if from is
// "", any that v may see. It reports false if there is none, or if by may not
// see the blob there: then it has to be uploaded, by those who have it.
func (r *Registry) MountBlob(ctx context.Context, repo string, d digest.Digest, from string, v meta.Visibility, by Caller) (bool, error) {
	mounted := false
	err := r.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		mounted = false
		holder := from
		if holder == "" {
			var err error
			if holder, err = tx.BlobHolder(ctx, v, d); absent(err) {
				return nil
			} else if err != nil {
				return err
			}
		}
		b, err := tx.Blob(ctx, holder, d)
		if err == nil {
			err = r.checkGuard(ctx, tx, holder, b, by)
		}
		if absent(err) {
			return nil
		}
		if err != nil {
			return err
		}
		mounted, b.Uploader = true, by.Name
		return tx.LinkBlob(ctx, repo, b)
	})
	if err != nil {
		return false, fmt.Errorf("mount blob %s into %s: %w", d, repo, err)
	}
	return mounted, nil
}
