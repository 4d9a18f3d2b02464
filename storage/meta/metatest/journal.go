package metatest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// everyOp leaves each kind of record and of row at least once.
func everyOp(f *fixture) {
	f.Helper()
	old := blob("old")
	old.Generation = 7
	m := manifest("team/app", "image <&>")
	m.Blobs, m.ArtifactType = []digest.Digest{sum("layer"), sum("config")}, "application/wasm"
	m.Annotations = map[string]string{"z": "<b>", "a": "é\u2028"}
	index := manifest("team/app", "index")
	index.Manifests, index.Subject = []digest.Digest{m.Digest, sum("elsewhere")}, sum("no one has this")
	for _, step := range []func(context.Context, meta.Tx) error{
		func(ctx context.Context, tx meta.Tx) error {
			for _, text := range []string{"layer", "config", "unused"} {
				if err := tx.LinkBlob(ctx, "team/app", blob(text)); err != nil {
					return err
				}
			}
			return tx.LinkBlob(ctx, "other", old)
		},
		func(ctx context.Context, tx meta.Tx) error {
			for _, m := range []meta.NewManifest{m, index, manifest("team/app", "removed"), manifest("gone", "m"), manifest("gone-too", "m")} {
				if _, err := tx.PutManifest(ctx, m); err != nil {
					return err
				}
			}
			for i, tag := range []string{"1.0.0", "latest", "removed"} {
				if err := tx.PutTag(ctx, "team/app", tag, m.Digest, at(i)); err != nil {
					return err
				}
			}
			return tx.PutTag(ctx, "team/app", "with-manifest", sum("removed"), at(9))
		},
		func(ctx context.Context, tx meta.Tx) error {
			return tx.PutTag(ctx, "team/app", "latest", index.Digest, at(20))
		},
		func(ctx context.Context, tx meta.Tx) error {
			return tx.DeleteTag(ctx, "team/app", "removed", true, at(21))
		},
		func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.DeleteManifest(ctx, "team/app", sum("removed"))
			return err
		},
		func(ctx context.Context, tx meta.Tx) error { return tx.DeleteRepository(ctx, "gone") },
		func(ctx context.Context, tx meta.Tx) error { return tx.UnlinkBlob(ctx, "other", old.Digest) },
		func(ctx context.Context, tx meta.Tx) error { return tx.UnlinkBlob(ctx, "team/app", sum("unused")) },
		func(ctx context.Context, tx meta.Tx) error {
			return tx.SetBlobState(ctx, old.Digest, 7, meta.BlobLive, meta.BlobCondemned, at(30))
		},
		func(ctx context.Context, tx meta.Tx) error {
			from := meta.BlobLive
			for _, to := range []meta.BlobState{meta.BlobCondemned, meta.BlobDeleted, meta.BlobDeleted} {
				if err := tx.SetBlobState(ctx, sum("unused"), 0, from, to, at(31)); err != nil {
					return err
				}
				from = to
			}
			return nil
		},
		func(ctx context.Context, tx meta.Tx) error {
			for _, p := range []meta.Policy{
				{Name: "kept", Source: "one: <&>\n", Author: "ann", Created: at(40)},
				{Name: "kept", Source: "two", Author: "bob", Created: at(41)},
				{Name: "ended", Source: "one", Author: "ann", Created: at(42)},
			} {
				if _, err := tx.PutPolicy(ctx, p); err != nil {
					return err
				}
			}
			return tx.DeletePolicy(ctx, "ended", "bob", at(43))
		},
		func(ctx context.Context, tx meta.Tx) error {
			for _, e := range []meta.TrustEntry{
				{Name: "kept", Kind: "key", Content: "PEM <&>\n", NotAfter: at(60), Author: "ann", Created: at(43)},
				{Name: "removed", Kind: "root", Content: "{}", Created: at(43)},
			} {
				if err := tx.PutTrust(ctx, e); err != nil {
					return err
				}
			}
			return tx.DeleteTrust(ctx, "removed")
		},
		func(ctx context.Context, tx meta.Tx) error {
			for _, a := range []meta.Approval{
				{Repo: "team/app", Digest: sum("refused"), Rule: "kept/rule", By: "eve", Reason: "é", Time: at(44)},
				{Repo: "not/there", Digest: sum("refused"), By: "eve", Time: at(45)},
				{Repo: "not/there", Digest: sum("refused"), Rule: "withdrawn", By: "eve", Time: at(46)},
			} {
				if err := tx.PutApproval(ctx, a); err != nil {
					return err
				}
			}
			return nil
		},
		// The last revision is then that of no row.
		func(ctx context.Context, tx meta.Tx) error {
			return tx.DeleteApproval(ctx, "not/there", sum("refused"), "withdrawn")
		},
		func(ctx context.Context, tx meta.Tx) error {
			if err := tx.SetNotice(ctx, "team/app", "1.0.0", yanked(50)); err != nil {
				return err
			}
			if err := tx.SetNotice(ctx, "team/app", "latest", yanked(51)); err != nil {
				return err
			}
			return tx.SetNotice(ctx, "team/app", "latest", meta.Notice{})
		},
	} {
		f.update(step)
	}
}

