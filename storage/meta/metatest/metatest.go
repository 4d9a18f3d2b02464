// Package metatest is the contract of meta.DB as a test. Every driver runs it.
package metatest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// Run tests the databases that open makes: each is empty, migrated, and closed
// by Run.
func Run(t *testing.T, open func(t *testing.T) meta.DB) {
	run := func(name string, test func(*fixture)) {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			t.Cleanup(func() {
				if err := db.Close(); err != nil {
					t.Errorf("Close() = %v", err)
				}
			})
			test(&fixture{T: t, db: db, open: open})
		})
	}
	for _, group := range [][]test{
		repositoryTests, manifestTests, tagTests, blobTests, updateTests, journalTests, dumpTests, jobTests, analysisTests, verdictTests,
		policyTests, approvalTests, decisionTests, quarantineTests, versionTests, noticeTests, downloadTests, eventTests, documentTests,
		componentTests, advisoryTests, findingTests, signatureTests, trustTests, aotTests,
	} {
		for _, tt := range group {
			run(tt.name, tt.run)
		}
	}
}

// A test is one sentence of the contract.
type test struct {
	name string
	run  func(*fixture)
}

// A fixture is a database with shorthands for filling it. They fail the test.
type fixture struct {
	*testing.T
	db   meta.DB
	open func(*testing.T) meta.DB // makes another
}

// start is a time that no clock rounds: microseconds are kept.
var start = time.Date(2026, 3, 4, 5, 6, 7, 89_000, time.UTC)

// at is n seconds later.
func at(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }

// sum is the digest of some text.
func sum(text string) digest.Digest {
	h := sha256.Sum256([]byte(text))
	return digest.NewDigestFromEncoded(digest.SHA256, hex.EncodeToString(h[:]))
}

var everything = meta.Visibility{Everything: true}

func (f *fixture) update(fn func(context.Context, meta.Tx) error) {
	f.Helper()
	if err := f.db.Update(f.Context(), fn); err != nil {
		f.Fatalf("Update() = %v", err)
	}
}

// manifest is a manifest whose content is text.
func manifest(repo, text string) meta.NewManifest {
	return meta.NewManifest{Manifest: meta.Manifest{
		Repo: repo, Digest: sum(text), MediaType: "application/vnd.oci.image.manifest.v1+json", Content: []byte(text), Created: start,
	}}
}

func (f *fixture) put(ms ...meta.NewManifest) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error {
		for _, m := range ms {
			if _, err := tx.PutManifest(ctx, m); err != nil {
				return err
			}
		}
		return nil
	})
}

// tag puts a manifest of that text and tags it.
func (f *fixture) tag(repo, name, text string) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error { return putTagged(ctx, tx, repo, name, text) })
}

func putTagged(ctx context.Context, tx meta.Tx, repo, name, text string) error {
	if _, err := tx.PutManifest(ctx, manifest(repo, text)); err != nil {
		return err
	}
	return tx.PutTag(ctx, repo, name, sum(text), start)
}

// link makes repo hold a live blob of that text.
func (f *fixture) link(repo, text string) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error { return tx.LinkBlob(ctx, repo, blob(text)) })
}

func blob(text string) meta.Blob {
	return meta.Blob{Digest: sum(text), Size: int64(len(text)), Since: start}
}

// want fails if got differs from want, which is printed with what was called.
func want[T any](f *fixture, call string, got T, err error, want T) {
	f.Helper()
	if err != nil {
		f.Fatalf("%s = %v", call, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("%s: want -, got +\n%s", call, diff)
	}
}

// fails fails the test if err is not the wanted error.
func fails(f *fixture, call string, err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Errorf("%s = %v, want %v", call, err, want)
	}
}

// failing runs one write that has to fail.
func (f *fixture) failing(call string, want error, fn func(context.Context, meta.Tx) error) {
	f.Helper()
	fails(f, call, f.db.Update(f.Context(), fn), want)
}

func (f *fixture) dump() string {
	f.Helper()
	var b strings.Builder
	if err := f.db.Dump(f.Context(), &b); err != nil {
		f.Fatalf("Dump() = %v", err)
	}
	return b.String()
}

// rows is a dump without its header.
func rows(dump string) string {
	_, rest, _ := strings.Cut(dump, "\n")
	return rest
}
