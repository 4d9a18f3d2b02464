package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// maxGroup bounds how many updates share one commit, and with it how long the
// first of them waits for the last.
const maxGroup = 64

// The committer is the only writer. It takes whatever updates are waiting, runs
// each in a savepoint of one transaction, commits once and only then answers.
// With one update waiting that is a plain transaction at once: groups form
// while an earlier commit waits for the disk.
//
// A savepoint gives each member its own outcome. Three things could still let
// one member harm the others, and are kept from it: a cancelled statement (it
// ends the whole transaction on both databases, so statements do not see the
// caller's cancellation), a panic, and a transaction that the database itself
// ended. After the last, every member runs again alone.
type committer struct {
	db    *DB
	queue chan *member
	work  chan []*member // for the worker
	idle  chan bool      // from the worker
	stop  chan struct{}
	done  chan struct{}
	once  sync.Once
}

// A member is one Update. The fields below answer belong to the committer.
type member struct {
	ctx    context.Context // the caller's
	fn     func(context.Context, *tx) error
	answer chan error // takes one without a reader
	once   bool       // cannot run again and may take long: has a transaction to itself

	running  bool
	answered bool
}

func (m *member) reply(err error) {
	m.running, m.answered = false, true
	m.answer <- err
}

func newCommitter(db *DB) *committer {
	c := &committer{
		db: db, queue: make(chan *member), work: make(chan []*member), idle: make(chan bool),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	go c.loop()
	go c.worker()
	return c
}

// close stops the committer after its running group. It reports whether this
// was the call that did.
func (c *committer) close() bool {
	first := false
	c.once.Do(func() {
		first = true
		close(c.stop)
	})
	<-c.done
	return first
}

func (c *committer) closed() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// A panicError carries a panic of an update's function to its caller.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Unwrap() error {
	err, _ := p.value.(error)
	return err
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v\n\n%s", p.value, p.stack) }

// errGoexit answers a function that ended the goroutine it ran in, which is not
// its caller's.
var errGoexit = errors.New("the update's function called runtime.Goexit; does a test call Fatal in it?")

// Update implements meta.DB.
func (db *DB) Update(ctx context.Context, fn func(context.Context, meta.Tx) error) error {
	return db.committer.update(ctx, func(ctx context.Context, t *tx) error { return fn(ctx, t) })
}

func (c *committer) update(ctx context.Context, fn func(context.Context, *tx) error) error {
	m := &member{ctx: ctx, fn: fn, answer: make(chan error, 1)}
	if err := c.enqueue(m); err != nil {
		return err
	}
	select {
	case err := <-m.answer:
		return raise(err)
	case <-ctx.Done():
		return ctx.Err() // the committer finds out, and undoes what it still can
	}
}

// alone runs fn exactly once, in a transaction without others or a time limit,
// and always waits for it.
func (c *committer) alone(ctx context.Context, fn func(context.Context, *tx) error) error {
	m := &member{ctx: ctx, fn: fn, answer: make(chan error, 1), once: true}
	if err := c.enqueue(m); err != nil {
		return err
	}
	return raise(<-m.answer)
}

func (c *committer) enqueue(m *member) error {
	if err := m.ctx.Err(); err != nil {
		return err
	}
	select {
	case c.queue <- m:
		return nil
	case <-c.stop:
		return meta.ErrClosed
	case <-m.ctx.Done():
		return m.ctx.Err()
	}
}

// raise panics in the caller's goroutine with what its function panicked with.
func raise(err error) error {
	if p, ok := errors.AsType[*panicError](err); ok {
		panic(p)
	}
	return err
}

func (c *committer) loop() {
	defer close(c.done)
	defer close(c.work)
	for {
		select {
		case m := <-c.queue:
			group, apart := c.gather(m)
			for len(group) > 0 {
				group = c.supervise(group)
			}
			if apart != nil {
				c.supervise([]*member{apart})
			}
		case <-c.stop:
			return
		}
	}
}

// gather adds to first whoever is waiting, up to one that wants to be apart.
func (c *committer) gather(first *member) (group []*member, apart *member) {
	if first.once {
		return nil, first
	}
	group = append(group, first)
	for len(group) < maxGroup {
		select {
		case m := <-c.queue:
			if m.once {
				return group, m
			}
			group = append(group, m)
		default:
			return group, nil
		}
	}
	return group, nil
}

// supervise has the worker run a group. A function that calls runtime.Goexit
// takes the worker with it; the members that are then still without an answer
// are returned.
func (c *committer) supervise(group []*member) []*member {
	c.work <- group
	if <-c.idle {
		return nil
	}
	go c.worker()
	var left []*member
	for _, m := range group {
		switch {
		case m.running:
			m.reply(errGoexit)
		case !m.answered:
			left = append(left, m)
		}
	}
	return left
}

// worker runs groups, one after the other: a goroutine for each would have to
// grow its stack every time. After each it sends true, or false as it ends with
// work undone.
func (c *committer) worker() {
	busy := false
	defer func() {
		if busy {
			c.idle <- false
		}
	}()
	for group := range c.work {
		busy = true
		c.run(group)
		busy = false
		c.idle <- true
	}
}

// run commits the group, and if its transaction is lost each member alone.
func (c *committer) run(group []*member) {
	err := c.commit(group)
	if err == nil {
		return
	}
	if group[0].once {
		group[0].reply(err)
		return
	}
	for _, m := range group {
		if err := c.commit([]*member{m}); err != nil {
			m.reply(err)
		}
	}
}

// commit runs the members in one transaction and answers them. An error means
// that the transaction is lost and that no one has been answered.
func (c *committer) commit(members []*member) (err error) {
	g, err := c.begin(members[0].once)
	if err != nil {
		return err
	}
	defer g.end()
	g.solo = len(members) == 1
	outcomes := make([]error, len(members))
	for i, m := range members {
		m.running = true
		outcomes[i], err = g.run(m)
		m.running = false
		if err != nil {
			return err
		}
	}
	if g.solo && outcomes[0] != nil {
		g.end()
		members[0].reply(outcomes[0])
		return nil
	}
	if err := g.tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", c.db.cfg.Wrap(err))
	}
	for i, m := range members {
		m.reply(outcomes[i])
	}
	return nil
}

