package metatest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wreg-project/wreg/storage/meta"
)

// hold keeps the writer busy until release is called, so that updates which
// begin meanwhile become one group.
func (f *fixture) hold() (release func()) {
	f.Helper()
	busy, free, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() {
		done <- f.db.Update(context.WithoutCancel(f.Context()), func(context.Context, meta.Tx) error {
			once.Do(func() { close(busy) })
			<-free
			return nil
		})
	}()
	<-busy
	return func() {
		close(free)
		if err := <-done; err != nil {
			f.Errorf("Update() of the one who held the writer = %v", err)
		}
	}
}

// A writer is one update of a group, which pushes a tag of its own.
type writer struct {
	ctx  context.Context
	then func(context.Context, meta.Tx) error // after the push; nil for nothing
	runs int
	err  error
}

// together runs the writers as one group, or as near to it as can be seen from
// outside: all of them wait while the writer is held.
func (f *fixture) together(writers []*writer) {
	f.Helper()
	release := f.hold()
	var wg sync.WaitGroup
	var waiting atomic.Int32
	for i, w := range writers {
		if w.ctx == nil {
			w.ctx = f.Context()
		}
		wg.Go(func() {
			w.err = f.db.Update(announced{w.ctx, &waiting}, func(ctx context.Context, tx meta.Tx) error {
				w.runs++
				if err := putTagged(ctx, tx, "r", fmt.Sprint("w", i), fmt.Sprint("manifest ", i)); err != nil {
					return err
				}
				if w.then == nil {
					return nil
				}
				return w.then(ctx, tx)
			})
		})
	}
	f.eventually("all writers wait", func() bool { return int(waiting.Load()) >= len(writers) })
	release()
	wg.Wait()
}

// announced counts the updates that have come as far as asking whether they
// are cancelled, which is when they wait for the writer.
type announced struct {
	context.Context
	waiting *atomic.Int32
}

func (a announced) Done() <-chan struct{} {
	a.waiting.Add(1)
	return a.Context.Done()
}

// eventually polls until ok, for ten seconds.
func (f *fixture) eventually(what string, ok func() bool) {
	f.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			f.Fatalf("after 10 s not yet: %s", what)
		case <-tick.C:
		}
	}
}

// wantStored fails unless exactly the tags of these writers are there.
func (f *fixture) wantStored(writers []*writer, stored func(i int) bool) {
	f.Helper()
	var expect []string
	for i := range writers {
		if stored(i) {
			expect = append(expect, fmt.Sprint("w", i))
		}
	}
	slices.Sort(expect)
	got, err := f.db.Tags(f.Context(), "r", meta.Page{})
	if errors.Is(err, meta.ErrRepository) {
		err = nil
	}
	want(f, "Tags(r)", got, err, expect)
	written, _, err := f.db.JournalSequence(f.Context())
	want(f, "JournalSequence()", written, err, int64(len(expect)))
}

func eight() []*writer {
	ws := make([]*writer, 8)
	for i := range ws {
		ws[i] = &writer{}
	}
	return ws
}

var errOwn = errors.New("the function's own error")

