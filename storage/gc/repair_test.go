package gc

import (
	"context"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

func TestRepairFinishesWhatACrashInterrupted(t *testing.T) {
	w := newWorld(t)
	w.push("repo", "tag", "kept")
	d := w.pushBlob("repo", "layer")
	w.update(func(ctx context.Context, tx meta.Tx) error {
		if err := tx.UnlinkBlob(ctx, "repo", d); err != nil {
			return err
		}
		if err := tx.SetBlobState(ctx, d, 0, meta.BlobLive, meta.BlobCondemned, w.now); err != nil {
			return err
		}
		return tx.SetBlobState(ctx, d, 0, meta.BlobCondemned, meta.BlobDeleted, w.now)
	})
	want := Repaired{Deletions: 1, DeletedSize: 5}
	if got, err := Repair(t.Context(), w.db, w.store); err != nil || got != want || !got.Any() {
		t.Errorf("Repair() = %+v, %v; want %+v", got, err, want)
	}
	if w.holds(blob.Key{Digest: d}) {
		t.Error("Repair() left the bytes")
	}
	if got, err := Repair(t.Context(), w.db, w.store); err != nil || got.Any() {
		t.Errorf("second Repair() = %+v, %v; want nothing to do", got, err)
	}
	w.wantSound()
}

func TestRepairRemovesInterruptedUploads(t *testing.T) {
	w := newWorld(t)
	w.store = openFS(t, t.TempDir())
	u, err := w.store.Create(t.Context(), digest.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write([]byte("half a la")); err != nil {
		t.Fatal(err)
	}
	got, err := Repair(t.Context(), w.db, w.store)
	if err != nil || got.Uploads != 1 || got.UploadBytes != 9 {
		t.Errorf("Repair() = %+v, %v; want one upload removed", got, err)
	}
}
