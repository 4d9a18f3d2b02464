package metatest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// notice says something about a tag.
func (f *fixture) notice(repo, tag string, n meta.Notice) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error { return tx.SetNotice(ctx, repo, tag, n) })
}

func yanked(n int) meta.Notice {
	return meta.Notice{State: meta.NoticeYanked, Reason: "it leaks <keys>", By: "ann", Time: at(n)}
}

// version is what tag, which has a manifest of that text, is listed as.
func version(tag, text string) meta.Version {
	m := manifest("", text)
	return meta.Version{
		Tag:       meta.Tag{Name: tag, Digest: m.Digest, Updated: start},
		MediaType: m.MediaType, Size: int64(len(text)), Created: start,
	}
}

func names(vs []meta.Version) []string {
	var out []string
	for _, v := range vs {
		out = append(out, v.Name)
	}
	return out
}

var versionTests = []test{
	{"releases are the full versions that are neither prereleases nor yanked, greatest first", func(f *fixture) {
		_, err := f.db.Releases(f.Context(), "none", 5)
		fails(f, "Releases(none)", err, meta.ErrRepository)
		for i, tag := range []string{
			"1.9.0", "1.10.0", "v1.2.3", "1.2.3", "1.10.1-rc.1", "latest", "1", "oci-image-9.0.0", "2.0.0", "0.0.18446744073709551615",
		} {
			f.put(manifest("r", fmt.Sprint(i)))
			f.tag("r", tag, fmt.Sprint(i))
		}
		f.notice("r", "2.0.0", yanked(1))
		released := func(what string, most int, expect ...string) {
			f.Helper()
			tags, err := f.db.Releases(f.Context(), "r", most)
			var got []string
			for _, t := range tags {
				got = append(got, t.Name)
			}
			want(f, "Releases() "+what, got, err, expect)
		}
		released("of all", 10, "1.10.0", "1.9.0", "1.2.3", "v1.2.3", "0.0.18446744073709551615")
		released("of two", 2, "1.10.0", "1.9.0")
		tags, err := f.db.Releases(f.Context(), "r", 1)
		want(f, "Releases() of one", tags, err, []meta.Tag{{Name: "1.10.0", Digest: sum("1"), Updated: start}})
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.DeleteTag(ctx, "r", "1.10.0", true, at(3)) })
		f.notice("r", "2.0.0", meta.Notice{})
		released("after a delete and without a notice", 2, "2.0.0", "1.9.0")
	}},
	{"a version is a tag with the row of its manifest, its notice and its downloads", func(f *fixture) {
		m := manifest("r", "m")
		m.ArtifactType, m.Subject = "application/wasm", sum("subject")
		m.Annotations = map[string]string{"a": "é", "b": "<&>"}
		f.put(m)
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.PutTag(ctx, "r", "1.0.0", m.Digest, at(5)) })
		plain := meta.Version{
			Tag:       meta.Tag{Name: "1.0.0", Digest: m.Digest, Updated: at(5)},
			MediaType: m.MediaType, ArtifactType: m.ArtifactType, Subject: m.Subject, Annotations: m.Annotations, Size: 1, Created: start,
		}
		got, err := f.db.Version(f.Context(), "r", "1.0.0")
		want(f, "Version() of what was just pushed", got, err, plain)
		full := plain
		full.Verdict, full.Ingested, full.Downloads, full.Notice = meta.VerdictWarn, 3, 7, yanked(6)
		f.update(func(ctx context.Context, tx meta.Tx) error {
			if err := tx.SetVerdict(ctx, "r", m.Digest, meta.Verdict{State: meta.VerdictWarn, Revision: 1}); err != nil {
				return err
			}
			if err := tx.SetIngested(ctx, "r", m.Digest, 3); err != nil {
				return err
			}
			if err := tx.SetNotice(ctx, "r", "1.0.0", full.Notice); err != nil {
				return err
			}
			return tx.AddDownloads(ctx, []meta.Download{
				{Repo: "r", Digest: m.Digest, Day: start, Count: 3}, {Repo: "r", Digest: m.Digest, Day: start.AddDate(0, 0, 1), Count: 4},
			})
		})
		got, err = f.db.Version(f.Context(), "r", "1.0.0")
		want(f, "Version() with all that is known", got, err, full)
		all, err := f.db.Versions(f.Context(), "r", meta.Page{})
		want(f, "Versions()", all, err, []meta.Version{full})
	}},
	{"what is absent is told apart", func(f *fixture) {
		f.put(manifest("r", "m"))
		_, err := f.db.Version(f.Context(), "none", "v")
		fails(f, "Version(none)", err, meta.ErrRepository)
		_, err = f.db.Version(f.Context(), "r", "v")
		fails(f, "Version(r, v)", err, meta.ErrNotFound)
		_, err = f.db.Versions(f.Context(), "none", meta.Page{})
		fails(f, "Versions(none)", err, meta.ErrRepository)
		all, err := f.db.Versions(f.Context(), "r", meta.Page{})
		want(f, "Versions(r) without tags", all, err, nil)
		_, err = f.db.TagNotices(f.Context(), "none", meta.Page{})
		fails(f, "TagNotices(none)", err, meta.ErrRepository)
		_, err = f.db.Downloads(f.Context(), "none", "", start)
		fails(f, "Downloads(none)", err, meta.ErrRepository)
		for _, repo := range []string{"none", "r"} {
			target := map[string]error{"none": meta.ErrRepository, "r": meta.ErrNotFound}[repo]
			f.failing("SetNotice("+repo+", v)", target, func(ctx context.Context, tx meta.Tx) error {
				return tx.SetNotice(ctx, repo, "v", yanked(1))
			})
		}
	}},
	{"versions are listed in byte order and pages, yanked ones too", func(f *fixture) {
		for _, tag := range []string{"b", "a", "B", "1.10.0", "1.9.0", "a-1"} {
			f.tag("r", tag, "m")
			f.tag("other", tag+"x", "m")
		}
		f.notice("r", "a", yanked(1))
		tests := []struct {
			p    meta.Page
			want []string
		}{
			{meta.Page{}, []string{"1.10.0", "1.9.0", "B", "a", "a-1", "b"}},
			{meta.Page{After: "1.9.0", Limit: 2}, []string{"B", "a"}},
			{meta.Page{After: "b", Limit: 2}, nil},
		}
		for _, tt := range tests {
			got, err := f.db.Versions(f.Context(), "r", tt.p)
			want(f, fmt.Sprintf("Versions(%+v)", tt.p), names(got), err, tt.want)
			notices, err := f.db.TagNotices(f.Context(), "r", tt.p)
			var listed []meta.TagNotice
			for _, tag := range tt.want {
				n := meta.TagNotice{Tag: tag}
				if tag == "a" {
					n.Notice = meta.NoticeYanked
				}
				listed = append(listed, n)
			}
			want(f, fmt.Sprintf("TagNotices(%+v)", tt.p), notices, err, listed)
		}
	}},
}