var updateTests = []test{
	{"an update returns its function's error as it is and leaves nothing", func(f *fixture) {
		err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error {
			if err := putTagged(ctx, tx, "r", "v1", "m"); err != nil {
				return err
			}
			return errOwn
		})
		if err != errOwn { //nolint:errorlint // it has to be the same value
			f.Errorf("Update() = %v, want %v itself", err, errOwn)
		}
		f.wantStored(nil, nil)
	}},
	{"an update sees its own writes and every earlier one", func(f *fixture) {
		f.tag("r", "v1", "one")
		f.update(func(ctx context.Context, tx meta.Tx) error {
			if err := putTagged(ctx, tx, "r", "v2", "two"); err != nil {
				return err
			}
			tags, err := tx.Tags(ctx, "r", meta.Page{})
			want(f, "Tags(r) in the update", tags, err, []string{"v1", "v2"})
			m, err := tx.TaggedManifest(ctx, "r", "v2")
			want(f, "TaggedManifest(r, v2) in the update", m, err, manifest("r", "two").Manifest)
			return nil
		})
	}},
	{"a member that fails leaves no trace while its neighbours commit", func(f *fixture) {
		ws := eight()
		ws[3].then = func(context.Context, meta.Tx) error { return errOwn }
		ws[5].then = func(ctx context.Context, tx meta.Tx) error { return tx.PutTag(ctx, "r", "v", sum("absent"), start) }
		f.together(ws)
		for i, w := range ws {
			fails(f, fmt.Sprint("Update() of writer ", i), w.err, map[int]error{3: errOwn, 5: meta.ErrNotFound}[i])
		}
		f.wantStored(ws, func(i int) bool { return i != 3 && i != 5 })
	}},
	{"a member cancelled between its statements is undone alone", func(f *fixture) {
		ws := eight()
		ctx, cancel := context.WithCancel(f.Context())
		ws[7].ctx = ctx
		ws[7].then = func(ctx context.Context, tx meta.Tx) error {
			cancel()
			if ctx.Err() != nil {
				f.Errorf("the context of the function = %v, want it detached from the caller's", ctx.Err())
			}
			_, err := tx.Tags(ctx, "r", meta.Page{})
			return err
		}
		f.together(ws)
		fails(f, "Update() of the cancelled writer", ws[7].err, context.Canceled)
		f.tag("r", "w7", "manifest after") // orders the reads behind the group
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.DeleteTag(ctx, "r", "w7", false, start) })
		got, err := f.db.Tags(f.Context(), "r", meta.Page{})
		want(f, "Tags(r)", got, err, []string{"w0", "w1", "w2", "w3", "w4", "w5", "w6"})
		_, err = f.db.Manifest(f.Context(), "r", sum("manifest 7"))
		fails(f, "Manifest() of the cancelled writer", err, meta.ErrNotFound)
	}},
	{"a function's own cancelled context harms no neighbour", func(f *fixture) {
		ws := eight()
		ws[2].then = func(ctx context.Context, tx meta.Tx) error {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			_, err := tx.Tags(ctx, "r", meta.Page{})
			return err
		}
		f.together(ws)
		fails(f, "Update() of the writer with a cancelled context", ws[2].err, context.Canceled)
		f.wantStored(ws, func(i int) bool { return i != 2 })
	}},
	{"an update cancelled before it began never runs", func(f *fixture) {
		release := f.hold()
		ctx, cancel := context.WithCancel(f.Context())
		var waiting atomic.Int32
		ran := false
		done := make(chan error)
		go func() {
			done <- f.db.Update(announced{ctx, &waiting}, func(context.Context, meta.Tx) error {
				ran = true
				return nil
			})
		}()
		f.eventually("the update waits", func() bool { return waiting.Load() > 0 })
		cancel()
		fails(f, "Update() cancelled while it waits", <-done, context.Canceled)
		release()
		f.update(func(context.Context, meta.Tx) error { return nil })
		if ran {
			f.Error("the function of a cancelled update ran")
		}
	}},
	{"a panic reaches the caller of its update and no one else", func(f *fixture) {
		ws := eight()
		ws[4].then = func(context.Context, meta.Tx) error { panic("on purpose") }
		recovered := make(chan any, 1)
		inner := f.db
		f.db = catching{inner, recovered}
		f.together(ws)
		f.db = inner
		if got := fmt.Sprint(<-recovered); !strings.Contains(got, "on purpose") || !strings.Contains(got, "metatest") {
			f.Errorf("recovered %q, want the panic's value and its stack", got)
		}
		f.wantStored(ws, func(i int) bool { return i != 4 })
	}},
	{"a function that ends its goroutine is answered and harms no one", func(f *fixture) {
		ws := eight()
		ws[1].then = func(context.Context, meta.Tx) error {
			runtime.Goexit() // as a failing test does
			return nil
		}
		f.together(ws)
		if ws[1].err == nil {
			f.Error("Update() of a function that ended its goroutine = nil, want an error")
		}
		f.wantStored(ws, func(i int) bool { return i != 1 })
	}},
	{"a reader never sees half a transaction", func(f *fixture) {
		const repos = 3
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for last := -1; ; {
					select {
					case <-stop:
						return
					default:
					}
					packages, err := f.db.Packages(f.Context(), everything, meta.Page{})
					if err != nil || len(packages) != 0 && len(packages) != repos {
						f.Errorf("Packages() = %d packages, %v, want none or %d", len(packages), err, repos)
						return
					}
					for _, p := range packages {
						if p.Tags != packages[0].Tags || p.Tags < last {
							f.Errorf("Packages() = %+v after %d tags, want as many tags in each and not fewer", packages, last)
							return
						}
						last = packages[0].Tags
					}
				}
			})
		}
		for i := range 40 {
			f.update(func(ctx context.Context, tx meta.Tx) error {
				for r := range repos {
					if err := putTagged(ctx, tx, fmt.Sprint("r", r), fmt.Sprint("v", i), "m"); err != nil {
						return err
					}
				}
				return nil
			})
		}
		close(stop)
		wg.Wait()
	}},
	{"a closed database answers ErrClosed", func(f *fixture) {
		if err := f.db.Ping(f.Context()); err != nil {
			f.Errorf("Ping() = %v", err)
		}
		if err := f.db.Check(f.Context()); err != nil {
			f.Errorf("Check() = %v", err)
		}
		if err := f.db.Close(); err != nil {
			f.Fatalf("Close() = %v", err)
		}
		fails(f, "Ping()", f.db.Ping(f.Context()), meta.ErrClosed)
		_, err := f.db.Tags(f.Context(), "r", meta.Page{})
		fails(f, "Tags()", err, meta.ErrClosed)
		fails(f, "Update()", f.db.Update(f.Context(), func(context.Context, meta.Tx) error { return nil }), meta.ErrClosed)
		fails(f, "Dump()", f.db.Dump(f.Context(), &strings.Builder{}), meta.ErrClosed)
	}},
	{"a cancelled reader gets its context's error", func(f *fixture) {
		ctx, cancel := context.WithCancel(f.Context())
		cancel()
		_, err := f.db.Repositories(ctx, everything, meta.Page{})
		fails(f, "Repositories()", err, context.Canceled)
	}},
}

