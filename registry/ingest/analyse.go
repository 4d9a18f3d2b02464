package ingest

import (
	"bytes"
	"container/list"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/semaphore"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/registry/search"
	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// Findings are what is known about the bytes of one blob, whoever stores it. They
// are kept as the facts of a [meta.Analysis].
type Findings struct {
	Files []Finding `json:"files,omitempty"`

	// NotWasm is set for a blob that is no Wasm itself: what is wrong with it, for
	// a manifest that says it is, at byte zero.
	NotWasm string `json:"notWasm,omitempty"`

	// Limits are those that something in the blob was beyond.
	Limits *Limits `json:"limits,omitempty"`
}

// A Finding is one Wasm file in a blob, or something in it that could not be
// looked at.
type Finding struct {
	Path   string        `json:"path,omitempty"`   // within the archive that the blob is, "" for the blob itself
	Digest digest.Digest `json:"digest,omitempty"` // of the file, "" if it was not read
	Size   int64         `json:"size"`             // bytes, 0 if not known
	Wasm   bool          `json:"wasm"`             // whether it begins like Wasm; else it is an archive

	Report       policy.Report        `json:"report"`
	Capabilities *policy.Capabilities `json:"capabilities,omitempty"` // nil if the file is not valid

	// Offset is where the file is broken, -1 if it is not or the place is not known.
	Offset int64 `json:"offset"`

	// Full and FullSize describe the whole inspection report in its JSON form, ""
	// if there is none.
	Full     digest.Digest `json:"full,omitempty"`
	FullSize int64         `json:"fullSize,omitempty"` // bytes

	// Bill and BillSize describe the bill of materials, a sbom.Document in its JSON
	// form without the name of a package. It is "" for a file that is not valid, and
	// where BillProblem says why there is none.
	Bill        digest.Digest `json:"bill,omitempty"`
	BillSize    int64         `json:"billSize,omitempty"` // bytes
	BillProblem string        `json:"billProblem,omitempty"`

	// Symbols and SymbolsSize describe what was kept of the file's functions, for
	// scan.ReadSymbols. Of a file that has a bill and no symbols SymbolsProblem says
	// why.
	Symbols        digest.Digest `json:"symbols,omitempty"`
	SymbolsSize    int64         `json:"symbolsSize,omitempty"` // bytes
	SymbolsProblem string        `json:"symbolsProblem,omitempty"`
}

// analysis is all that one look at a blob brought, of which only the findings
// are kept.
type analysis struct {
	Findings
	made      []made   // beside Files
	functions []uint64 // hashes, a sample
	total     int      // functions in all files
	bills     int64    // bytes of the bills of materials of all files
}

// made is what was made of one file. What there is none of is nil.
type made struct {
	report []byte          // the whole report as JSON
	whole  *inspect.Report // the same, without tables of functions
	bill   []byte          // the bill of materials as JSON

	symbols []byte // of the functions
}

// weight is about the memory that an analysis takes, in bytes.
func (a *analysis) weight() int64 {
	n := int64(4096 + 8*len(a.functions))
	for _, m := range a.made {
		n += int64(len(m.report)) * 5 // what stands in it is in the findings as well, and in the report itself
		n += int64(len(m.bill) + len(m.symbols))
	}
	return n
}

// An analyser looks at blobs, at each once. What it finds is stored by digest,
// and the last results are held in memory, so that what was found out before a
// verdict need not be found out again after it.
type analyser struct {
	blobs  blob.Store
	meta   meta.DB
	log    *slog.Logger
	now    func() time.Time
	limits Limits

	memory   *semaphore.Weighted // bytes that analyses may take
	capacity int64

	ctx  context.Context // of all analyses: they outlive who asks for them
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	flights map[digest.Digest]*flight
	recent  recent

	stats stats
}

// A flight is an analysis under way. Whoever wants the same joins it.
type flight struct {
	done     chan struct{} // closed with result and err set
	result   *analysis
	err      error
	kept     chan struct{} // closed with keptErr set, later
	keptErr  error
	received meta.Blob

	once sync.Once
	keep chan struct{} // closed once somebody waits for kept
}

// memoryPerByte is about how many bytes it takes to analyse one of a module, the
// file itself included; measured with the largest modules known.
const memoryPerByte = 4

// analysisTimeout bounds one analysis; the limits end it long before.
const analysisTimeout = 15 * time.Minute

// recentBytes bounds what is held of the last results.
const recentBytes = 48 << 20

func newAnalyser(o Options) *analyser {
	ctx, stop := context.WithCancel(context.Background())
	return &analyser{
		blobs: o.Blobs, meta: o.Meta, log: o.Log, now: o.Clock, limits: o.Limits,
		memory: semaphore.NewWeighted(o.Memory), capacity: o.Memory,
		ctx: ctx, stop: stop, flights: map[digest.Digest]*flight{}, recent: recent{most: recentBytes},
	}
}

// close ends what runs and waits for it.
func (a *analyser) close() {
	a.stop()
	a.wg.Wait()
}

// findings tells what is known of b, and finds it out if nothing is. With kept it
// returns once that is stored.
func (a *analyser) findings(ctx context.Context, b meta.Blob, kept bool) (*Findings, error) {
	a.mu.Lock()
	if r := a.recent.get(b.Digest); r != nil {
		a.mu.Unlock()
		return &r.Findings, nil
	}
	a.mu.Unlock()
	f, err := a.stored(ctx, b.Digest)
	if f != nil || err != nil {
		return f, err
	}
	r, err := a.full(ctx, b, kept)
	if err != nil {
		return nil, err
	}
	return &r.Findings, nil
}

// stored reads findings from the database, nil if there are none that count.
func (a *analyser) stored(ctx context.Context, d digest.Digest) (*Findings, error) {
	row, err := a.meta.Analysis(ctx, d, Version)
	if errors.Is(err, meta.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("analysis of %s: %w", d, err)
	}
	var f Findings
	if err := json.Unmarshal(row.Facts, &f); err != nil {
		return nil, fmt.Errorf("analysis of %s: %w", d, err)
	}
	if f.Limits != nil && a.limits.exceeds(*f.Limits) {
		return nil, nil // there is more to see now
	}
	return &f, nil
}

// full analyses b, unless that was done just now. With kept it returns once the
// findings are stored. When ctx ends the analysis goes on for whoever comes next.
func (a *analyser) full(ctx context.Context, b meta.Blob, kept bool) (*analysis, error) {
	f, held := a.join(b)
	if f == nil {
		return held, nil
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("analysis of %s goes on: %w", b.Digest, ctx.Err())
	}
	if f.err != nil || !kept {
		return f.result, f.err
	}
	f.once.Do(func() { close(f.keep) })
	select {
	case <-f.kept:
		return f.result, f.keptErr
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// remembered is the report of one of the findings in d, nil if it is not held. It
// must not be changed.
func (a *analyser) remembered(d digest.Digest, index int) *inspect.Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r := a.recent.get(d); r != nil && index >= 0 && index < len(r.made) {
		return r.made[index].whole
	}
	return nil
}

// held is the last result about d, if it is still there and was not an error.
func (a *analyser) held(d digest.Digest) *analysis {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.flights[d]; f != nil {
		select {
		case <-f.done:
			return f.result // it is about to be stored
		default:
		}
	}
	return a.recent.get(d)
}

// join gives what is held of b, or else the flight that analyses it.
func (a *analyser) join(b meta.Blob) (*flight, *analysis) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.flights[b.Digest]; f != nil {
		return f, nil
	}
	if r := a.recent.get(b.Digest); r != nil {
		return nil, r
	}
	f := &flight{done: make(chan struct{}), kept: make(chan struct{}), keep: make(chan struct{}), received: b}
	a.flights[b.Digest] = f
	a.wg.Go(func() { a.fly(f) })
	return f, nil
}

// keepAfter is how long a result waits for the job behind its push to have it
// stored: the push itself comes first.
const keepAfter = 5 * time.Second

// fly is one analysis. Its result is told before it is stored, as a push need
// not wait for that.
func (a *analyser) fly(f *flight) {
	ctx, cancel := context.WithTimeout(a.ctx, analysisTimeout)
	defer cancel()
	d := f.received.Digest
	began := time.Now()
	f.result, f.err = a.analyse(ctx, f.received)
	a.stats.analyses.Add(1)
	a.stats.bytes.Add(f.received.Size)
	a.stats.nanosecond.Add(int64(time.Since(began)))
	close(f.done)
	if f.err == nil {
		select {
		case <-f.keep:
		case <-time.After(keepAfter):
		case <-ctx.Done():
		}
		f.keptErr = a.keep(ctx, d, f.result)
	}
	if f.keptErr != nil && ctx.Err() == nil {
		a.log.LogAttrs(ctx, slog.LevelWarn, "analysis not stored, it will be made again",
			slog.String("digest", d.String()), slog.Any("err", f.keptErr))
	}
	a.mu.Lock()
	delete(a.flights, d)
	if f.err == nil && f.keptErr == nil {
		a.recent.put(d, f.result)
	}
	a.mu.Unlock()
	close(f.kept)
}

// keep stores the findings and the functions they go with.
func (a *analyser) keep(ctx context.Context, d digest.Digest, r *analysis) error {
	facts, err := json.Marshal(r.Findings)
	if err != nil {
		return fmt.Errorf("analysis of %s: %w", d, err)
	}
	err = a.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		if r.total > 0 {
			if err := tx.PutFunctions(ctx, d, r.functions, r.total); err != nil {
				return err
			}
		}
		return tx.PutAnalysis(ctx, meta.Analysis{Digest: d, Version: Version, Facts: facts, Created: a.now().UTC()})
	})
	if err != nil {
		return fmt.Errorf("analysis of %s: %w", d, err)
	}
	return nil
}

