package main

import (
	"errors"
	"fmt"
	"syscall"

	blobfs "github.com/wreg-project/wreg/storage/blob/fs"
	"github.com/wreg-project/wreg/storage/gc"
	"github.com/wreg-project/wreg/storage/meta"
)

// hints say what to do about errors that a person meets at the start.
var hints = []struct {
	is   error
	hint string
}{
	{syscall.EADDRINUSE, "another program listens there: stop it, or choose another port with --listen"},
	{syscall.EADDRNOTAVAIL, "this machine has no such address: choose another with --listen"},
	{blobfs.ErrLocked, "another wreg uses this storage: stop it, or choose another folder with --data"},
	{meta.ErrLocked, "another wreg uses this database: stop it, or choose another folder with --data"},
	{gc.ErrBehind, "put the right database back, or move this one away and run 'wreg rebuild'"},
	{meta.ErrNotEmpty, "move the old database away first; rebuild fills an empty one"},
	{syscall.ENOSPC, "the disk is full: free some space"},
	{syscall.EROFS, "the file system is read-only"},
	{syscall.EACCES, "the user that wreg runs as may not do this: look at owner and permissions"},
}

// explain adds the hint that fits err.
func explain(err error) error {
	for _, h := range hints {
		if errors.Is(err, h.is) {
			return fmt.Errorf("%w\nhint: %s", err, h.hint)
		}
	}
	return err
}