// catching turns a panic of Update into a value.
type catching struct {
	meta.DB
	recovered chan<- any
}

func (c catching) Update(ctx context.Context, fn func(context.Context, meta.Tx) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			c.recovered <- v
			err = fmt.Errorf("panicked")
		}
	}()
	return c.DB.Update(ctx, fn)
}

// RunFaults tests what updates do when statements fail under them. open makes
// an empty, migrated database whose connections go through the faults.
func RunFaults(t *testing.T, open func(t *testing.T, faults *Faults) meta.DB) {
	for _, tt := range faultTests {
		t.Run(tt.name, func(t *testing.T) {
			faults := &Faults{}
			db := open(t, faults)
			t.Cleanup(func() {
				if err := db.Close(); err != nil {
					t.Errorf("Close() = %v", err)
				}
			})
			tt.run(&fixture{T: t, db: db}, faults)
		})
	}
}

// nth does something at the nth statement that contains text, counted from one.
func nth(n int, text string, do func() error) func(string) error {
	var seen atomic.Int32
	return func(statement string) error {
		if strings.Contains(statement, text) && int(seen.Add(1)) == n {
			return do()
		}
		return nil
	}
}

func fault() error { return ErrFault }

var faultTests = []struct {
	name string
	run  func(*fixture, *Faults)
}{
	{"of eight in a group, one cancelled in mid-statement, seven are stored and the eighth is not", func(f *fixture, faults *Faults) {
		ws := eight()
		ctx, cancel := context.WithCancel(f.Context())
		ws[5].ctx = ctx
		ws[5].then = func(ctx context.Context, tx meta.Tx) error {
			faults.Before(nth(1, "INSERT INTO tags", func() error {
				cancel() // with the statement on its way
				return nil
			}))
			return tx.PutTag(ctx, "r", "in-flight", sum("manifest 5"), start)
		}
		f.together(ws)
		fails(f, "Update() of the cancelled writer", ws[5].err, context.Canceled)
		f.update(func(context.Context, meta.Tx) error { return nil }) // the group is over
		f.wantStored(ws, func(i int) bool { return i != 5 })
		for i, w := range ws {
			if i != 5 && (w.err != nil || w.runs != 1) {
				f.Errorf("writer %d ran %d times, Update() = %v; want once and no error", i, w.runs, w.err)
			}
		}
	}},
	{"when the commit fails every member runs again alone", func(f *fixture, faults *Faults) {
		ws := eight()
		ws[0].then = func(context.Context, meta.Tx) error {
			if ws[0].runs == 1 {
				faults.Before(nth(1, "COMMIT", fault))
			}
			return nil
		}
		ws[6].then = func(context.Context, meta.Tx) error { return errOwn }
		f.together(ws)
		for i, w := range ws {
			fails(f, fmt.Sprint("Update() of writer ", i), w.err, map[int]error{6: errOwn}[i])
			if w.runs != 2 {
				f.Errorf("writer %d ran %d times, want twice", i, w.runs)
			}
		}
		f.wantStored(ws, func(i int) bool { return i != 6 })
	}},
	{"when undoing fails the transaction is lost and every member runs again alone", func(f *fixture, faults *Faults) {
		ws := eight()
		ws[2].then = func(context.Context, meta.Tx) error {
			faults.Before(nth(1, "ROLLBACK TO", fault))
			return errOwn
		}
		f.together(ws)
		for i, w := range ws {
			fails(f, fmt.Sprint("Update() of writer ", i), w.err, map[int]error{2: errOwn}[i])
		}
		f.wantStored(ws, func(i int) bool { return i != 2 })
	}},
	{"a member whose commit fails again gets the error", func(f *fixture, faults *Faults) {
		faults.Before(func(statement string) error {
			if statement == "COMMIT" {
				return ErrFault
			}
			return nil
		})
		fails(f, "Update()", f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error {
			return putTagged(ctx, tx, "r", "v1", "m")
		}), ErrFault)
		faults.Before(nil)
		f.wantStored(nil, nil)
		f.tag("r", "v1", "m") // and the database goes on
	}},
	{"a member that hides a failed statement fails all the same", func(f *fixture, faults *Faults) {
		ws := eight()
		ws[4].then = func(ctx context.Context, tx meta.Tx) error {
			faults.Before(nth(1, "INSERT INTO tags", fault))
			if err := tx.PutTag(ctx, "r", "hidden", sum("manifest 4"), start); err == nil {
				f.Error("PutTag() with a failing statement = nil")
			}
			return nil
		}
		f.together(ws)
		fails(f, "Update() of the writer with the failed statement", ws[4].err, ErrFault)
		f.wantStored(ws, func(i int) bool { return i != 4 })
	}},
	{"a push whose nth statement fails is stored whole or not at all", func(f *fixture, faults *Faults) {
		push := func(i int) error {
			return f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error {
				b := blob(fmt.Sprint("blob ", i))
				if err := tx.LinkBlob(ctx, "r", b); err != nil {
					return err
				}
				return putTagged(ctx, tx, "r", fmt.Sprint("v", i), fmt.Sprint("m", i))
			})
		}
		failed := 0
		for n := 1; ; n++ {
			var count atomic.Int32
			before := f.undisturbed(faults)
			faults.Before(func(string) error {
				if int(count.Add(1)) >= n { // and all after it, so that running again does not help
					return ErrFault
				}
				return nil
			})
			err := push(n)
			after := f.undisturbed(faults)
			if err == nil {
				if failed < 8 {
					f.Errorf("a push needs %d statements, want more", failed)
				}
				return
			}
			failed++
			fails(f, fmt.Sprint("Update() with statement ", n, " failing"), err, ErrFault)
			if before != after {
				f.Errorf("statement %d of a push failed and left something:\n%s\nbefore:\n%s", n, after, before)
			}
			if n > 100 {
				f.Fatal("a push of more than 100 statements")
			}
		}
	}},
}

// undisturbed is a dump without faults.
func (f *fixture) undisturbed(faults *Faults) string {
	faults.Before(nil)
	return f.dump()
}
