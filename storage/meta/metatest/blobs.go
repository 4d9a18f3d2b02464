package metatest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

func sortDigests(ds []digest.Digest) { slices.Sort(ds) }

func sortReferrers(rs []meta.Referrer) {
	slices.SortFunc(rs, func(a, b meta.Referrer) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
}

// collect appends "repo digest" to out.
func collect(out *[]string) func(string, digest.Digest) error {
	return func(repo string, d digest.Digest) error {
		*out = append(*out, repo+" "+string(d))
		return nil
	}
}

// walk moves a blob through states, beginning with live.
func (f *fixture) walk(text string, generation int64, states ...meta.BlobState) {
	f.Helper()
	from := meta.BlobLive
	for _, to := range states {
		f.update(func(ctx context.Context, tx meta.Tx) error {
			return tx.SetBlobState(ctx, sum(text), generation, from, to, at(int(to)))
		})
		from = to
	}
}

// unlink makes repo hold the blob no longer.
func (f *fixture) unlink(repo, text string) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error { return tx.UnlinkBlob(ctx, repo, sum(text)) })
}

var blobTests = []test{
	{"a blob is seen only in the repositories that hold it", func(f *fixture) {
		f.link("r", "b")
		f.link("other", "elsewhere")
		got, err := f.db.Blob(f.Context(), "r", sum("b"))
		want(f, "Blob(r, b)", got, err, blob("b"))
		_, err = f.db.Blob(f.Context(), "r", sum("elsewhere"))
		fails(f, "Blob(r, elsewhere)", err, meta.ErrNotFound)
		_, err = f.db.FindBlob(f.Context(), sum("none"))
		fails(f, "FindBlob(none)", err, meta.ErrNotFound)
	}},
	{"a holder is named only to who may see it", func(f *fixture) {
		f.link("secret/a", "b")
		f.link("team/x", "b")
		f.link("secret/only", "hidden")
		got, err := f.db.BlobHolder(f.Context(), meta.Visibility{Namespaces: []string{"team"}}, sum("b"))
		want(f, "BlobHolder(team, b)", got, err, "team/x")
		_, err = f.db.BlobHolder(f.Context(), meta.Visibility{Namespaces: []string{"team"}}, sum("hidden"))
		fails(f, "BlobHolder(team, hidden)", err, meta.ErrNotFound)
		_, err = f.db.BlobHolder(f.Context(), meta.Visibility{}, sum("b"))
		fails(f, "BlobHolder(nothing, b)", err, meta.ErrNotFound)
		got, err = f.db.BlobHolder(f.Context(), everything, sum("hidden"))
		want(f, "BlobHolder(everything, hidden)", got, err, "secret/only")
	}},
	{"sizes are those of the blobs that the repository holds", func(f *fixture) {
		var ask []digest.Digest
		expect := map[digest.Digest]int64{}
		for i := range 30 { // more than one statement takes
			text := fmt.Sprint(i)
			ask = append(ask, sum(text))
			switch i % 3 {
			case 0:
				f.link("r", text)
				expect[sum(text)] = int64(len(text))
			case 1:
				f.link("other", text)
			}
		}
		ask = append(ask, ask...)
		got, err := f.db.BlobSizes(f.Context(), "r", ask)
		want(f, "BlobSizes(r)", got, err, expect)
	}},
	{"a pinned blob cannot be unlinked", func(f *fixture) {
		f.link("r", "config")
		f.link("r", "layer")
		f.link("other", "layer")
		m := manifest("r", "m")
		m.Blobs = []digest.Digest{sum("config"), sum("layer"), sum("layer")}
		f.put(m)
		unlink := func(repo, text string) func(context.Context, meta.Tx) error {
			return func(ctx context.Context, tx meta.Tx) error { return tx.UnlinkBlob(ctx, repo, sum(text)) }
		}
		f.failing("UnlinkBlob(r, layer)", meta.ErrPinned, unlink("r", "layer"))
		f.failing("UnlinkBlob(r, none)", meta.ErrNotFound, unlink("r", "none"))
		f.failing("UnlinkBlob(none, layer)", meta.ErrRepository, unlink("none", "layer"))
		f.unlink("other", "layer")
		f.update(func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.DeleteManifest(ctx, "r", m.Digest)
			return err
		})
		f.unlink("r", "layer")
		_, err := f.db.Blob(f.Context(), "r", sum("layer"))
		fails(f, "Blob(r, layer)", err, meta.ErrNotFound)
	}},
	{"what a quarantined manifest pins is neither unused nor unlinked, in its repository", func(f *fixture) {
		for _, repo := range []string{"r", "other"} {
			f.link(repo, "b")
		}
		q := meta.Quarantine{Repo: "r", Digest: sum("m"), Blobs: []digest.Digest{sum("b")}, Created: start, Until: at(5)}
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.PutQuarantine(ctx, q) })
		var unused []string
		err := f.db.UnusedBlobs(f.Context(), at(1), collect(&unused))
		want(f, "UnusedBlobs()", unused, err, []string{"other " + string(sum("b"))})
		f.failing("UnlinkBlob(r, b)", meta.ErrPinned, func(ctx context.Context, tx meta.Tx) error {
			return tx.UnlinkBlob(ctx, "r", sum("b"))
		})
		f.unlink("other", "b")
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.ReleaseQuarantine(ctx, "r", sum("m")) })
		unused = nil
		err = f.db.UnusedBlobs(f.Context(), at(1), collect(&unused))
		want(f, "UnusedBlobs() after the release", unused, err, []string{"r " + string(sum("b"))})
		f.unlink("r", "b")
	}},
	{"the manifests that pin a blob are listed in pages, of every repository", func(f *fixture) {
		f.pin("r", "m1", "x", "y")
		f.pin("r", "m2", "x")
		f.pin("a/b", "m1", "x")
		f.pin("other", "m3", "y")
		f.link("held", "x") // no manifest pins it
		all := append(keysOf("a/b", "m1"), keysOf("r", "m1", "m2")...)
		for _, limit := range []int{0, 1, 2, 3, 4} {
			var got []meta.ManifestKey
			for {
				var after meta.ManifestKey
				if len(got) > 0 {
					after = got[len(got)-1]
				}
				page, err := f.db.BlobPins(f.Context(), sum("x"), after, limit)
				if err != nil {
					f.Fatal(err)
				}
				if got = append(got, page...); limit == 0 || len(page) < limit {
					break
				}
			}
			want(f, fmt.Sprintf("BlobPins(x) in pages of %d", limit), got, nil, all)
		}
		none, err := f.db.BlobPins(f.Context(), sum("nothing"), meta.ManifestKey{}, 0)
		want(f, "BlobPins(nothing)", none, err, nil)
	}},
	{"unused blobs are links that are old and not pinned", func(f *fixture) {
		b := func(text string, n int) meta.Blob {
			b := blob(text)
			b.Since = at(n)
			return b
		}
		f.update(func(ctx context.Context, tx meta.Tx) error {
			for repo, blobs := range map[string][]meta.Blob{
				"a": {b("pinned", 0), b("old", 0), b("older", 1), b("young", 10), b("renewed", 0), b("renewed", 11)},
				"b": {b("pinned", 0), b("young", 9)},
			} {
				for _, blob := range blobs {
					if err := tx.LinkBlob(ctx, repo, blob); err != nil {
						return err
					}
				}
			}
			m := manifest("a", "m")
			m.Blobs = []digest.Digest{sum("pinned")}
			_, err := tx.PutManifest(ctx, m)
			return err
		})
		expect := []string{"a " + string(sum("old")), "a " + string(sum("older")), "b " + string(sum("pinned")), "b " + string(sum("young"))}
		slices.Sort(expect)
		var got []string
		err := f.db.UnusedBlobs(f.Context(), at(10), collect(&got))
		want(f, "UnusedBlobs()", got, err, expect)
	}},
	{"all blobs come in order, more than fit a chunk, until yield fails", func(f *fixture) {
		var all, unheld []digest.Digest
		f.update(func(ctx context.Context, tx meta.Tx) error {
			for i := range 1203 {
				b := blob(fmt.Sprint(i))
				all = append(all, b.Digest)
				if err := tx.LinkBlob(ctx, "r", b); err != nil {
					return err
				}
				if i%2 == 0 {
					unheld = append(unheld, b.Digest)
					if err := tx.UnlinkBlob(ctx, "r", b.Digest); err != nil {
						return err
					}
				}
			}
			return nil
		})
		sortDigests(all)
		sortDigests(unheld)
		var got []digest.Digest
		add := func(b meta.Blob) error {
			got = append(got, b.Digest)
			return nil
		}
		err := f.db.AllBlobs(f.Context(), add)
		want(f, "AllBlobs()", got, err, all)
		got = nil
		err = f.db.UnheldBlobs(f.Context(), add)
		want(f, "UnheldBlobs()", got, err, unheld)
		stop := errors.New("stop")
		count := 0
		err = f.db.AllBlobs(f.Context(), func(meta.Blob) error {
			if count++; count == 3 {
				return stop
			}
			return nil
		})
		if !errors.Is(err, stop) || count != 3 {
			f.Errorf("AllBlobs() stopped by yield = %v after %d, want %v after 3", err, count, stop)
		}
	}},
	{"a blob goes from live to condemned to deleted to gone, and no other way", func(f *fixture) {
		const gone = meta.BlobState(-1)
		steps := []struct {
			from, to meta.BlobState
			allowed  map[meta.BlobState]bool // in which states
		}{
			{meta.BlobLive, meta.BlobCondemned, map[meta.BlobState]bool{meta.BlobLive: true}},
			{meta.BlobCondemned, meta.BlobDeleted, map[meta.BlobState]bool{meta.BlobCondemned: true}},
			{meta.BlobDeleted, meta.BlobDeleted, map[meta.BlobState]bool{meta.BlobDeleted: true}},
			{meta.BlobLive, meta.BlobLive, nil},
			{meta.BlobLive, meta.BlobDeleted, nil},
			{meta.BlobCondemned, meta.BlobCondemned, nil},
			{meta.BlobCondemned, meta.BlobLive, nil},
			{meta.BlobDeleted, meta.BlobLive, nil},
			{meta.BlobDeleted, meta.BlobCondemned, nil},
		}
		paths := map[meta.BlobState][]meta.BlobState{
			meta.BlobLive: nil, meta.BlobCondemned: {meta.BlobCondemned}, meta.BlobDeleted: {meta.BlobCondemned, meta.BlobDeleted},
			gone: {meta.BlobCondemned, meta.BlobDeleted, meta.BlobDeleted},
		}
		for state, path := range paths {
			for i, s := range steps {
				text := fmt.Sprint(state, " ", i)
				f.link("r", text)
				f.unlink("r", text)
				f.walk(text, 0, path...)
				set := func(generation int64) func(context.Context, meta.Tx) error {
					return func(ctx context.Context, tx meta.Tx) error {
						return tx.SetBlobState(ctx, sum(text), generation, s.from, s.to, at(50))
					}
				}
				call := fmt.Sprintf("SetBlobState(%d to %d) in state %d", s.from, s.to, state)
				f.failing(call+" of another generation", meta.ErrConflict, set(1))
				if !s.allowed[state] {
					f.failing(call, meta.ErrConflict, set(0))
					continue
				}
				f.update(set(0))
				got, err := f.db.FindBlob(f.Context(), sum(text))
				if s.from == s.to {
					fails(f, "FindBlob() after "+call, err, meta.ErrNotFound)
					continue
				}
				want(f, "FindBlob() after "+call, got, err, meta.Blob{Digest: sum(text), Size: int64(len(text)), State: s.to, Since: at(50)})
			}
		}
	}},
	{"a blob that a repository holds stays live", func(f *fixture) {
		f.link("r", "b")
		f.failing("SetBlobState(live to condemned)", meta.ErrConflict, func(ctx context.Context, tx meta.Tx) error {
			return tx.SetBlobState(ctx, sum("b"), 0, meta.BlobLive, meta.BlobCondemned, at(1))
		})
	}},
	{"a blob that is not live is not served, mounted or counted as held", func(f *fixture) {
		f.link("r", "b")
		f.unlink("r", "b")
		f.walk("b", 0, meta.BlobCondemned)
		_, err := f.db.Blob(f.Context(), "r", sum("b"))
		fails(f, "Blob(r, b)", err, meta.ErrNotFound)
		_, err = f.db.BlobHolder(f.Context(), everything, sum("b"))
		fails(f, "BlobHolder(b)", err, meta.ErrNotFound)
		got, err := f.db.BlobSizes(f.Context(), "r", []digest.Digest{sum("b")})
		want(f, "BlobSizes(r)", got, err, map[digest.Digest]int64{})
		err = f.db.UnheldBlobs(f.Context(), func(b meta.Blob) error { return fmt.Errorf("listed %v", b) })
		want(f, "UnheldBlobs()", 0, err, 0)
	}},
	{"linking brings a blob back as its state and generation allow", func(f *fixture) {
		var live []meta.BlobState
		condemned, deleted := []meta.BlobState{meta.BlobCondemned}, []meta.BlobState{meta.BlobCondemned, meta.BlobDeleted}
		tests := []struct {
			name       string
			path       []meta.BlobState
			generation int64 // the stored one is 5
			want       int64
			err        error
		}{
			{"live, the same generation", live, 5, 5, nil},
			{"live, an older generation", live, 4, 5, nil},
			{"live, a newer generation", live, 6, 5, nil},
			{"condemned, the same generation", condemned, 5, 5, nil},
			{"condemned, a newer generation", condemned, 6, 6, nil},
			{"condemned, an older generation", condemned, 4, 0, meta.ErrGeneration},
			{"deleted, a newer generation", deleted, 6, 6, nil},
			{"deleted, the same generation", deleted, 5, 0, meta.ErrGeneration},
			{"deleted, an older generation", deleted, 4, 0, meta.ErrGeneration},
		}
		for _, tt := range tests {
			b := blob(tt.name)
			b.Generation = 5
			f.update(func(ctx context.Context, tx meta.Tx) error { return tx.LinkBlob(ctx, "first", b) })
			f.unlink("first", tt.name)
			f.walk(tt.name, 5, tt.path...)
			b.Generation, b.Since = tt.generation, at(30)
			link := func(ctx context.Context, tx meta.Tx) error { return tx.LinkBlob(ctx, "second", b) }
			if tt.err != nil {
				f.failing("LinkBlob, "+tt.name, tt.err, link)
				continue
			}
			f.update(link)
			got, err := f.db.Blob(f.Context(), "second", b.Digest)
			expect := meta.Blob{Digest: b.Digest, Generation: tt.want, Size: b.Size, Since: at(30)}
			if tt.path == nil {
				expect.Since = start // it was live all along
			}
			want(f, "Blob() after LinkBlob, "+tt.name, got, err, expect)
		}
	}},
	{"the next generation is a new one unless the blob is live", func(f *fixture) {
		for state, expect := range map[meta.BlobState]int64{meta.BlobLive: 3, meta.BlobCondemned: 4, meta.BlobDeleted: 4} {
			if got := meta.NextGeneration(meta.Blob{Generation: 3, State: state}); got != expect {
				f.Errorf("NextGeneration(3, state %d) = %d, want %d", state, got, expect)
			}
		}
	}},
}