// entries is the whole journal.
func (f *fixture) entries() []meta.Entry {
	f.Helper()
	es, err := f.db.JournalAfter(f.Context(), 0, 1_000_000)
	if err != nil {
		f.Fatalf("JournalAfter(0) = %v", err)
	}
	return es
}

func sequences(es []meta.Entry) []int64 {
	var out []int64
	for _, e := range es {
		out = append(out, e.Sequence)
	}
	return out
}

func (f *fixture) records(e meta.Entry) []meta.Record {
	f.Helper()
	var rs []meta.Record
	if err := json.Unmarshal(e.Records, &rs); err != nil {
		f.Fatalf("entry %d: %v", e.Sequence, err)
	}
	return rs
}

// second opens another database of the same kind.
func (f *fixture) second() *fixture {
	f.Helper()
	db := f.open(f.T)
	f.Cleanup(func() {
		if err := db.Close(); err != nil {
			f.Errorf("Close() of the second database = %v", err)
		}
	})
	return &fixture{T: f.T, db: db, open: f.open}
}

var journalTests = []test{
	{"an update that wrote leaves one entry with all its records, one that only read none", func(f *fixture) {
		f.update(func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.Repositories(ctx, everything, meta.Page{})
			return err
		})
		m := manifest("r", "m")
		m.Blobs = []digest.Digest{sum("b")}
		b := blob("b")
		b.Generation = 3
		f.update(func(ctx context.Context, tx meta.Tx) error {
			if err := tx.LinkBlob(ctx, "r", b); err != nil {
				return err
			}
			if _, err := tx.PutManifest(ctx, m); err != nil {
				return err
			}
			return tx.PutTag(ctx, "r", "v1", m.Digest, at(1))
		})
		es := f.entries()
		want(f, "sequences", sequences(es), nil, []int64{1})
		want(f, "records", f.records(es[0]), nil, []meta.Record{
			{Op: meta.OpLinkBlob, Repo: "r", Digest: b.Digest, Size: 1, Generation: 3, Time: start},
			{Op: meta.OpPutManifest, Repo: "r", Digest: m.Digest, Time: start, Manifest: &meta.ManifestRecord{
				MediaType: m.MediaType, Content: m.Content, Blobs: m.Blobs,
			}},
			{Op: meta.OpPutTag, Repo: "r", Tag: "v1", Digest: m.Digest, Time: at(1)},
		})
		if es[0].Time.IsZero() {
			f.Error("the entry has no time")
		}
	}},
	{"policies and approvals leave records with the revision they made", func(f *fixture) {
		f.update(func(ctx context.Context, tx meta.Tx) error {
			if _, err := tx.PutPolicy(ctx, meta.Policy{Name: "p", Source: "s", Author: "ann", Created: at(1)}); err != nil {
				return err
			}
			if err := tx.PutApproval(ctx, meta.Approval{Repo: "r", Digest: sum("m"), Rule: "p/r", By: "eve", Reason: "ok", Time: at(2)}); err != nil {
				return err
			}
			if err := tx.DeleteApproval(ctx, "r", sum("m"), "p/r"); err != nil {
				return err
			}
			return tx.DeletePolicy(ctx, "p", "bob", at(3))
		})
		es := f.entries()
		want(f, "sequences", sequences(es), nil, []int64{1})
		want(f, "records", f.records(es[0]), nil, []meta.Record{
			{Op: meta.OpPutPolicy, Time: at(1), Revision: 1, Policy: &meta.PolicyRecord{Name: "p", Version: 1, Source: "s", Author: "ann"}},
			{
				Op: meta.OpPutApproval, Repo: "r", Digest: sum("m"), Time: at(2), Revision: 2,
				Approval: &meta.ApprovalRecord{Rule: "p/r", By: "eve", Reason: "ok"},
			},
			{Op: meta.OpDeleteApproval, Repo: "r", Digest: sum("m"), Revision: 3, Approval: &meta.ApprovalRecord{Rule: "p/r"}},
			{Op: meta.OpDeletePolicy, Time: at(3), Revision: 4, Policy: &meta.PolicyRecord{Name: "p", Version: 2, Author: "bob", Deleted: true}},
		})
	}},
	{"entries are listed in order, after a sequence and up to a limit", func(f *fixture) {
		for i := range 5 {
			f.tag("r", fmt.Sprint(i), "m")
		}
		es, err := f.db.JournalAfter(f.Context(), 2, 2)
		want(f, "JournalAfter(2, 2)", sequences(es), err, []int64{3, 4})
		es, err = f.db.JournalAfter(f.Context(), 5, 2)
		want(f, "JournalAfter(5, 2)", sequences(es), err, nil)
	}},
	{"entries that are done are forgotten and their sequences not used again", func(f *fixture) {
		for i := range 3 {
			f.tag("r", fmt.Sprint(i), "m")
		}
		for _, seq := range []int64{2, 1, 3} { // the second changes nothing
			if err := f.db.JournalDone(f.Context(), seq); err != nil {
				f.Fatalf("JournalDone(%d) = %v", seq, err)
			}
		}
		want(f, "sequences after JournalDone", sequences(f.entries()), nil, nil)
		written, done, err := f.db.JournalSequence(f.Context())
		want(f, "JournalSequence()", [2]int64{written, done}, err, [2]int64{3, 3})
		fails(f, "JournalDone(4), not yet written", f.db.JournalDone(f.Context(), 4), meta.ErrConflict)
		f.tag("r", "next", "m")
		want(f, "sequences of the next entry", sequences(f.entries()), nil, []int64{4})
		written, done, err = f.db.JournalSequence(f.Context())
		want(f, "JournalSequence()", [2]int64{written, done}, err, [2]int64{4, 3})
	}},
	{"the journal of fifty writers is in order of commit and has no gaps", func(f *fixture) {
		const writers, each = 50, 4
		f.put(manifest("r", "m0"), manifest("r", "m1"))
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					// Each reads what it then changes: the order of the journal has
					// to be the one in which they saw each other.
					err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error {
						tag, err := tx.Tag(ctx, "r", "shared")
						if err != nil && !errors.Is(err, meta.ErrNotFound) {
							return err
						}
						return tx.PutTag(ctx, "r", "shared", sum(fmt.Sprint("m", (w+i)%2)), tag.Updated.AddDate(1, 0, 0))
					})
					if err != nil {
						f.Errorf("Update() = %v", err)
					}
				}
			})
		}
		// Meanwhile a journaler follows, and may never miss an entry.
		var followed []meta.Entry
		for len(followed) < 1+writers*each {
			var last int64
			if n := len(followed); n > 0 {
				last = followed[n-1].Sequence
			}
			es, err := f.db.JournalAfter(f.Context(), last, 10)
			if err != nil {
				f.Fatalf("JournalAfter(%d) = %v", last, err)
			}
			followed = append(followed, es...)
		}
		wg.Wait()
		for i, e := range followed {
			if e.Sequence != int64(i)+1 {
				f.Fatalf("entry %d has sequence %d, want no gaps", i, e.Sequence)
			}
			if r := f.records(e)[0]; i > 0 && r.Time.Year() != i+1 {
				f.Fatalf("entry %d is of the update in position %d, want the order of commit", i, r.Time.Year()-1)
			}
		}
	}},
	{"replaying the journal into an empty database gives an equal dump", func(f *fixture) {
		everyOp(f)
		other := f.second()
		es := f.entries()
		for round := range 3 { // the first is cut short as by a crash, the third is in vain
			for i, e := range es {
				if round == 0 && i == len(es)/2 {
					break
				}
				if err := other.db.Replay(f.Context(), e); err != nil {
					f.Fatalf("Replay(%d) = %v", e.Sequence, err)
				}
			}
		}
		if diff := cmp.Diff(f.dump(), other.dump()); diff != "" {
			f.Errorf("dumps after replay differ: original -, replayed +\n%s", diff)
		}
		want(f, "entries of the replayed database", sequences(other.entries()), nil, nil)
		written, done, err := other.db.JournalSequence(f.Context())
		want(f, "JournalSequence() of the replayed database", [2]int64{written, done}, err, [2]int64{int64(len(es)), int64(len(es))})
		other.tag("next", "v1", "m")
		want(f, "sequence after the replayed ones", sequences(other.entries()), nil, []int64{int64(len(es)) + 1})
		fails(f, "Replay() over entries that are not done", other.db.Replay(f.Context(), meta.Entry{
			Sequence: int64(len(es)) + 2, Records: json.RawMessage(`[]`),
		}), meta.ErrConflict)
	}},
	{"an entry that does not apply changes nothing and says which record", func(f *fixture) {
		tests := []struct{ records, want string }{
			{
				`[{"op":"blob.link","repo":"r","digest":"sha256:a"},{"op":"tag.put","repo":"r","tag":"v","digest":"sha256:b"}]`,
				"entry 1, record 1 (tag.put)",
			},
			{`[{"op":"manifest.put","repo":"r","digest":"sha256:a"}]`, "record 0 (manifest.put): it holds no manifest"},
			{`[{"op":"notice.set","repo":"r","tag":"v"}]`, "record 0 (notice.set): it holds no notice"},
			{`[{"op":"policy.put"}]`, "record 0 (policy.put): it holds no policy"},
			{`[{"op":"approval.delete"}]`, "record 0 (approval.delete): it holds no approval"},
			{`[{"op":"trust.put"}]`, "record 0 (trust.put): it holds no trust entry"},
			{`[{"op":"from.the.future"}]`, "no such operation"},
			{`{`, "entry 1"},
		}
		for _, tt := range tests {
			err := f.db.Replay(f.Context(), meta.Entry{Sequence: 1, Records: json.RawMessage(tt.records)})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				f.Errorf("Replay(%s) = %v, want %q in it", tt.records, err, tt.want)
			}
		}
		names, err := f.db.Repositories(f.Context(), everything, meta.Page{})
		want(f, "Repositories()", names, err, nil)
	}},
}