// A group is a transaction of the writer.
type group struct {
	db     *DB
	tx     *sql.Tx
	stmts  map[string]*sql.Stmt // those used so far, bound to tx
	cancel context.CancelFunc
	solo   bool // has one member
}

func (c *committer) begin(unlimited bool) (*group, error) {
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if !c.db.cfg.Local && !unlimited {
		// The server may stop answering.
		ctx, cancel = context.WithTimeout(ctx, 2*c.db.cfg.Timeout)
	}
	sqltx, err := c.db.cfg.Write.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err == nil && c.db.cfg.Begin != "" {
		if _, err = sqltx.ExecContext(ctx, c.db.cfg.Begin); err != nil {
			_ = sqltx.Rollback() // the connection may be what failed
		}
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("begin: %w", c.db.cfg.Wrap(err))
	}
	return &group{db: c.db, tx: sqltx, stmts: map[string]*sql.Stmt{}, cancel: cancel}, nil
}

// end rolls back what is not committed and gives the connection back.
func (g *group) end() {
	_ = g.tx.Rollback() // after a commit there is nothing to do; a lost transaction has nothing to roll back
	g.cancel()
}

// run gives one member its savepoint. The second error means that the whole
// transaction is lost.
func (g *group) run(m *member) (outcome, lost error) {
	if err := m.ctx.Err(); err != nil {
		return err, nil
	}
	ctx := context.WithoutCancel(m.ctx)
	if !m.once {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, g.db.cfg.Timeout)
		defer cancel()
	}
	t := &tx{group: g, caller: m.ctx, ctx: ctx}
	t.reader = reader{q: t}
	if !g.solo {
		if err := t.control("savepoint"); err != nil {
			return nil, err
		}
	}
	outcome = t.call(m.fn)
	if outcome == nil {
		outcome = t.journal()
	}
	if outcome == nil {
		outcome = m.ctx.Err() // no one waits for it any more
	}
	if g.solo {
		return outcome, t.broken // there is no one to protect: the transaction is its savepoint
	}
	if outcome != nil {
		if err := t.control("undo"); err != nil {
			return nil, fmt.Errorf("%w after %w", err, outcome)
		}
	}
	return outcome, t.control("release")
}

// A tx is what one member does within its savepoint. It implements meta.Tx.
type tx struct {
	reader
	group    *group
	caller   context.Context // whose cancellation gives up between statements
	ctx      context.Context // that statements run with
	records  []meta.Record
	unlogged bool // leaves no journal row
	broken   error

	ids      map[string]int64 // of repositories that were looked up
	terms    map[string]int64 // likewise
	manifest struct {         // the last one put
		repo   int64
		digest digest.Digest
		id     int64
	}
	touched map[int64]touch // by repository; not yet written
}

// call runs fn. A statement that failed makes the member fail, whatever fn made
// of the error: PostgreSQL refuses everything after it, and SQLite may have
// undone everything before it.
func (t *tx) call(fn func(context.Context, *tx) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{value: v, stack: debug.Stack()}
		}
	}()
	if err := fn(t.ctx, t); err != nil {
		return err
	}
	if t.broken != nil {
		return t.broken
	}
	return t.flush(t.ctx)
}

// control runs a statement of group.sql.
func (t *tx) control(name string) error {
	if _, err := t.group.stmt(t.ctx, name).ExecContext(t.statementContext()); err != nil {
		return fmt.Errorf("%s: %w", name, t.group.db.cfg.Wrap(err))
	}
	return nil
}

// stmt binds a statement to the transaction, once.
func (g *group) stmt(ctx context.Context, name string) *sql.Stmt {
	s, ok := g.stmts[name]
	if !ok {
		s = g.tx.StmtContext(ctx, g.db.write.stmt(name))
		g.stmts[name] = s
	}
	return s
}

// statementContext never ends with the caller's context or with one that the
// member's function made.
func (t *tx) statementContext() context.Context {
	if t.group.db.cfg.Local {
		return context.WithoutCancel(t.ctx)
	}
	return t.ctx
}

// ready reports why no further statement may begin.
func (t *tx) ready(ctx context.Context) error {
	if t.broken != nil {
		return t.broken
	}
	for _, c := range []context.Context{ctx, t.ctx, t.caller} {
		if err := c.Err(); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) query(ctx context.Context, name string, params ...any) (*sql.Rows, error) {
	if err := t.ready(ctx); err != nil {
		return nil, err
	}
	rows, err := t.group.stmt(t.ctx, name).QueryContext(t.statementContext(), params...)
	if err != nil {
		return nil, t.fail(name, err)
	}
	return rows, nil
}

// exec returns how many rows the statement changed.
func (t *tx) exec(ctx context.Context, name string, params ...any) (int64, error) {
	if err := t.ready(ctx); err != nil {
		return 0, err
	}
	res, err := t.group.stmt(t.ctx, name).ExecContext(t.statementContext(), params...)
	if err != nil {
		return 0, t.fail(name, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, t.fail(name, err)
	}
	return n, nil
}

func (t *tx) fail(name string, err error) error {
	err = fmt.Errorf("%s: %w", name, t.group.db.cfg.Wrap(err))
	if t.broken == nil {
		t.broken = err
	}
	return err
}