var noticeTests = []test{
	{"a yanked tag is not listed and not the latest, and found by whoever asks for it", func(f *fixture) {
		for i, tag := range []string{"1.0.0", "1.1.0", "1.2.0", "1.3.0"} {
			text := "m" + tag
			f.put(manifest("r", text))
			f.update(func(ctx context.Context, tx meta.Tx) error { return tx.PutTag(ctx, "r", tag, sum(text), at(i)) })
		}
		f.notice("r", "1.3.0", yanked(9))
		f.notice("r", "1.1.0", yanked(9))
		f.notice("r", "1.2.0", meta.Notice{State: meta.NoticeDeprecated, Reason: "use 2", By: "ann", Time: at(9)})
		for _, tt := range []struct {
			p    meta.Page
			want []string
		}{
			{meta.Page{}, []string{"1.0.0", "1.2.0"}},
			{meta.Page{Limit: 2}, []string{"1.0.0", "1.2.0"}},
			{meta.Page{After: "1.0.0", Limit: 1}, []string{"1.2.0"}},
			{meta.Page{After: "1.2.0"}, nil},
		} {
			got, err := f.db.Tags(f.Context(), "r", tt.p)
			want(f, fmt.Sprintf("Tags(%+v)", tt.p), got, err, tt.want)
		}
		packages := func() meta.Package {
			f.Helper()
			got, err := f.db.Packages(f.Context(), everything, meta.Page{})
			if err != nil || len(got) != 1 {
				f.Fatalf("Packages() = %v, %v; want one", got, err)
			}
			return got[0]
		}
		latest := meta.Tag{Name: "1.2.0", Digest: sum("m1.2.0"), Updated: at(2)}
		want(f, "Packages()", packages(), nil, meta.Package{Name: "r", Tags: 4, Latest: latest, Updated: at(3)})
		tag, err := f.db.Tag(f.Context(), "r", "1.3.0")
		want(f, "Tag(1.3.0)", tag, err, meta.Tag{Name: "1.3.0", Digest: sum("m1.3.0"), Updated: at(3)})
		m, err := f.db.TaggedManifest(f.Context(), "r", "1.3.0")
		want(f, "TaggedManifest(1.3.0)", m.Digest, err, sum("m1.3.0"))
		tags, err := f.db.ManifestTags(f.Context(), "r", sum("m1.3.0"))
		want(f, "ManifestTags()", tags, err, []string{"1.3.0"})
		for _, tag := range []string{"1.0.0", "1.2.0"} {
			f.notice("r", tag, yanked(10))
		}
		want(f, "Packages() with all yanked", packages(), nil, meta.Package{Name: "r", Tags: 4, Updated: at(3)})
		tags, err = f.db.Tags(f.Context(), "r", meta.Page{})
		want(f, "Tags() with all yanked", tags, err, nil)
	}},
	{"a notice is replaced, and none is nothing", func(f *fixture) {
		f.tag("r", "v", "m")
		for _, tt := range []struct{ set, want meta.Notice }{
			{yanked(1), yanked(1)},
			{meta.Notice{State: meta.NoticeDeprecated}, meta.Notice{State: meta.NoticeDeprecated}},
			{yanked(2), yanked(2)},
			{meta.Notice{Reason: "it was a mistake", By: "ann", Time: at(3)}, meta.Notice{}},
		} {
			f.notice("r", "v", tt.set)
			got, err := f.db.Version(f.Context(), "r", "v")
			want(f, fmt.Sprintf("Version() after SetNotice(%+v)", tt.set), got.Notice, err, tt.want)
		}
		tags, err := f.db.Tags(f.Context(), "r", meta.Page{})
		want(f, "Tags()", tags, err, []string{"v"})
		for _, state := range []meta.NoticeState{-1, 3} {
			err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error {
				return tx.SetNotice(ctx, "r", "v", meta.Notice{State: state})
			})
			if err == nil {
				f.Errorf("SetNotice() of state %d = nil, want an error", state)
			}
		}
	}},
	{"a notice stays when the tag moves, and ends with it", func(f *fixture) {
		f.tag("r", "v", "m")
		f.tag("r", "w", "m")
		f.notice("r", "v", yanked(1))
		f.notice("r", "w", yanked(1))
		f.tag("r", "v", "n")
		got, err := f.db.Version(f.Context(), "r", "v")
		moved := version("v", "n")
		moved.Notice = yanked(1)
		want(f, "Version() of the moved tag", got, err, moved)
		f.update(func(ctx context.Context, tx meta.Tx) error {
			if err := tx.DeleteTag(ctx, "r", "v", true, at(3)); err != nil {
				return err
			}
			_, err := tx.DeleteManifest(ctx, "r", sum("m"))
			return err
		})
		for _, tag := range []string{"v", "w"} {
			f.tag("r", tag, "n")
			got, err := f.db.Version(f.Context(), "r", tag)
			want(f, "Version() of "+tag+", made anew", got, err, version(tag, "n"))
		}
	}},
	{"a notice is journaled", func(f *fixture) {
		f.tag("r", "v", "m")
		n := yanked(1)
		f.notice("r", "v", n)
		f.notice("r", "v", meta.Notice{})
		es := f.entries()
		want(f, "records of a notice", f.records(es[1]), nil, []meta.Record{{Op: meta.OpSetNotice, Repo: "r", Tag: "v", Notice: &n}})
		want(f, "records of its end", f.records(es[2]), nil, []meta.Record{{Op: meta.OpSetNotice, Repo: "r", Tag: "v", Notice: &meta.Notice{}}})
	}},
}

