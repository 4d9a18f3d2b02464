package advisories

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/wreg-project/wreg/internal/durable"
)

// A database in a file belongs to the server that has it open. A command that wants
// something of it asks that server by a file in a folder that only the server's
// user can write: ID.ask has the [Request]. The server writes how far it is to
// ID.state, and the [Answer] to ID.answer. Whoever asked removes what is left.

// ErrNobody is of a request that no server takes.
var ErrNobody = errors.New("no server answers")

// A Request is what a command asks a server for.
type Request struct {
	Import []string `json:"import,omitempty"` // addresses, see ParseAddress; paths are absolute
	Shrink bool     `json:"shrink,omitempty"` // see Load
}

// An Answer is what became of it.
type Answer struct {
	Loaded []Outcome `json:"loaded,omitempty"` // of each import, in the order of the request
	Status Status    `json:"status"`           // after it
	Error  string    `json:"error,omitempty"`  // of the request as a whole
}

// An Outcome is one import.
type Outcome struct {
	Loaded
	Error string `json:"error,omitempty"` // why it failed, "" if it did not
}

// work is the content of ID.state.
type work struct {
	Source  string `json:"source"`
	Records int    `json:"records"`
}

const (
	askSuffix    = ".ask"
	stateSuffix  = ".state"
	answerSuffix = ".answer"

	maxRequest  = 1 << 20          // bytes of a file
	maxAsked    = 16               // requests that one look finds
	askPatience = 10 * time.Second // for a server to take a request
	askOld      = time.Hour        // after which a request is nobody's any more
)

// askDir is where requests lie, beside downloads.
func askDir(dir string) string { return filepath.Join(dir, "requests") }

// Ask has the server that works with the folder dir, that of its [Fetcher], do
// something, and waits until it is done. ErrNobody if no server takes the request
// within ten seconds. progress may be nil.
func Ask(ctx context.Context, dir string, r Request, progress func(source string, records int)) (Answer, error) {
	dir = askDir(dir)
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return Answer{}, err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return Answer{}, err
	}
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return Answer{}, err
	}
	base := filepath.Join(dir, hex.EncodeToString(id))
	defer func() {
		for _, suffix := range []string{askSuffix, stateSuffix, answerSuffix} {
			_ = os.Remove(base + suffix) // what is left goes with age
		}
	}()
	if err := durable.WriteFile(base+askSuffix, text, 0o600); err != nil {
		return Answer{}, err
	}
	return await(ctx, base, progress)
}

// await waits for the answer to a request.
func await(ctx context.Context, base string, progress func(string, int)) (Answer, error) {
	patience := time.Now().Add(askPatience)
	tick := time.NewTicker(askInterval / 10)
	defer tick.Stop()
	for {
		var a Answer
		err := readJSON(base+answerSuffix, &a)
		if !errors.Is(err, fs.ErrNotExist) {
			return a, err
		}
		var w work
		switch err := readJSON(base+stateSuffix, &w); {
		case err == nil && progress != nil:
			progress(w.Source, w.Records)
		case errors.Is(err, fs.ErrNotExist) && time.Now().After(patience):
			return Answer{}, ErrNobody
		}
		select {
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		case <-tick.C:
		}
	}
}

// readJSON reads a small file.
func readJSON(path string, v any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxRequest)).Decode(v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// answerAll does what commands asked for.
func (r *Refresher) answerAll(ctx context.Context) error {
	entries, err := os.ReadDir(askDir(r.Fetcher.Dir))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	var errs []error
	for _, e := range entries[:min(len(entries), maxAsked)] {
		base := filepath.Join(askDir(r.Fetcher.Dir), strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())))
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > askOld {
			errs = append(errs, os.Remove(filepath.Join(askDir(r.Fetcher.Dir), e.Name())))
			continue
		}
		if filepath.Ext(e.Name()) != askSuffix {
			continue
		}
		if err := r.answer(ctx, base); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// answer does one request. It takes the request first, so that none is done twice.
func (r *Refresher) answer(ctx context.Context, base string) error {
	var q Request
	err := readJSON(base+askSuffix, &q)
	if gone := os.Remove(base + askSuffix); gone != nil {
		return gone // who asked has given up
	}
	if err == nil {
		err = writeJSON(base+stateSuffix, work{})
	}
	var a Answer
	if err == nil {
		a, err = r.do(ctx, base, q)
	}
	if err != nil {
		a.Error = err.Error()
	}
	return writeJSON(base+answerSuffix, a)
}

func writeJSON(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return durable.WriteFile(path, text, 0o600)
}

func (r *Refresher) do(ctx context.Context, base string, q Request) (Answer, error) {
	var a Answer
	for _, text := range q.Import {
		address, err := ParseAddress(text)
		if err != nil {
			return a, err
		}
		told := time.Now()
		loaded, err := r.importer.From(ctx, &r.Fetcher, address, Load{Shrink: q.Shrink, Progress: func(records int) {
			if time.Since(told) > askInterval {
				told = time.Now()
				_ = writeJSON(base+stateSuffix, work{address.Source, records}) // it is only shown
			}
		}})
		out := Outcome{Loaded: loaded}
		if err != nil {
			out.Error = err.Error()
		}
		a.Loaded = append(a.Loaded, out)
	}
	var err error
	a.Status, err = ReadStatus(ctx, r.DB)
	return a, err
}
