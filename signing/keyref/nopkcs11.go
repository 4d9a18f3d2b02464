//go:build !pkcs11key

package keyref

// openPKCS11 is absent: PKCS #11 needs cgo.
var openPKCS11 opener
