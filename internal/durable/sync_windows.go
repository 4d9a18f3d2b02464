package durable

import "os"

// SyncDir checks that the folder dir is there. Windows has no call that syncs
// the names in a folder; NTFS journals them by itself.
func SyncDir(dir string) error {
	_, err := os.Stat(dir)
	return err
}
