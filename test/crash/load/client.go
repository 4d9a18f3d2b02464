package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/wreg-project/wreg/test/crash/disk"
)

// Client speaks to one registry. It is safe for concurrent use.
type Client struct {
	Base   string // "http://127.0.0.1:5080"
	Ledger *Ledger

	// Faulty says that the registry's disk fails on purpose: errors of the 5xx
	// kind are what has to come, in the specification's form.
	Faulty bool

	// OnAck is called after each acknowledged write with their number so far.
	OnAck func(acks int)

	http     *http.Client
	mu       sync.Mutex
	problems []string
	faults   int
}

// NewClient is a client of the registry at base.
func NewClient(base string, l *Ledger) *Client {
	return &Client{Base: base, Ledger: l, http: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
		Timeout:   time.Minute, // an answer that takes longer is a hang
		// Nothing of wreg's redirects while it has no remote storage.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Problems are the answers that no registry should give, at most 50 of them.
func (c *Client) Problems() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.problems)
}

// Faults counts answers of the 5xx kind.
func (c *Client) Faults() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.faults
}

func (c *Client) problem(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.problems) < 50 {
		c.problems = append(c.problems, fmt.Sprintf(format, args...))
	}
}

// errGone is the end of a worker's registry: it was killed, or its machine.
var errGone = errors.New("the registry is gone")

// errFailed is a request that got a 5xx.
var errFailed = errors.New("the registry failed")

type request struct {
	method, path string // path below Base, or a Location
	header       http.Header
	body         []byte
	effects      []Effect // of a write that counts once it is answered
	want         []int    // statuses that are right; others but 5xx are problems
}

type response struct {
	status int
	header http.Header
	body   []byte
}

// maxBody bounds an answer in bytes; the largest blob of the tests is smaller.
const maxBody = 64 << 20

// do sends a request. A status that is not wanted is a problem and errFailed.
func (c *Client) do(ctx context.Context, r request) (response, error) {
	address, err := c.resolve(r.path)
	if err != nil {
		c.problem("%s %s: %v", r.method, r.path, err)
		return response{}, errFailed
	}
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return response{}, err
	}
	req.GetBody = nil // a write that was cut off is not sent again behind our back
	for k, v := range r.header {
		req.Header[k] = v
	}
	var op *Op
	if len(r.effects) > 0 {
		op = c.Ledger.Begin(r.effects...)
		req.Header.Set(disk.OpHeader, strconv.Itoa(op.Number))
	}
	got, err := c.send(req)
	if err != nil {
		return response{}, fmt.Errorf("%w: %w", errGone, err)
	}
	return got, c.judge(r, op, got)
}

func (c *Client) resolve(path string) (string, error) {
	base, err := url.Parse(c.Base)
	if err != nil {
		return "", err
	}
	u, err := base.Parse(path)
	if err != nil {
		return "", err
	}
	if u.Host != base.Host {
		return "", fmt.Errorf("leads to %s", u.Host)
	}
	return u.String(), nil
}

func (c *Client) send(req *http.Request) (response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return response{}, err
	}
	return response{resp.StatusCode, resp.Header, b}, nil
}

// judge settles what an answer says of a write, and complains of a wrong one.
func (c *Client) judge(r request, op *Op, got response) error {
	right := slices.Contains(r.want, got.status)
	if op != nil {
		switch {
		case got.status < 300:
			op.Ack()
			if c.OnAck != nil {
				c.OnAck(c.Ledger.Acks())
			}
		case got.status < 500:
			op.Refuse()
		}
	}
	if got.status >= 400 && r.method != http.MethodHead {
		if err := checkError(got); err != nil {
			c.problem("%s %s = %d: %v", r.method, r.path, got.status, err)
		}
	}
	if got.status >= 500 {
		c.mu.Lock()
		c.faults++
		c.mu.Unlock()
		if c.Faulty {
			return errFailed
		}
	}
	if !right {
		c.problem("%s %s = %d %.300s, want %v", r.method, r.path, got.status, got.body, r.want)
		return errFailed
	}
	return nil
}

// checkError holds an answer to the specification's form of errors.
func checkError(got response) error {
	var body struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(got.body, &body); err != nil {
		return fmt.Errorf("body %.100q: %w", got.body, err)
	}
	if len(body.Errors) == 0 || body.Errors[0].Code == "" {
		return fmt.Errorf("body %.100q names no error code", got.body)
	}
	return nil
}
