//go:build !kms

package keyref

// openKMS is absent: the services' libraries are several times as large as all
// else.
var openKMS opener
