//go:build !unix || solaris || aix

package sqlite

// lock does nothing where the standard library cannot lock files: a second
// server is then kept out only while the first one writes.
func lock(string) (unlock func() error, err error) {
	return func() error { return nil }, nil
}