var dumpTests = []test{
	{"a loaded dump gives the same dump", func(f *fixture) {
		everyOp(f)
		big := manifest("team/app", strings.Repeat("big", 4<<20/3))
		f.put(big)
		dump := f.dump()
		other := f.second()
		header, err := other.db.Load(f.Context(), strings.NewReader(dump))
		written, _, _ := f.db.JournalSequence(f.Context())
		want(f, "Load()", header, err, meta.DumpHeader{Format: 1, Sequence: written})
		if other.dump() != dump {
			f.Errorf("the dump of the loaded database differs:\n%.2000s\nwant\n%.2000s", other.dump(), dump)
		}
		got, done, err := other.db.JournalSequence(f.Context())
		want(f, "JournalSequence() of the loaded database", [2]int64{got, done}, err, [2]int64{written, written})
		want(f, "entries of the loaded database", sequences(other.entries()), nil, nil)
		if err := other.db.Check(f.Context()); err != nil {
			f.Errorf("Check() of the loaded database = %v", err)
		}
		p, err := f.db.Packages(f.Context(), everything, meta.Page{})
		if err != nil {
			f.Fatalf("Packages() = %v", err)
		}
		q, err := other.db.Packages(f.Context(), everything, meta.Page{})
		want(f, "Packages() of the loaded database", q, err, p)
		// It goes on as the first would.
		for _, x := range []*fixture{f, other} {
			x.tag("team/app", "next", "next")
		}
		if other.dump() != f.dump() {
			f.Error("the databases differ after the same update")
		}
	}},
	{"equal rows give equal dumps, whatever the order in which they came", func(f *fixture) {
		other := f.second()
		names := []string{"b", "a", "c/d", "c-d"}
		for i := range names {
			f.link(names[i], "blob")
			f.tag(names[i], "v1", "m")
			other.link(names[len(names)-1-i], "blob")
		}
		for _, name := range names {
			other.tag(name, "passing", "passing")
		}
		for i := range names {
			name := names[(i+2)%len(names)]
			other.tag(name, "v1", "m")
			other.update(func(ctx context.Context, tx meta.Tx) error {
				_, err := tx.DeleteManifest(ctx, name, sum("passing"))
				return err
			})
		}
		if diff := cmp.Diff(rows(f.dump()), rows(other.dump())); diff != "" {
			f.Errorf("dumps differ: -, +\n%s", diff)
		}
	}},
	{"an empty database has a dump", func(f *fixture) {
		want(f, "Dump()", f.dump(), nil, "{\"format\":1,\"sequence\":0}\n{\"kind\":\"end\"}\n")
		other := f.second()
		_, err := other.db.Load(f.Context(), strings.NewReader(f.dump()))
		want(f, "Load()", other.dump(), err, f.dump())
	}},
	{"nothing is loaded into a database that is not empty", func(f *fixture) {
		dump := f.dump()
		f.link("r", "b")
		_, err := f.db.Load(f.Context(), strings.NewReader(dump))
		fails(f, "Load() over a repository", err, meta.ErrNotEmpty)
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.DeleteRepository(ctx, "r") })
		f.walk("b", 0, meta.BlobCondemned, meta.BlobDeleted)
		f.update(func(ctx context.Context, tx meta.Tx) error {
			return tx.SetBlobState(ctx, sum("b"), 0, meta.BlobDeleted, meta.BlobDeleted, at(1))
		})
		if err := f.db.JournalDone(f.Context(), 5); err != nil {
			f.Fatalf("JournalDone(5) = %v", err)
		}
		_, err = f.db.Load(f.Context(), strings.NewReader(dump))
		fails(f, "Load() over a journal that has begun", err, meta.ErrNotEmpty)
	}},
	{"a dump that is cut short, changed or foreign is refused and leaves nothing", func(f *fixture) {
		everyOp(f)
		lines := strings.SplitAfter(strings.TrimSuffix(f.dump(), "\n"), "\n")
		all := strings.Join(lines, "")
		tests := []struct{ name, dump, want string }{
			{"empty", "", "cut short behind line 0"},
			{"only a header", lines[0], "cut short behind line 1"},
			{"cut between lines", strings.Join(lines[:len(lines)-1], ""), "cut short"},
			{"cut within a line", all[:len(all)/2], "unexpected EOF"},
			{"a line missing", strings.Join(append(lines[:2:2], lines[3:]...), ""), "dump, line "},
			{"a line behind the end", all + "\n{}", "behind the end"},
			{"another format", strings.Replace(all, `"format":1`, `"format":2`, 1), "line 1: format 2"},
			{"an unknown kind", strings.Replace(all, `"kind":"blob"`, `"kind":"blot"`, 1), `unknown kind "blot"`},
			{"an unknown field", strings.Replace(all, `"kind":"blob"`, `"kind":"blob","colour":1`, 1), `unknown field "colour"`},
			{"a manifest without content", strings.Replace(all, `"manifest":`, `"tag":"t","manifest":null,"x":`, 1), "unknown field"},
			{"a line without end", lines[0] + strings.Repeat(" ", 33<<20), "token too long"},
		}
		other := f.second()
		empty := other.dump()
		for _, tt := range tests {
			_, err := other.db.Load(f.Context(), strings.NewReader(tt.dump))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				f.Errorf("Load(%s) = %v, want %q in it", tt.name, err, tt.want)
			}
			if got := other.dump(); got != empty {
				f.Fatalf("Load(%s) left\n%s", tt.name, got)
			}
		}
		_, err := other.db.Load(f.Context(), io.MultiReader(strings.NewReader(lines[0]), failingReader{}))
		fails(f, "Load() of a reader that fails", err, errOwn)
	}},
	{"a dump is of one moment", func(f *fixture) {
		f.tag("a", "v0", "m")
		f.tag("z", "v0", "m")
		f.put(manifest("m", strings.Repeat("more than a buffer", 10_000))) // so that the tags are read after a write
		w := &writingWriter{f: f}
		if err := f.db.Dump(f.Context(), w); err != nil {
			f.Fatalf("Dump() = %v", err)
		}
		if w.wrote == 0 {
			f.Fatal("nothing was written during the dump")
		}
		other := f.second()
		if _, err := other.db.Load(f.Context(), strings.NewReader(w.text.String())); err != nil {
			f.Fatalf("Load() = %v", err)
		}
		for _, repo := range []string{"a", "z"} {
			got, err := other.db.Tags(f.Context(), repo, meta.Page{})
			want(f, "Tags("+repo+") of the dump", got, err, []string{"v0"})
		}
	}},
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errOwn }

// A writingWriter changes the database while it is dumped.
type writingWriter struct {
	f     *fixture
	text  strings.Builder
	wrote int
}

func (w *writingWriter) Write(p []byte) (int, error) {
	w.wrote++
	for _, repo := range []string{"a", "z"} {
		w.f.tag(repo, fmt.Sprint("during-", w.wrote), "m")
	}
	return w.text.Write(p)
}