var downloadTests = []test{
	{"downloads add up by manifest and day", func(f *fixture) {
		f.put(manifest("r", "m"), manifest("r", "n"), manifest("other", "m"))
		day := time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
		add := func(repo, text string, at time.Time, n int64) meta.Download {
			return meta.Download{Repo: repo, Digest: sum(text), Day: at, Count: n}
		}
		east := time.FixedZone("east", 14*3600)
		f.update(func(ctx context.Context, tx meta.Tx) error {
			return tx.AddDownloads(ctx, []meta.Download{
				add("r", "m", day.Add(time.Hour), 2), add("r", "gone", day, 5), add("gone", "m", day, 5), add("r", "n", day, 0),
				add("r", "m", day.AddDate(0, 0, -1), 1), add("other", "m", day, 9),
			})
		})
		f.update(func(ctx context.Context, tx meta.Tx) error {
			return tx.AddDownloads(ctx, []meta.Download{
				add("r", "m", day.Add(23*time.Hour), 3), add("r", "n", time.Date(2026, 3, 5, 3, 0, 0, 0, east), 4),
			})
		})
		yesterday, m, n := add("r", "m", day.AddDate(0, 0, -1), 1), add("r", "m", day, 5), add("r", "n", day, 4)
		today := []meta.Download{m, n}
		if n.Digest < m.Digest {
			today = []meta.Download{n, m}
		}
		tests := []struct {
			name string
			d    digest.Digest
			from time.Time
			want []meta.Download
		}{
			{"all", "", time.Unix(0, 0), append([]meta.Download{yesterday}, today...)},
			{"the last day", "", day, today},
			{"the day that a time lies in", "", day.Add(5 * time.Hour), today},
			{"one digest", sum("m"), time.Unix(0, 0), []meta.Download{yesterday, m}},
			{"one digest on the last day", sum("n"), day, []meta.Download{n}},
			{"later days", "", day.AddDate(0, 0, 1), nil},
			{"a digest that is not there", sum("gone"), time.Unix(0, 0), nil},
		}
		for _, tt := range tests {
			got, err := f.db.Downloads(f.Context(), "r", tt.d, tt.from)
			want(f, "Downloads() of "+tt.name, got, err, tt.want)
		}
		want(f, "entries", len(f.entries()), nil, 1)
		if err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error {
			return tx.AddDownloads(ctx, []meta.Download{add("r", "m", day, -1)})
		}); err == nil {
			f.Error("AddDownloads(-1) = nil, want an error")
		}
	}},
	{"downloads go with their manifest", func(f *fixture) {
		f.tag("r", "v", "m")
		f.update(func(ctx context.Context, tx meta.Tx) error {
			return tx.AddDownloads(ctx, []meta.Download{{Repo: "r", Digest: sum("m"), Day: start, Count: 3}})
		})
		f.update(func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.DeleteManifest(ctx, "r", sum("m"))
			return err
		})
		f.tag("r", "v", "m")
		got, err := f.db.Downloads(f.Context(), "r", "", start.AddDate(-1, 0, 0))
		want(f, "Downloads() of the manifest put again", got, err, nil)
		v, err := f.db.Version(f.Context(), "r", "v")
		want(f, "Version() of it", v, err, version("v", "m"))
	}},
}

