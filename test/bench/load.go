package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// load is what driving one operation showed.
type load struct {
	Ops      int           `json:"ops"`
	Elapsed  time.Duration `json:"elapsedNanoseconds"`
	CPU      time.Duration `json:"cpuNanoseconds"` // of the server
	P50, P99 time.Duration
	Allocs   float64 `json:"allocsPerOp"` // heap objects, -1 if the server does not say
}

// An operation does the i-th of a series of requests.
type operation func(ctx context.Context, i int) error

// drive runs op from several workers for about the given time, or exactly count
// times if count is above zero.
func drive(ctx context.Context, s *server, workers int, seconds float64, count int, op operation) (load, error) {
	// Connections, caches and the server's prepared statements are not part of it.
	for i := range min(2*workers, 32) {
		if count == 0 {
			if err := op(ctx, i); err != nil {
				return load{}, err
			}
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	deadline := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	allocs := s.allocations(ctx)
	before, err := s.cpu()
	if err != nil {
		return load{}, err
	}
	var next atomic.Int64
	times := make([][]time.Duration, workers)
	var wg sync.WaitGroup
	begin := time.Now()
	for w := range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if count > 0 && i >= count || count == 0 && time.Now().After(deadline) {
					return
				}
				t := time.Now()
				if err := op(ctx, i); err != nil {
					cancel(err)
					return
				}
				times[w] = append(times[w], time.Since(t))
			}
		})
	}
	wg.Wait()
	l := load{Elapsed: time.Since(begin), Allocs: -1}
	if err := context.Cause(ctx); err != nil {
		return l, err
	}
	after, err := s.cpu()
	if err != nil {
		return l, err
	}
	l.CPU = after - before
	all := slices.Concat(times...)
	if len(all) == 0 {
		return l, fmt.Errorf("no operation finished in %v", l.Elapsed)
	}
	slices.Sort(all)
	l.Ops, l.P50, l.P99 = len(all), all[len(all)/2], all[len(all)*99/100]
	if end := s.allocations(ctx); end >= 0 && allocs >= 0 {
		l.Allocs = (end - allocs) / float64(l.Ops)
	}
	return l, nil
}

// client is one for all workers, with a connection each.
var client = &http.Client{Transport: &http.Transport{
	MaxIdleConnsPerHost: 256, DisableCompression: true, ReadBufferSize: 64 << 10, WriteBufferSize: 64 << 10,
	DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
}}

// request sends one request and reads the whole answer, which must have the
// wanted status. Its Location is returned.
func request(ctx context.Context, want int, method, url string, body []byte, header ...string) (string, error) {
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, r)
	if err != nil {
		return "", err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 500)) // only for the message
		return "", fmt.Errorf("%s %s: %s, want %d: %s", method, req.URL.Path, resp.Status, want, b)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && method != http.MethodHead && resp.ContentLength >= 0 && n != resp.ContentLength {
		err = fmt.Errorf("%s %s: %d bytes of %d", method, req.URL.Path, n, resp.ContentLength)
	}
	return resp.Header.Get("Location"), err
}

// pushBlob does POST and PUT.
func pushBlob(ctx context.Context, base, repo, digest string, content []byte) error {
	location, err := request(ctx, http.StatusAccepted, http.MethodPost, base+"/v2/"+repo+"/blobs/uploads/", nil)
	if err != nil {
		return err
	}
	to, err := url.Parse(location)
	if err != nil {
		return err
	}
	from, err := url.Parse(base)
	if err != nil {
		return err
	}
	to = from.ResolveReference(to)
	sep := "?"
	if strings.Contains(to.String(), "?") {
		sep = "&"
	}
	_, err = request(ctx, http.StatusCreated, http.MethodPut, to.String()+sep+"digest="+url.QueryEscape(digest), content,
		"Content-Type", "application/octet-stream")
	return err
}
