package meta

import (
	"context"
	"time"
)

// TrustReader reads what people have added over the API to what signatures are
// verified against. What an entry holds is not looked into here.
type TrustReader interface {
	// TrustRevision grows with every change of the entries: who has read them at this
	// revision has the current ones.
	TrustRevision(ctx context.Context) (int64, error)
	// TrustEntries are all of them, by name.
	TrustEntries(ctx context.Context) ([]TrustEntry, error)
}

// TrustWriter writes them. Entries are journaled, as nothing else could bring them
// back; revisions are not, and a rebuilt database counts them anew.
type TrustWriter interface {
	// PutTrust stores an entry in place of an earlier one of its name. The error is
	// ErrConflict if there are MaxTrustEntries already. What is beyond the bounds
	// below is refused, and so are texts that are not UTF-8 or have zero bytes.
	PutTrust(ctx context.Context, e TrustEntry) error
	// DeleteTrust removes one. ErrNotFound if there is none.
	DeleteTrust(ctx context.Context, name string) error
}

// Bounds of trust entries.
const (
	MaxTrustEntries = 256
	MaxTrustName    = 128     // bytes of a name or kind
	MaxTrustContent = 1 << 20 // bytes
)

// TrustEntry is a key or root that signatures are verified against.
type TrustEntry struct {
	Name      string    `json:"name"`
	Kind      string    `json:"kind,omitempty"` // of registry/trust: "key" or "root"
	Content   string    `json:"content,omitempty"`
	NotBefore time.Time `json:"notBefore,omitzero"` // zero for always
	NotAfter  time.Time `json:"notAfter,omitzero"`  // likewise
	Author    string    `json:"author,omitempty"`
	Created   time.Time `json:"created,omitzero"`
}
