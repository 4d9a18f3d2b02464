package metatest

import (
	"context"
	"fmt"
	"strings"

	"github.com/wreg-project/wreg/storage/meta"
)

// trusted is an entry made at the time of n.
func trusted(name, content string, n int) meta.TrustEntry {
	return meta.TrustEntry{Name: name, Kind: "key", Content: content, Author: "ann", Created: at(n)}
}

func (f *fixture) trust(es ...meta.TrustEntry) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error {
		for _, e := range es {
			if err := tx.PutTrust(ctx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *fixture) wantTrust(revision int64, expect ...meta.TrustEntry) {
	f.Helper()
	got, err := f.db.TrustEntries(f.Context())
	want(f, "TrustEntries()", got, err, expect)
	now, err := f.db.TrustRevision(f.Context())
	want(f, "TrustRevision()", now, err, revision)
}

var trustTests = []test{
	{"trust entries are listed by name, and each change raises the revision", func(f *fixture) {
		f.wantTrust(0)
		b, a := trusted("b", "PEM <&>\n", 1), trusted("a", "{}", 2)
		a.Kind, a.NotBefore, a.NotAfter = "root", at(10), at(20)
		f.trust(b, a)
		f.wantTrust(2, a, b)
		b.Content, b.Created, b.NotAfter = "other", at(3), at(4)
		f.trust(b)
		f.wantTrust(3, a, b)
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.DeleteTrust(ctx, "a") })
		f.wantTrust(4, b)
		f.failing("DeleteTrust() of none", meta.ErrNotFound, func(ctx context.Context, tx meta.Tx) error {
			return tx.DeleteTrust(ctx, "a")
		})
		f.wantTrust(4, b)
	}},
	{"there is a bound on trust entries, within which each can be replaced", func(f *fixture) {
		var all []meta.TrustEntry
		for i := range meta.MaxTrustEntries {
			all = append(all, trusted(fmt.Sprintf("%03d", i), "k", i))
		}
		f.trust(all...)
		f.failing("PutTrust() of one more", meta.ErrConflict, func(ctx context.Context, tx meta.Tx) error {
			return tx.PutTrust(ctx, trusted("one more", "k", 1))
		})
		all[7].Content = "new"
		f.trust(all[7])
		f.wantTrust(meta.MaxTrustEntries+1, all...)
	}},
	{"trust entries beyond a bound are refused", func(f *fixture) {
		for name, e := range map[string]meta.TrustEntry{
			"no name":        trusted("", "k", 1),
			"a long name":    trusted(strings.Repeat("x", meta.MaxTrustName+1), "k", 1),
			"a long content": trusted("a", strings.Repeat("x", meta.MaxTrustContent+1), 1),
			"a zero byte":    trusted("a", "k\x00", 1),
			"no UTF-8":       trusted("a\xff", "k", 1),
		} {
			if err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error { return tx.PutTrust(ctx, e) }); err == nil {
				f.Errorf("PutTrust() with %s = nil, want an error", name)
			}
		}
		f.wantTrust(0)
	}},
	{"trust entries leave records, and come back by them", func(f *fixture) {
		a := trusted("a", "k", 1)
		a.NotAfter = at(9)
		f.update(func(ctx context.Context, tx meta.Tx) error {
			if err := tx.PutTrust(ctx, a); err != nil {
				return err
			}
			if err := tx.PutTrust(ctx, trusted("b", "k", 2)); err != nil {
				return err
			}
			return tx.DeleteTrust(ctx, "b")
		})
		es := f.entries()
		want(f, "sequences", sequences(es), nil, []int64{1})
		b := trusted("b", "k", 2)
		want(f, "records", f.records(es[0]), nil, []meta.Record{
			{Op: meta.OpPutTrust, Trust: &a}, {Op: meta.OpPutTrust, Trust: &b}, {Op: meta.OpDeleteTrust, Trust: &meta.TrustEntry{Name: "b"}},
		})
		other := f.second()
		if err := other.db.Replay(f.Context(), es[0]); err != nil {
			f.Fatalf("Replay() = %v", err)
		}
		other.wantTrust(3, a)
	}},
}
