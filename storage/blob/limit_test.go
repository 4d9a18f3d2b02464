package blob_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/blob/blobtest"
	"github.com/wreg-project/wreg/storage/blob/mem"
)

func reader(s string) func() io.Reader { return func() io.Reader { return strings.NewReader(s) } }

func TestLimitKeepsTheContract(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return blob.Limit(mem.New(), 600_000) })
}

func TestFaultsKeepTheContract(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return blobtest.NewFaults(mem.New()) })
}

func TestLimit(t *testing.T) {
	tests := []struct {
		name   string
		limit  int64
		writes []string
		err    error
	}{
		{name: "nothing", limit: 4},
		{name: "to the limit", limit: 4, writes: []string{"ab", "cd"}},
		{name: "an empty write at the limit", limit: 4, writes: []string{"abcd", ""}},
		{name: "one byte more", limit: 4, writes: []string{"ab", "cd", "e"}, err: blob.ErrTooLarge},
		{name: "one byte more at once", limit: 4, writes: []string{"abcde"}, err: blob.ErrTooLarge},
		{name: "no limit", limit: 0, writes: []string{strings.Repeat("x", 100_000)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := blob.Limit(mem.New(), tt.limit)
			u, err := store.Create(t.Context(), digest.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			for i, w := range tt.writes {
				_, err := u.Write([]byte(w))
				last := i == len(tt.writes)-1
				if want := tt.err; last && !errors.Is(err, want) || !last && err != nil {
					t.Fatalf("Write(%.10q) = %v; want %v from the last write", w, err, want)
				}
			}
			k := blob.Key{Digest: digest.FromString(strings.Join(tt.writes, ""))}
			if err := u.Verify(t.Context(), k.Digest); !errors.Is(err, tt.err) {
				t.Errorf("Verify = %v; want %v", err, tt.err)
			}
			if _, err := u.Write(nil); !errors.Is(err, tt.err) {
				t.Errorf("another Write = %v; want %v", err, tt.err)
			}
			if err := u.Commit(t.Context(), k); !errors.Is(err, tt.err) {
				t.Errorf("Commit = %v; want %v", err, tt.err)
			}
			if _, err := store.Stat(t.Context(), k); (err == nil) != (tt.err == nil) {
				t.Errorf("Stat after Commit = %v; want the blob stored: %t", err, tt.err == nil)
			}
		})
	}
}

func TestLimitPassesAddressesOn(t *testing.T) {
	// Faults is a Locator that has no addresses, and fails when told to.
	faults := blobtest.NewFaults(mem.New())
	l, ok := blob.Limit(faults, 1).(blob.Locator)
	if !ok {
		t.Fatal("a limited store is no Locator")
	}
	k := blob.Key{Digest: digest.FromString("x")}
	if u, err := l.URL(t.Context(), k, time.Minute); u != "" || err != nil {
		t.Errorf("URL = %q, %v; want none", u, err)
	}
	want := errors.New("no keys")
	faults.Fail(blobtest.OpURL, 1, want)
	if _, err := l.URL(t.Context(), k, time.Minute); !errors.Is(err, want) {
		t.Errorf("URL = %v; want %v", err, want)
	}
}