// analyse looks through a blob.
func (a *analyser) analyse(ctx context.Context, b meta.Blob) (*analysis, error) {
	body, err := a.blobs.Open(ctx, blob.Key{Digest: b.Digest, Generation: b.Generation}, 0, -1)
	if err != nil {
		return nil, fmt.Errorf("blob %s is known but cannot be read: %w", b.Digest, err)
	}
	defer body.Close()
	r, err := a.look(ctx, b.Digest, b.Size, body)
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", b.Digest, err)
	}
	return r, nil
}

// look analyses size bytes of body, whose digest is d. Errors are those of
// reading body, and of ctx: whatever is wrong with the content is a finding.
func (a *analyser) look(ctx context.Context, d digest.Digest, size int64, body io.Reader) (*analysis, error) {
	r := &analysis{}
	functions := map[uint64]bool{}
	w := &walker{limits: a.limits}
	beyond := func(path string, size int64, wasm bool, err error) {
		if errors.Is(err, errLimit) {
			r.Limits = &a.limits
		}
		r.add(Finding{
			Path: path, Size: size, Wasm: wasm, Offset: -1, Report: policy.BrokenReport(size, fmt.Errorf("it cannot be inspected: %w", err)),
		}, made{})
	}
	w.beyond = func(path string, err error) { beyond(path, 0, false, err) }
	w.wasm = func(ctx context.Context, path string, size int64, body io.Reader) error {
		file, held, err := a.read(ctx, size, body)
		defer a.memory.Release(held)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case w.fatal != nil:
			return w.fatal
		case err != nil:
			beyond(path, max(size, 0), true, err)
			return nil
		}
		sum := d
		if path != "" || size < 0 {
			sum = digest.FromBytes(file)
		}
		a.inspect(ctx, r, path, sum, file, functions)
		return nil
	}
	src := &source{r: io.LimitReader(body, size), w: w}
	head := make([]byte, tarBlock)
	n, err := io.ReadFull(src, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	head = head[:n]
	if !bytes.HasPrefix(head, magicWasm) {
		if _, err := wasm.Header(head); err != nil {
			r.NotWasm = err.Error()
		}
	}
	err = w.walk(ctx, "", size, io.MultiReader(bytes.NewReader(head), src), 0)
	switch {
	case w.fatal != nil:
		return nil, w.fatal
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		beyond("", size, false, err)
	}
	for h := range functions {
		r.functions = append(r.functions, h)
	}
	slices.Sort(r.functions)
	r.functions = r.functions[:min(len(r.functions), search.MaxFunctions)]
	return r, nil
}

