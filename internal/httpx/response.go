package httpx

import (
	"io"
	"net/http"
	"time"
)

// chunk is how many bytes of a file may be sent before the deadline moves on:
// as many as the kernel takes in one call, so it costs no call of its own.
const chunk = 4 << 20

// rolling moves a connection's deadline on while bytes flow.
type rolling struct {
	w     http.ResponseWriter
	stall time.Duration
	last  time.Time
}

// due reports whether the deadline has to move, at most once a second and once
// every quarter of the time allowed.
func (d *rolling) due() (time.Time, bool) {
	if d.stall <= 0 {
		return time.Time{}, false
	}
	now := time.Now()
	if now.Sub(d.last) < min(time.Second, d.stall/4) {
		return time.Time{}, false
	}
	d.last = now
	return now.Add(d.stall), true
}

// A failed SetDeadline is ignored below: a test's recorder has none, and on a
// connection it means that the next Read or Write fails anyway.

func (d *rolling) moveRead() {
	if t, ok := d.due(); ok {
		_ = http.NewResponseController(d.w).SetReadDeadline(t)
	}
}

func (d *rolling) moveWrite() {
	if t, ok := d.due(); ok {
		_ = http.NewResponseController(d.w).SetWriteDeadline(t)
	}
}

// requestBody counts and moves the read deadline on. At its end the deadline is
// lifted: the server goes on reading, to notice that the client has left, and
// a deadline would look just like that to a handler that takes its time.
type requestBody struct {
	io.ReadCloser
	rolling
	received int64
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.moveRead()
	n, err := b.ReadCloser.Read(p)
	b.received += int64(n)
	if err != nil && b.stall > 0 {
		_ = http.NewResponseController(b.w).SetReadDeadline(time.Time{})
	}
	return n, err
}

// response notes status and size, and moves the write deadline on. It must keep
// ReadFrom, by which net/http sends files without copying them.
type response struct {
	http.ResponseWriter
	rolling
	status int
	sent   int64
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.moveWrite()
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	w.begin()
	n, err := w.ResponseWriter.Write(p)
	w.sent += int64(n)
	return n, err
}

// Flush is for code that asks for http.Flusher.
func (w *response) Flush() {
	w.begin()
	_ = http.NewResponseController(w.ResponseWriter).Flush() // what cannot flush has not buffered
}

func (w *response) begin() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.moveWrite()
}

// ReadFrom sends src in chunks, so that the deadline holds for each and not for
// the whole. A LimitedReader is taken apart, since net/http looks through one
// of them for the file, and not through two.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	w.begin()
	to, ok := w.ResponseWriter.(io.ReaderFrom)
	if !ok { // HTTP/2, or a recorder
		return io.Copy(struct{ io.Writer }{w}, src)
	}
	whole, limited := src.(*io.LimitedReader)
	var total int64
	for {
		part := &io.LimitedReader{R: src, N: chunk}
		if limited {
			part.R, part.N = whole.R, min(whole.N, chunk)
		}
		want := part.N
		if want <= 0 {
			return total, nil
		}
		n, err := to.ReadFrom(part)
		total += n
		w.sent += n
		if limited {
			whole.N -= n
		}
		if err != nil || n < want {
			return total, err
		}
		w.last = time.Time{} // a chunk has its own deadline, however fast the one before was
		w.moveWrite()
	}
}
