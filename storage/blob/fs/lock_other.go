//go:build !unix

package fs

import (
	"errors"
	"os"
)

// acquire fails: without a lock that ends with the process, two servers could
// use one folder.
func acquire(path string) (*os.File, error) {
	return nil, &os.PathError{Op: "lock", Path: path, Err: errors.ErrUnsupported}
}