func (r *analysis) add(f Finding, m made) {
	r.Files = append(r.Files, f)
	r.made = append(r.made, m)
}

// read takes a Wasm file into memory, once there is room for its analysis. The
// caller releases held, whatever else is returned.
func (a *analyser) read(ctx context.Context, size int64, body io.Reader) (file []byte, held int64, err error) {
	limit := a.limits.MaxModule
	if size > limit {
		return nil, 0, fmt.Errorf("%w: %d bytes are more than %d", errLimit, size, limit)
	}
	room := size
	if room < 0 {
		room = limit
	}
	held = min(room*memoryPerByte, a.capacity)
	if err := a.memory.Acquire(ctx, held); err != nil {
		return nil, 0, err
	}
	var b bytes.Buffer
	if size >= 0 {
		b.Grow(int(size) + bytes.MinRead)
	}
	if _, err := b.ReadFrom(io.LimitReader(body, room+1)); err != nil {
		return nil, held, err
	}
	switch n := int64(b.Len()); {
	case size >= 0 && n != size:
		return nil, held, fmt.Errorf("%d bytes where %d should be", n, size)
	case n > limit:
		return nil, held, fmt.Errorf("%w: more than %d bytes", errLimit, limit)
	default:
		if need := min(n*memoryPerByte, a.capacity); need < held {
			a.memory.Release(held - need)
			held = need
		}
	}
	return b.Bytes(), held, nil
}

