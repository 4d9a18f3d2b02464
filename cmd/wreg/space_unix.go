//go:build unix

package main

import "golang.org/x/sys/unix"

// freeBytes is what a user without privileges may still write in dir's file
// system.
func freeBytes(dir string) (free uint64, known bool, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, false, err
	}
	return uint64(s.Bavail) * uint64(s.Bsize), true, nil //nolint:unconvert // the types differ between systems
}
