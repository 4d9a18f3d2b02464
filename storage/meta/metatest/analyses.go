package metatest

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

func (f *fixture) analyse(as ...meta.Analysis) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error {
		for _, a := range as {
			if err := tx.PutAnalysis(ctx, a); err != nil {
				return err
			}
		}
		return nil
	})
}

func analysis(text string, version int) meta.Analysis {
	return meta.Analysis{Digest: sum(text), Version: version, Facts: json.RawMessage(`{"of":"` + text + `"}`), Created: at(version)}
}

func (f *fixture) forget(below int) (n int64) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error {
		var err error
		n, err = tx.ForgetAnalyses(ctx, below)
		return err
	})
	return n
}

var analysisTests = []test{
	{"an analysis is found by its digest and version, the last written only", func(f *fixture) {
		f.analyse(analysis("a", 1), analysis("b", 1))
		got, err := f.db.Analysis(f.Context(), sum("a"), 1)
		want(f, "Analysis(a, 1)", got, err, analysis("a", 1))
		_, err = f.db.Analysis(f.Context(), sum("a"), 2)
		fails(f, "Analysis(a, 2)", err, meta.ErrNotFound)
		_, err = f.db.Analysis(f.Context(), sum("c"), 1)
		fails(f, "Analysis(c, 1)", err, meta.ErrNotFound)
		f.analyse(analysis("a", 3))
		got, err = f.db.Analysis(f.Context(), sum("a"), 3)
		want(f, "Analysis(a, 3)", got, err, analysis("a", 3))
		_, err = f.db.Analysis(f.Context(), sum("a"), 1)
		fails(f, "Analysis(a, 1) after version 3", err, meta.ErrNotFound)
		f.analyse(analysis("a", 2))
		got, err = f.db.Analysis(f.Context(), sum("a"), 2)
		want(f, "Analysis(a, 2) after version 3", got, err, analysis("a", 2))
	}},
	{"analyses of old versions are forgotten unless a manifest needs their blob", func(f *fixture) {
		for _, text := range []string{"pinned", "linked", "unlinked"} {
			f.link("r", text)
		}
		f.link("other", "pinned")
		f.link("other", "linked")
		f.unlink("r", "unlinked")
		m := manifest("r", "m")
		m.Blobs = []digest.Digest{sum("pinned")}
		f.put(m)
		f.analyse(analysis("pinned", 1), analysis("linked", 1), analysis("unlinked", 1), analysis("unknown", 1), analysis("new", 2))
		want(f, "ForgetAnalyses(1)", f.forget(1), nil, 0)
		want(f, "ForgetAnalyses(2)", f.forget(2), nil, 3)
		for text, version := range map[string]int{"pinned": 1, "new": 2} {
			got, err := f.db.Analysis(f.Context(), sum(text), version)
			want(f, "Analysis("+text+")", got, err, analysis(text, version))
		}
		f.update(func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.DeleteManifest(ctx, "r", m.Digest)
			return err
		})
		want(f, "ForgetAnalyses() of any version", f.forget(math.MaxInt), nil, 2)
	}},
	{"a thousand analyses are forgotten at a time, the oldest first", func(f *fixture) {
		var as []meta.Analysis
		for i := range 1500 {
			as = append(as, analysis(fmt.Sprint(i), i%3))
		}
		f.analyse(as...)
		want(f, "ForgetAnalyses(2)", f.forget(2), nil, 1000)
		want(f, "ForgetAnalyses(1)", f.forget(1), nil, 0)
		want(f, "ForgetAnalyses(3)", f.forget(3), nil, 500)
		want(f, "ForgetAnalyses(3), again", f.forget(3), nil, 0)
	}},
	{"analyses are neither journaled nor dumped", func(f *fixture) {
		empty := f.dump()
		f.analyse(analysis("a", 1))
		f.forget(2)
		f.analyse(analysis("b", 1))
		want(f, "sequences", sequences(f.entries()), nil, nil)
		want(f, "Dump()", f.dump(), nil, empty)
	}},
}

// judge writes the verdict of a manifest.
func (f *fixture) judge(repo, text string, v meta.Verdict) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error { return tx.SetVerdict(ctx, repo, sum(text), v) })
}