// tell puts events, one for each repository.
func (f *fixture) tell(repos ...string) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error {
		for i, repo := range repos {
			if err := tx.PutEvent(ctx, meta.Event{Time: at(i + 1), Kind: "push", Repo: repo}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *fixture) wantLastEvent(id int64) {
	f.Helper()
	got, err := f.db.LastEvent(f.Context())
	want(f, "LastEvent()", got, err, id)
}

func eventIDs(es []meta.Event) []int64 {
	var out []int64
	for _, e := range es {
		out = append(out, e.ID)
	}
	return out
}

var eventTests = []test{
	{"an event comes back as it was, numbered", func(f *fixture) {
		f.wantLastEvent(0)
		full := meta.Event{
			ID: 99, Time: at(1), Kind: "yank", Repo: "r", Digest: sum("m"), Tag: "v", Actor: "ann", Detail: json.RawMessage(`{"reason": "é"}`),
		}
		bare := meta.Event{Time: at(2), Kind: "policy"}
		f.update(func(ctx context.Context, tx meta.Tx) error {
			if err := tx.PutEvent(ctx, full); err != nil {
				return err
			}
			return tx.PutEvent(ctx, bare)
		})
		full.ID, bare.ID = 1, 2
		got, err := f.db.EventsAfter(f.Context(), everything, 0, 0)
		want(f, "EventsAfter(0)", got, err, []meta.Event{full, bare})
		f.wantLastEvent(2)
		want(f, "entries", len(f.entries()), nil, 0)
	}},
	{"events are listed in order and pages, as the caller may see them", func(f *fixture) {
		f.tell("team/app", "other", "", "team", "teams", "team/a/deep", "other")
		tests := []struct {
			name  string
			v     meta.Visibility
			after int64
			limit int
			want  []int64
		}{
			{"all", everything, 0, 0, []int64{1, 2, 3, 4, 5, 6, 7}},
			{"a page", everything, 2, 2, []int64{3, 4}},
			{"behind the last", everything, 7, 2, nil},
			{"nothing", meta.Visibility{}, 0, 0, nil},
			{"a namespace, whose page is filled", inTeam, 1, 2, []int64{4, 6}},
			{"two namespaces in one order", meta.Visibility{Namespaces: []string{"team", "other"}}, 1, 3, []int64{2, 4, 6}},
		}
		for _, tt := range tests {
			got, err := f.db.EventsAfter(f.Context(), tt.v, tt.after, tt.limit)
			want(f, "EventsAfter() of "+tt.name, eventIDs(got), err, tt.want)
		}
	}},
	{"an event is told only if its transaction is", func(f *fixture) {
		f.failing("Update()", errOwn, func(ctx context.Context, tx meta.Tx) error {
			if err := tx.PutEvent(ctx, meta.Event{Kind: "push", Time: start}); err != nil {
				return err
			}
			return errOwn
		})
		f.wantLastEvent(0)
	}},
	{"whoever follows the events of many writers misses none", func(f *fixture) {
		const writers, each = 8, 10
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range each {
					err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error {
						return tx.PutEvent(ctx, meta.Event{Kind: "push", Repo: "r", Time: start})
					})
					if err != nil {
						f.Errorf("Update() = %v", err)
					}
				}
			})
		}
		var followed []int64
		for len(followed) < writers*each && !f.Failed() {
			got, err := f.db.EventsAfter(f.Context(), everything, int64(len(followed)), 7)
			if err != nil {
				f.Fatalf("EventsAfter(%d) = %v", len(followed), err)
			}
			followed = append(followed, eventIDs(got)...)
		}
		wg.Wait()
		for i, id := range followed {
			if id != int64(i)+1 {
				f.Fatalf("event %d has id %d, want no gaps", i+1, id)
			}
		}
	}},
	{"no more are forgotten at once than other writers can wait for", func(f *fixture) {
		const all = meta.MaxForgotten + 2
		f.update(func(ctx context.Context, tx meta.Tx) error {
			for range all {
				if err := tx.PutEvent(ctx, meta.Event{Time: start, Kind: "push"}); err != nil {
					return err
				}
				if _, err := tx.PutDecision(ctx, decision("r", "m", 0, 0)); err != nil {
					return err
				}
			}
			return nil
		})
		for _, left := range []int64{all, 2, 0} {
			var events, decisions int64
			f.update(func(ctx context.Context, tx meta.Tx) (err error) {
				if events, err = tx.ForgetEvents(ctx, at(1), all); err != nil {
					return err
				}
				decisions, err = tx.ExpireQuarantine(ctx, start, at(1))
				return err
			})
			gone := min(left, meta.MaxForgotten)
			want(f, fmt.Sprintf("ForgetEvents() of %d", left), events, nil, gone)
			want(f, fmt.Sprintf("ExpireQuarantine() of %d decisions", left), decisions, nil, gone)
		}
	}},
	{"events are forgotten by age and by number, and ids are not used again", func(f *fixture) {
		f.tell("1", "2", "3", "4", "5", "6")
		tests := []struct {
			before int
			keep   int64
			gone   int64
			want   []int64
		}{
			{before: 0, keep: 6, want: []int64{1, 2, 3, 4, 5, 6}},
			{before: 2, keep: 100, gone: 1, want: []int64{2, 3, 4, 5, 6}},
			{before: 0, keep: 3, gone: 2, want: []int64{4, 5, 6}},
			{before: 6, keep: 3, gone: 2, want: []int64{6}},
			{before: 100, keep: 3, gone: 1},
			{before: 100, keep: 3},
		}
		for _, tt := range tests {
			call := fmt.Sprintf("ForgetEvents(%d, %d)", tt.before, tt.keep)
			var gone int64
			f.update(func(ctx context.Context, tx meta.Tx) (err error) {
				gone, err = tx.ForgetEvents(ctx, at(tt.before), tt.keep)
				return err
			})
			want(f, call, gone, nil, tt.gone)
			got, err := f.db.EventsAfter(f.Context(), everything, 0, 0)
			want(f, "EventsAfter() after "+call, eventIDs(got), err, tt.want)
			f.wantLastEvent(6)
		}
		f.tell("next")
		f.wantLastEvent(7)
		var gone int64
		f.update(func(ctx context.Context, tx meta.Tx) (err error) {
			gone, err = tx.ForgetEvents(ctx, at(0), 0)
			return err
		})
		want(f, "ForgetEvents() that keeps none", gone, nil, int64(1))
		f.wantLastEvent(7)
	}},
}
