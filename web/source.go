package web

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Source is where the pages get what they show. It is implemented by whoever
// serves them, over a registry or over a folder.
type Source interface {
	// View is what the sender of r may see; it asks nobody who sent no
	// credentials. Wrong credentials are ErrCredentials.
	View(r *http.Request) (View, error)
}

// View is a source through the eyes of one caller.
type View interface {
	// Name is who is looking, "" for an anonymous caller.
	Name() string

	// Packages lists at most limit packages whose names sort after the given one,
	// in byte order, and reports whether more follow.
	Packages(ctx context.Context, after string, limit int) (packages []Package, more bool, err error)
}

// Package is one entry of the list.
type Package struct {
	Name    string
	Tags    int       // how many there are
	Latest  string    // the tag written last, "" if there is none
	Updated time.Time // zero if unknown
}

// ErrCredentials says that a request's credentials prove nothing.
var ErrCredentials = errors.New("wrong credentials")