// inspect adds what inspection finds in a file.
func (a *analyser) inspect(ctx context.Context, r *analysis, path string, d digest.Digest, file []byte, functions map[uint64]bool) {
	f := Finding{Path: path, Digest: d, Size: int64(len(file)), Wasm: true, Offset: -1}
	b, rep, err := a.inspectSafely(ctx, d, file)
	if err != nil {
		if at, ok := errors.AsType[*wasm.Error](err); ok {
			f.Offset = at.Offset
		}
		f.Report = policy.BrokenReport(f.Size, err)
		r.add(f, made{})
		return
	}
	hashes, total := search.Functions(rep)
	rep.Functions = nil
	for _, h := range hashes {
		functions[h] = true
	}
	r.total += total
	f.Report = policy.ReportFacts(rep)
	if rep.Kind == inspect.KindModule {
		if err := f.Report.HashExports(file); err != nil {
			f.Report = policy.BrokenReport(f.Size, err)
		}
	}
	capabilities := policy.CapabilityFacts(rep)
	f.Capabilities = &capabilities
	var text bytes.Buffer
	if err := rep.WriteJSON(&text); err != nil { // a buffer takes everything
		f.Report = policy.BrokenReport(f.Size, err)
	}
	m := made{report: bytes.Clone(text.Bytes()), whole: rep}
	f.Full, f.FullSize = digest.FromBytes(m.report), int64(len(m.report))
	a.bill(ctx, r, &f, &m, b)
	r.add(f, m)
}

// errPanicked is what inspection is wrong with, not the file.
var errPanicked = errors.New("inspection failed; the log of the registry tells more")

// safely makes of a panic a failure: a fault of the analysis must not stop the
// registry.
func (a *analyser) safely(ctx context.Context, doing string, d digest.Digest, fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			a.log.LogAttrs(ctx, slog.LevelError, "analysis panicked", slog.String("doing", doing), slog.String("digest", d.String()),
				slog.Any("err", p), slog.String("stack", string(debug.Stack())))
			err = errPanicked
		}
	}()
	return fn()
}

// inspectSafely parses and inspects a file.
func (a *analyser) inspectSafely(ctx context.Context, d digest.Digest, file []byte) (b *wasm.Binary, rep *inspect.Report, err error) {
	err = a.safely(ctx, "inspection", d, func() (err error) {
		if b, err = wasm.Parse(file); err != nil {
			return err
		}
		rep, err = inspect.Binary(b, inspect.Options{Functions: true})
		return err
	})
	return b, rep, err
}

// errFound ends a walk.
var errFound = errors.New("found")

// inspectOne inspects the file with the given digest in a blob in full, tables of
// functions and all. The caller calls release once it has dropped the report.
func (a *analyser) inspectOne(ctx context.Context, b meta.Blob, want digest.Digest) (rep *inspect.Report, release func(), err error) {
	body, err := a.blobs.Open(ctx, blob.Key{Digest: b.Digest, Generation: b.Generation}, 0, -1)
	if err != nil {
		return nil, nil, fmt.Errorf("blob %s is known but cannot be read: %w", b.Digest, err)
	}
	defer body.Close()
	err = meta.ErrNotFound
	w := &walker{limits: a.limits, beyond: func(string, error) {}}
	w.wasm = func(ctx context.Context, _ string, size int64, body io.Reader) error {
		file, held, rerr := a.read(ctx, size, body)
		if rerr != nil || digest.FromBytes(file) != want {
			a.memory.Release(held)
			return ctx.Err()
		}
		release = sync.OnceFunc(func() { a.memory.Release(held) })
		_, rep, err = a.inspectSafely(ctx, want, file)
		return errFound
	}
	walked := w.walk(ctx, "", b.Size, &source{r: io.LimitReader(body, b.Size), w: w}, 0)
	switch {
	case release != nil && err == nil:
		return rep, release, nil
	case release != nil:
		release()
	case w.fatal != nil:
		err = w.fatal
	case ctx.Err() != nil:
		err = walked
	}
	return nil, nil, fmt.Errorf("file %s in %s: %w", want, b.Digest, err)
}

// A source is the blob being read. That it fails is the storage's fault and no
// finding.
type source struct {
	r io.Reader
	w *walker
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.w.fatal = err
	}
	return n, err
}

// recent holds the last results up to a weight.
type recent struct {
	most, weight int64
	order        list.List // of *held, the last used in front
	byDigest     map[digest.Digest]*list.Element
}

type held struct {
	digest digest.Digest
	result *analysis
}

func (r *recent) get(d digest.Digest) *analysis {
	e := r.byDigest[d]
	if e == nil {
		return nil
	}
	r.order.MoveToFront(e)
	return e.Value.(*held).result
}

func (r *recent) put(d digest.Digest, a *analysis) {
	if a.weight() > r.most/2 || r.byDigest[d] != nil {
		return
	}
	if r.byDigest == nil {
		r.byDigest = map[digest.Digest]*list.Element{}
	}
	r.byDigest[d] = r.order.PushFront(&held{d, a})
	for r.weight += a.weight(); r.weight > r.most; {
		last := r.order.Back()
		old := r.order.Remove(last).(*held)
		delete(r.byDigest, old.digest)
		r.weight -= old.result.weight()
	}
}
