package metatest

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"
)

// ErrFault is what a statement fails with that Faults was told to break.
var ErrFault = errors.New("injected fault")

// Faults sits between package sql and a driver and makes chosen statements
// fail. The zero value lets all of them pass.
type Faults struct {
	mu     sync.Mutex
	before func(statement string) error
}

// Before calls hook before each statement, "BEGIN" and "COMMIT" included; an
// error of it is the statement's, which then does not run. A commit that does
// not run is rolled back. nil ends it.
func (f *Faults) Before(hook func(statement string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = hook
}

func (f *Faults) check(statement string) error {
	f.mu.Lock()
	hook := f.before
	f.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(statement)
}

// Wrap puts f before the connections of c.
func (f *Faults) Wrap(c driver.Connector) driver.Connector { return faultyConnector{c, f} }

type faultyConnector struct {
	driver.Connector
	faults *Faults
}

func (c faultyConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return faultyConn{conn.(fullConn), c.faults}, nil
}

// A fullConn is what both drivers' connections can do.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
}

type faultyConn struct {
	fullConn
	faults *Faults
}

// CheckNamedValue asks the driver, if it wants to be asked.
func (c faultyConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.fullConn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

// IsValid asks the driver, if it wants to be asked.
func (c faultyConn) IsValid() bool {
	v, ok := c.fullConn.(driver.Validator)
	return !ok || v.IsValid()
}

func (c faultyConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.faults.check("BEGIN"); err != nil {
		return nil, err
	}
	tx, err := c.fullConn.BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	return faultyTx{tx, c.faults}, nil
}

func (c faultyConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.fullConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return faultyStmt{s.(fullStmt), query, c.faults}, nil
}

type faultyTx struct {
	driver.Tx
	faults *Faults
}

func (t faultyTx) Commit() error {
	if err := t.faults.check("COMMIT"); err != nil {
		return errors.Join(err, t.Rollback())
	}
	return t.Tx.Commit()
}

type fullStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type faultyStmt struct {
	fullStmt
	query  string
	faults *Faults
}

func (s faultyStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := s.faults.check(s.query); err != nil {
		return nil, err
	}
	return s.fullStmt.ExecContext(ctx, args)
}

func (s faultyStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := s.faults.check(s.query); err != nil {
		return nil, err
	}
	return s.fullStmt.QueryContext(ctx, args)
}