func (f *fixture) ingested(repo, text string, version int) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error { return tx.SetIngested(ctx, repo, sum(text), version) })
}

// wantVerdict compares a verdict, and what a pull sees of it.
func (f *fixture) wantVerdict(repo, tag, text string, expect meta.Verdict) {
	f.Helper()
	got, err := f.db.Verdict(f.Context(), repo, sum(text))
	want(f, "Verdict("+repo+", "+text+")", got, err, expect)
	m, err := f.db.Manifest(f.Context(), repo, sum(text))
	want(f, "Manifest("+repo+", "+text+").Verdict", m.Verdict, err, expect.State)
	m, err = f.db.TaggedManifest(f.Context(), repo, tag)
	want(f, "TaggedManifest("+repo+", "+tag+").Verdict", m.Verdict, err, expect.State)
}

// keysOf are names of manifests in order.
func keysOf(repo string, texts ...string) (out []meta.ManifestKey) {
	for _, text := range texts {
		out = append(out, meta.ManifestKey{Repo: repo, Digest: sum(text)})
	}
	slices.SortFunc(out, func(a, b meta.ManifestKey) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	return out
}

// wantBacklog asks a listing for all at once and in pages of every size.
func wantBacklog(
	f *fixture, call string, list func(after meta.ManifestKey, limit int) ([]meta.ManifestKey, error), expect []meta.ManifestKey,
) {
	f.Helper()
	got, err := list(meta.ManifestKey{}, 0)
	want(f, call, got, err, expect)
	for limit := 1; limit <= len(expect)+1; limit++ {
		var paged []meta.ManifestKey
		var after meta.ManifestKey
		for {
			page, err := list(after, limit)
			if err != nil || len(page) > limit {
				f.Fatalf("%s, %d after %v = %v, %v", call, limit, after, page, err)
			}
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
			after = page[len(page)-1]
		}
		want(f, fmt.Sprintf("%s in pages of %d", call, limit), paged, nil, expect)
	}
}

var verdictTests = []test{
	{"a manifest has the verdict that was written last, and none at first", func(f *fixture) {
		f.tag("r", "v1", "m")
		f.tag("r", "v2", "other")
		f.wantVerdict("r", "v1", "m", meta.Verdict{})
		for _, v := range []meta.Verdict{
			{State: meta.VerdictDeny, Revision: 4, Reasons: json.RawMessage(`["it opens sockets"]`)},
			{State: meta.VerdictWarn, Revision: 5, Reasons: json.RawMessage(`[]`)},
			{State: meta.VerdictAllow, Revision: 7},
			{State: meta.VerdictNone, Revision: 9},
		} {
			f.judge("r", "m", v)
			f.wantVerdict("r", "v1", "m", v)
		}
		f.wantVerdict("r", "v2", "other", meta.Verdict{})
		_, err := f.db.Verdict(f.Context(), "r", sum("none"))
		fails(f, "Verdict(r, none)", err, meta.ErrNotFound)
		_, err = f.db.Verdict(f.Context(), "none", sum("m"))
		fails(f, "Verdict(none, m)", err, meta.ErrRepository)
	}},
	{"a verdict is of a manifest in its repository, and ends with it", func(f *fixture) {
		f.tag("a", "v1", "m")
		f.tag("b", "v1", "m")
		deny := meta.Verdict{State: meta.VerdictDeny, Revision: 1}
		f.judge("a", "m", deny)
		f.ingested("a", "m", 3)
		f.wantVerdict("b", "v1", "m", meta.Verdict{})
		f.tag("a", "v1", "m") // pushed again
		f.wantVerdict("a", "v1", "m", deny)
		f.update(func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.DeleteManifest(ctx, "a", sum("m"))
			return err
		})
		f.tag("a", "v1", "m")
		f.wantVerdict("a", "v1", "m", meta.Verdict{})
		got, err := f.db.Unindexed(f.Context(), 1, meta.ManifestKey{}, 0)
		want(f, "Unindexed(1)", got, err, append(keysOf("a", "m"), keysOf("b", "m")...))
	}},
	{"what is gone cannot be judged or ingested", func(f *fixture) {
		f.link("r", "b")
		for _, repo := range []string{"r", "none"} {
			f.failing("SetVerdict("+repo+")", meta.ErrNotFound, func(ctx context.Context, tx meta.Tx) error {
				return tx.SetVerdict(ctx, repo, sum("m"), meta.Verdict{State: meta.VerdictDeny})
			})
			f.failing("SetIngested("+repo+")", meta.ErrNotFound, func(ctx context.Context, tx meta.Tx) error {
				return tx.SetIngested(ctx, repo, sum("m"), 1)
			})
		}
	}},
	{"a verdict written in an update is read in it", func(f *fixture) {
		f.update(func(ctx context.Context, tx meta.Tx) error {
			if err := putTagged(ctx, tx, "r", "v1", "m"); err != nil {
				return err
			}
			v := meta.Verdict{State: meta.VerdictWarn, Revision: 2, Reasons: json.RawMessage(`["x"]`)}
			if err := tx.SetVerdict(ctx, "r", sum("m"), v); err != nil {
				return err
			}
			got, err := tx.Verdict(ctx, "r", sum("m"))
			want(f, "Verdict() in the update", got, err, v)
			m, err := tx.TaggedManifest(ctx, "r", "v1")
			want(f, "TaggedManifest().Verdict in the update", m.Verdict, err, meta.VerdictWarn)
			return nil
		})
	}},
	{"stale verdicts and manifests not ingested are listed in order", func(f *fixture) {
		// The order of names is neither that of creation nor of numbers.
		numbers := map[string][]int{"b": {0, 2, 7, 2, 9}, "a": {9, 9}, "c": {0, 0, 7, 1}, "a/x": {2, 8, 0}}
		for _, repo := range []string{"b", "a/x", "c", "a"} {
			for i, number := range numbers[repo] {
				text := fmt.Sprint(i)
				f.put(manifest(repo, text))
				f.judge(repo, text, meta.Verdict{State: meta.VerdictAllow, Revision: int64(number)})
				f.ingested(repo, text, number)
			}
		}
		for bound := range 11 {
			var expect []meta.ManifestKey
			for _, repo := range []string{"a", "a/x", "b", "c"} {
				var texts []string
				for i, number := range numbers[repo] {
					if number < bound {
						texts = append(texts, fmt.Sprint(i))
					}
				}
				expect = append(expect, keysOf(repo, texts...)...)
			}
			wantBacklog(f, fmt.Sprintf("StaleVerdicts(%d)", bound), func(after meta.ManifestKey, limit int) ([]meta.ManifestKey, error) {
				return f.db.StaleVerdicts(f.Context(), int64(bound), after, limit)
			}, expect)
			wantBacklog(f, fmt.Sprintf("Unindexed(%d)", bound), func(after meta.ManifestKey, limit int) ([]meta.ManifestKey, error) {
				return f.db.Unindexed(f.Context(), bound, after, limit)
			}, expect)
		}
		got, err := f.db.Unindexed(f.Context(), 9, meta.ManifestKey{Repo: "b"}, 0)
		want(f, "Unindexed() after a repository's name", got, err, append(keysOf("b", "0", "1", "2", "3"), keysOf("c", "0", "1", "2", "3")...))
		got, err = f.db.Unindexed(f.Context(), 9, meta.ManifestKey{Repo: "bb", Digest: "z"}, 0)
		want(f, "Unindexed() after a repository that is absent", got, err, keysOf("c", "0", "1", "2", "3"))
	}},
	{"a blob is admitted by any manifest of its repository that is not denied", func(f *fixture) {
		for _, text := range []string{"shared", "own", "free"} {
			f.link("r", text)
			f.link("other", text)
		}
		first, second, elsewhere := manifest("r", "first"), manifest("r", "second"), manifest("other", "elsewhere")
		first.Blobs = []digest.Digest{sum("shared"), sum("own")}
		second.Blobs = []digest.Digest{sum("shared")}
		elsewhere.Blobs = []digest.Digest{sum("shared"), sum("own"), sum("free")}
		f.put(first, second, elsewhere)
		check := func(when string, expect map[string]bool) {
			f.Helper()
			for text, admitted := range expect {
				got, err := f.db.BlobAdmitted(f.Context(), "r", sum(text))
				want(f, "BlobAdmitted(r, "+text+") "+when, got, err, admitted)
			}
		}
		check("before a verdict", map[string]bool{"shared": true, "own": true, "free": false, "unknown": false})
		f.judge("r", "first", meta.Verdict{State: meta.VerdictDeny})
		check("with one of two denied", map[string]bool{"shared": true, "own": false, "free": false})
		f.judge("r", "second", meta.Verdict{State: meta.VerdictDeny})
		check("with both denied", map[string]bool{"shared": false, "own": false})
		f.judge("r", "first", meta.Verdict{State: meta.VerdictWarn})
		check("with one warned about", map[string]bool{"shared": true, "own": true})
		f.update(func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.DeleteManifest(ctx, "r", first.Digest)
			return err
		})
		check("with that one deleted", map[string]bool{"shared": false, "own": false})
		got, err := f.db.BlobAdmitted(f.Context(), "none", sum("shared"))
		want(f, "BlobAdmitted(none, shared)", got, err, false)
	}},
	{"verdicts are neither journaled nor dumped: a database made again has none", func(f *fixture) {
		f.tag("r", "v1", "m")
		dump, entries := f.dump(), f.entries()
		f.judge("r", "m", meta.Verdict{State: meta.VerdictDeny, Revision: 3, Reasons: json.RawMessage(`["x"]`)})
		f.ingested("r", "m", 2)
		want(f, "sequences", sequences(f.entries()), nil, sequences(entries))
		want(f, "Dump()", f.dump(), nil, dump)
		loaded, replayed := f.second(), f.second()
		if _, err := loaded.db.Load(f.Context(), strings.NewReader(dump)); err != nil {
			f.Fatalf("Load() = %v", err)
		}
		for _, e := range entries {
			if err := replayed.db.Replay(f.Context(), e); err != nil {
				f.Fatalf("Replay(%d) = %v", e.Sequence, err)
			}
		}
		for name, x := range map[string]*fixture{"loaded": loaded, "replayed": replayed} {
			x.wantVerdict("r", "v1", "m", meta.Verdict{})
			got, err := x.db.Unindexed(f.Context(), 1, meta.ManifestKey{}, 0)
			want(f, "Unindexed(1) of the "+name+" database", got, err, keysOf("r", "m"))
		}
	}},
	{"a blob's uploader is who linked it last in the repository, also in a database made again", func(f *fixture) {
		link := func(repo, who string, since int) {
			b := blob("b")
			b.Uploader, b.Since = who, at(since)
			f.update(func(ctx context.Context, tx meta.Tx) error { return tx.LinkBlob(ctx, repo, b) })
		}
		link("r", "ann", 5)
		link("other", "eve", 6)
		link("r", "bob", 5)
		link("late", "ann", 5)
		link("late", "bob", 1)
		link("nobody", "ann", 1)
		link("nobody", "", 2)
		loaded, replayed := f.second(), f.second()
		if _, err := loaded.db.Load(f.Context(), strings.NewReader(f.dump())); err != nil {
			f.Fatalf("Load() = %v", err)
		}
		for _, e := range f.entries() {
			if err := replayed.db.Replay(f.Context(), e); err != nil {
				f.Fatalf("Replay(%d) = %v", e.Sequence, err)
			}
		}
		for name, x := range map[string]*fixture{"first": f, "loaded": loaded, "replayed": replayed} {
			for repo, expect := range map[string]string{"r": "bob", "other": "eve", "late": "bob", "nobody": ""} {
				got, err := x.db.Blob(f.Context(), repo, sum("b"))
				want(f, "Blob("+repo+", b).Uploader of the "+name+" database", got.Uploader, err, expect)
			}
			got, err := x.db.FindBlob(f.Context(), sum("b"))
			want(f, "FindBlob(b).Uploader", got.Uploader, err, "")
			var old []string
			err = x.db.UnusedBlobs(f.Context(), at(5), collect(&old))
			want(f, "UnusedBlobs() before 5 s", old, err, []string{"nobody " + string(sum("b"))})
		}
	}},
}
