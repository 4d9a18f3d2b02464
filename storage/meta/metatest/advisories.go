package metatest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// errStop ends an update that is to leave nothing.
var errStop = errors.New("stop")

// advisory is a record about packages of cargo.
func advisory(id string, modified int, packages ...string) meta.NewAdvisory {
	a := meta.NewAdvisory{Digest: sum(fmt.Sprint(id, modified)), Advisory: meta.Advisory{
		ID: id, Modified: at(modified), Body: json.RawMessage(fmt.Sprintf(`{"id":%q,"modified":%d}`, id, modified)),
	}}
	for _, p := range packages {
		a.Packages = append(a.Packages, meta.EcosystemPackage{Ecosystem: "cargo", Name: p})
	}
	return a
}

func (f *fixture) advise(feed string, as ...meta.NewAdvisory) (changed int) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) (err error) {
		changed, err = tx.PutAdvisories(ctx, feed, as)
		return err
	})
	return changed
}

func (f *fixture) retract(feed string, ids ...string) (removed int) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) (err error) {
		removed, err = tx.RemoveAdvisories(ctx, feed, ids)
		return err
	})
	return removed
}

// refs are the advisories about packages of cargo, as text.
func (f *fixture) refs(names ...string) (out []string) {
	f.Helper()
	var packages []meta.EcosystemPackage
	for _, n := range names {
		packages = append(packages, meta.EcosystemPackage{Ecosystem: "cargo", Name: n})
	}
	got, err := f.db.AdvisoryRefs(f.Context(), packages)
	if err != nil {
		f.Fatalf("AdvisoryRefs(%q) = %v", names, err)
	}
	for _, r := range got {
		out = append(out, fmt.Sprint(r.Name, " ", r.ID, " ", r.Revision))
	}
	return out
}

// forgetAdvisories has everything matched and forgets what is removed.
func (f *fixture) forgetAdvisories(expect int64) {
	f.Helper()
	revision := f.revision()
	f.update(func(ctx context.Context, tx meta.Tx) error {
		if err := tx.SetMatchedRevision(ctx, revision); err != nil {
			return err
		}
		n, err := tx.ForgetAdvisories(ctx)
		want(f, "ForgetAdvisories()", n, err, expect)
		return err
	})
}

func (f *fixture) revision() int64 {
	f.Helper()
	got, err := f.db.AdvisoryRevision(f.Context())
	if err != nil {
		f.Fatalf("AdvisoryRevision() = %v", err)
	}
	return got
}

func idsOf(as []meta.Advisory) (out []string) {
	for _, a := range as {
		out = append(out, a.ID)
	}
	return out
}

var advisoryTests = []test{
	{"an advisory is found by id, alias, package and revision", func(f *fixture) {
		x := advisory("RUSTSEC-1", 1, "b", "a", "b")
		x.Aliases, x.Withdrawn = []string{"GHSA-2", "CVE-1", "CVE-1"}, at(9)
		y := advisory("GHSA-2", 2, "b")
		y.Packages[0].Ecosystem = "npm"
		want(f, "PutAdvisories() of two", f.advise("feed", x, y), nil, 2)
		kept := x.Advisory
		kept.Aliases, kept.Revision = []string{"CVE-1", "GHSA-2"}, 1
		kept.Packages = []meta.EcosystemPackage{{Ecosystem: "cargo", Name: "a"}, {Ecosystem: "cargo", Name: "b"}}
		other := y.Advisory
		other.Revision = 2
		got, err := f.db.AdvisoriesByID(f.Context(), []string{"RUSTSEC-1", "none", "GHSA-2", "RUSTSEC-1"})
		want(f, "AdvisoriesByID()", got, err, []meta.Advisory{other, kept})
		got, err = f.db.AdvisoriesNamed(f.Context(), "CVE-1", 0)
		want(f, "AdvisoriesNamed(CVE-1)", got, err, []meta.Advisory{kept})
		got, err = f.db.AdvisoriesNamed(f.Context(), "GHSA-2", 0)
		want(f, "AdvisoriesNamed(GHSA-2)", got, err, []meta.Advisory{other, kept})
		got, err = f.db.AdvisoriesNamed(f.Context(), "GHSA-2", 1)
		want(f, "AdvisoriesNamed(GHSA-2), one of them", got, err, []meta.Advisory{other})
		got, err = f.db.AdvisoriesSince(f.Context(), 0, 1)
		want(f, "AdvisoriesSince(0), the first", got, err, []meta.Advisory{kept})
		got, err = f.db.AdvisoriesSince(f.Context(), 1, 0)
		want(f, "AdvisoriesSince(1)", got, err, []meta.Advisory{other})
		want(f, "AdvisoryRefs()", f.refs("a", "b", "c", "a"), nil, []string{"a RUSTSEC-1 1", "b RUSTSEC-1 1"})
		want(f, "AdvisoryRefs() of none", f.refs(), nil, nil)
	}},
	{"many packages are looked up at once", func(f *fixture) {
		var names, expect []string
		for i := range 100 {
			names = append(names, fmt.Sprintf("p%03d", i))
		}
		f.advise("feed", advisory("X-1", 1, names...))
		for _, n := range names {
			expect = append(expect, n+" X-1 1")
		}
		want(f, "AdvisoryRefs()", f.refs(names...), nil, expect)
	}},
	{"an advisory that changes gets a new revision and loses the packages and aliases it had", func(f *fixture) {
		x := advisory("X-1", 1, "a", "b")
		x.Aliases = []string{"CVE-1"}
		f.advise("feed", x)
		want(f, "PutAdvisories() of the same", f.advise("feed", x), nil, 0)
		want(f, "AdvisoryRevision()", f.revision(), nil, 1)
		want(f, "PutAdvisories() of an older one", f.advise("feed", advisory("X-1", 0, "c")), nil, 0)
		next := advisory("X-1", 2, "b", "c")
		next.Aliases = []string{"CVE-2"}
		want(f, "PutAdvisories() of a newer one", f.advise("feed", next), nil, 1)
		want(f, "AdvisoryRefs()", f.refs("a", "b", "c"), nil, []string{"b X-1 2", "c X-1 2"})
		for alias, expect := range map[string][]string{"CVE-1": nil, "CVE-2": {"X-1"}} {
			got, err := f.db.AdvisoriesNamed(f.Context(), alias, 0)
			want(f, "AdvisoriesNamed("+alias+")", idsOf(got), err, expect)
		}
		next.Withdrawn = at(5)
		want(f, "PutAdvisories() of the same, withdrawn", f.advise("feed", next), nil, 1)
		next.Withdrawn = time.Time{}
		want(f, "PutAdvisories() of the same, back", f.advise("feed", next), nil, 1)
	}},
	{"an advisory stays as long as a feed has it", func(f *fixture) {
		f.advise("one", advisory("X-1", 2, "a"), advisory("X-2", 1, "b"))
		want(f, "PutAdvisories() of another feed's older one", f.advise("two", advisory("X-1", 1, "z")), nil, 0)
		page, err := f.db.FeedAdvisories(f.Context(), "two", meta.Page{})
		want(f, "FeedAdvisories(two)", page, err, []meta.FeedAdvisory{{ID: "X-1", Digest: sum("X-11")}})
		page, err = f.db.FeedAdvisories(f.Context(), "one", meta.Page{After: "X-1", Limit: 1})
		want(f, "FeedAdvisories(one) after the first", page, err, []meta.FeedAdvisory{{ID: "X-2", Digest: sum("X-21")}})
		page, err = f.db.FeedAdvisories(f.Context(), "none", meta.Page{})
		want(f, "FeedAdvisories(none)", page, err, nil)
		before := f.revision()
		want(f, "RemoveAdvisories() from one of two feeds", f.retract("one", "X-1", "none"), nil, 0)
		want(f, "RemoveAdvisories(), again", f.retract("one", "X-1"), nil, 0)
		want(f, "AdvisoryRevision() after that", f.revision(), nil, before)
		want(f, "AdvisoryRefs(a)", f.refs("a"), nil, []string{"a X-1 1"})
		want(f, "RemoveAdvisories() from the other", f.retract("two", "X-1"), nil, 1)
		want(f, "AdvisoryRefs(a) after that", f.refs("a", "b"), nil, []string{"b X-2 2"})
		want(f, "AdvisoryRevision() after a removal", f.revision(), nil, before+1)
		want(f, "RemoveAdvisories() of a feed there is not", f.retract("none", "X-2"), nil, 0)
		f.failing("DeleteFeed() of one that has some", meta.ErrConflict, func(ctx context.Context, tx meta.Tx) error {
			return tx.DeleteFeed(ctx, "one")
		})
		f.retract("one", "X-2")
		for range 2 {
			f.update(func(ctx context.Context, tx meta.Tx) error { return tx.DeleteFeed(ctx, "one") })
		}
		feeds, err := f.db.Feeds(f.Context())
		want(f, "Feeds()", feeds, err, []meta.Feed{{Source: "two"}})
	}},
	{"a removed advisory stays until all files were compared with it, and is about nothing", func(f *fixture) {
		x := advisory("X-1", 5, "a")
		x.Aliases = []string{"CVE-1"}
		f.advise("feed", x, advisory("X-2", 1, "a"))
		f.compose(componentsOf("f", 1, crate("a", "1")))
		f.retract("feed", "X-1")
		want(f, "AdvisoryRefs(a)", f.refs("a"), nil, []string{"a X-2 2"})
		since, err := f.db.AdvisoriesSince(f.Context(), 2, 0)
		gone := x.Advisory
		gone.Removed, gone.Revision = true, 3
		want(f, "AdvisoriesSince(2)", since, err, []meta.Advisory{gone})
		f.failing("PutFindings() of it", meta.ErrNotFound, func(ctx context.Context, tx meta.Tx) error {
			return tx.PutFindings(ctx, sum("f"), "", []meta.Finding{finding("X-1", crate("a", "1"))})
		})
		f.update(func(ctx context.Context, tx meta.Tx) error {
			n, err := tx.ForgetAdvisories(ctx)
			want(f, "ForgetAdvisories() before that", n, err, 0)
			return err
		})
		want(f, "RemoveAdvisories(), again", f.retract("feed", "X-1"), nil, 0)
		want(f, "PutAdvisories() of it, older than it was", f.advise("feed", advisory("X-1", 2, "a")), nil, 1)
		want(f, "AdvisoryRefs(a) when it is back", f.refs("a"), nil, []string{"a X-1 4", "a X-2 2"})
		f.retract("feed", "X-1")
		f.forgetAdvisories(1)
		f.forgetAdvisories(0)
		got, err := f.db.AdvisoriesByID(f.Context(), []string{"X-1"})
		want(f, "AdvisoriesByID(X-1)", got, err, nil)
		got, err = f.db.AdvisoriesNamed(f.Context(), "CVE-1", 0)
		want(f, "AdvisoriesNamed(CVE-1)", got, err, nil)
	}},
	{"a feed's state is what was written last, and putting advisories leaves it", func(f *fixture) {
		b := meta.Feed{Source: "b", ETag: `W/"x"`, Digest: sum("zip"), Attempted: at(3), Imported: at(2), Advisories: 7, Error: "no route"}
		b.Refused, b.Newest = 2, at(1)
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.PutFeed(ctx, b) })
		f.advise("b", advisory("X-1", 1))
		f.advise("a", advisory("X-1", 1))
		got, err := f.db.Feeds(f.Context())
		want(f, "Feeds()", got, err, []meta.Feed{{Source: "a"}, b})
		b.Error, b.Imported = "", at(4)
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.PutFeed(ctx, b) })
		got, err = f.db.Feeds(f.Context())
		want(f, "Feeds() after another import", got, err, []meta.Feed{{Source: "a"}, b})
	}},
	{"the revision that was matched never goes back", func(f *fixture) {
		for _, tt := range []struct{ set, expect int64 }{{3, 3}, {2, 3}, {9, 9}} {
			f.update(func(ctx context.Context, tx meta.Tx) error { return tx.SetMatchedRevision(ctx, tt.set) })
			got, err := f.db.MatchedRevision(f.Context())
			want(f, fmt.Sprintf("MatchedRevision() after %d", tt.set), got, err, tt.expect)
		}
	}},
	{"hostile texts of advisories come back as they were", func(f *fixture) {
		a := advisory("X-1", 1)
		for _, text := range hostile {
			a.Packages = append(a.Packages, meta.EcosystemPackage{Ecosystem: "cargo", Name: text})
			a.Aliases = append(a.Aliases, text)
		}
		f.advise("<feed>'", a)
		slices.Sort(a.Aliases)
		got, err := f.db.AdvisoriesByID(f.Context(), []string{"X-1"})
		if err != nil || len(got) != 1 {
			f.Fatalf("AdvisoriesByID() = %v, %v", got, err)
		}
		want(f, "its aliases", got[0].Aliases, nil, a.Aliases)
		for _, text := range hostile {
			want(f, fmt.Sprintf("AdvisoryRefs(%.40q)", text), f.refs(text), nil, []string{text + " X-1 1"})
		}
		f.advise("<feed>'", advisory("X-1", 2))
		want(f, "AdvisoryRefs() of all", f.refs(hostile...), nil, nil)
	}},
	{"advisories beyond their bounds are refused, and nothing of their batch stays", func(f *fixture) {
		long := strings.Repeat("x", 5000)
		change := func(c func(*meta.NewAdvisory)) []meta.NewAdvisory {
			a := advisory("X-2", 1, "a")
			c(&a)
			return []meta.NewAdvisory{advisory("X-1", 1, "a"), a}
		}
		for name, batch := range map[string][]meta.NewAdvisory{
			"no id":                  change(func(a *meta.NewAdvisory) { a.ID = "" }),
			"a long id":              change(func(a *meta.NewAdvisory) { a.ID = long }),
			"a zero byte":            change(func(a *meta.NewAdvisory) { a.ID = "X\x00" }),
			"a long alias":           change(func(a *meta.NewAdvisory) { a.Aliases = []string{long} }),
			"many aliases":           change(func(a *meta.NewAdvisory) { a.Aliases = make([]string, meta.MaxAdvisoryAliases+1) }),
			"many packages":          change(func(a *meta.NewAdvisory) { a.Packages = make([]meta.EcosystemPackage, meta.MaxAdvisoryPackages+1) }),
			"a long package":         change(func(a *meta.NewAdvisory) { a.Packages[0].Name = long }),
			"a bad package":          change(func(a *meta.NewAdvisory) { a.Packages[0].Name = "\xff" }),
			"a body that is no JSON": change(func(a *meta.NewAdvisory) { a.Body = json.RawMessage("{") }),
			"a great body": change(func(a *meta.NewAdvisory) {
				a.Body = json.RawMessage(`"` + strings.Repeat("x", meta.MaxAdvisory) + `"`)
			}),
			"many at once": make([]meta.NewAdvisory, meta.MaxAdvisoryBatch+1),
		} {
			err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error {
				_, err := tx.PutAdvisories(ctx, "feed", batch)
				return err
			})
			if err == nil {
				f.Errorf("PutAdvisories() with %s succeeded", name)
			}
		}
		for name, feed := range map[string]meta.Feed{"a long error": {Source: "s", Error: long}, "a zero byte": {Source: "\x00"}} {
			if err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error { return tx.PutFeed(ctx, feed) }); err == nil {
				f.Errorf("PutFeed() with %s succeeded", name)
			}
		}
		want(f, "AdvisoryRefs(a)", f.refs("a"), nil, nil)
		want(f, "AdvisoryRevision()", f.revision(), nil, 0)
	}},
}

func finding(id string, c meta.Coordinate) meta.Finding {
	return meta.Finding{Advisory: id, Component: c, Reach: meta.ReachLinked, Severity: 75, FirstSeen: at(10)}
}

func (f *fixture) find(text, advisory string, fs ...meta.Finding) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error { return tx.PutFindings(ctx, sum(text), advisory, fs) })
}

func (f *fixture) wantFindings(text string, expect ...meta.Finding) {
	f.Helper()
	got, err := f.db.FileFindings(f.Context(), sum(text))
	want(f, "FileFindings("+text+")", got, err, expect)
}

var findingTests = []test{
	{"a file has the findings that were put last, which keep when they were first seen", func(f *fixture) {
		a, b := crate("a", "1"), crate("b", "1")
		f.compose(componentsOf("f", 1, a, b), componentsOf("g", 1, a))
		f.advise("feed", advisory("X-1", 1, "a"), advisory("X-2", 1, "a", "b"))
		first, second, third := finding("X-1", a), finding("X-2", a), finding("X-2", b)
		f.find("f", "", third, first, second)
		f.find("g", "", first)
		f.wantFindings("f", first, second, third)
		first.Reach, first.RuledOut, first.Severity, first.FirstSeen = meta.ReachSymbolLinked, true, 98, at(20)
		f.find("f", "", first, third)
		first.FirstSeen = at(10)
		f.wantFindings("f", first, third)
		first.FirstSeen = at(5)
		f.find("f", "X-1", first)
		f.wantFindings("f", first, third)
		f.find("f", "X-2")
		f.wantFindings("f", first)
		f.find("f", "")
		f.wantFindings("f")
		f.wantFindings("g", finding("X-1", a))
		f.wantFindings("unknown")
	}},
	{"findings go with their component, their advisory and their file", func(f *fixture) {
		a, b := crate("a", "1"), crate("b", "1")
		f.compose(componentsOf("f", 1, a, b), componentsOf("g", 1, a))
		f.advise("feed", advisory("X-1", 1, "a"), advisory("X-2", 1, "b"), advisory("X-3", 1, "b"))
		f.find("f", "", finding("X-1", a), finding("X-2", b), finding("X-3", b))
		f.find("g", "", finding("X-1", a))
		f.retract("feed", "X-3")
		f.wantFindings("f", finding("X-1", a), finding("X-2", b), finding("X-3", b))
		f.forgetAdvisories(1)
		f.wantFindings("f", finding("X-1", a), finding("X-2", b))
		f.compose(componentsOf("f", 2, b))
		f.wantFindings("f", finding("X-2", b))
		f.update(func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.ForgetComponents(ctx, 2)
			return err
		})
		f.wantFindings("g")
		got, err := f.db.FindingFiles(f.Context(), []string{"X-1"}, 0, 0)
		want(f, "FindingFiles(X-1)", got, err, nil)
	}},
	{"findings of what is not there are refused", func(f *fixture) {
		a := crate("a", "1")
		f.compose(componentsOf("f", 1, a), componentsOf("g", 1, crate("b", "1")))
		f.advise("feed", advisory("X-1", 1, "a"))
		for name, put := range map[string]struct {
			file     string
			findings []meta.Finding
		}{
			"an unknown file":          {"none", []meta.Finding{finding("X-1", a)}},
			"an unknown advisory":      {"f", []meta.Finding{finding("X-2", a)}},
			"an unknown component":     {"f", []meta.Finding{finding("X-1", crate("a", "2"))}},
			"another file's component": {"f", []meta.Finding{finding("X-1", crate("b", "1"))}},
		} {
			f.failing("PutFindings() of "+name, meta.ErrNotFound, func(ctx context.Context, tx meta.Tx) error {
				return tx.PutFindings(ctx, sum(put.file), "", put.findings)
			})
		}
		for name, change := range map[string]func(*meta.Finding){
			"a reach there is not":            func(x *meta.Finding) { x.Reach = 5 },
			"what is reachable and ruled out": func(x *meta.Finding) { x.Reach, x.RuledOut = meta.ReachReachable, true },
			"a severity above ten":            func(x *meta.Finding) { x.Severity = 101 },
			"a severity below zero":           func(x *meta.Finding) { x.Severity = -1 },
			"another advisory":                func(x *meta.Finding) { x.Advisory = "X-2" },
		} {
			x := finding("X-1", a)
			change(&x)
			err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error {
				return tx.PutFindings(ctx, sum("f"), "X-1", []meta.Finding{x})
			})
			if err == nil {
				f.Errorf("PutFindings() of %s succeeded", name)
			}
		}
		f.wantFindings("f")
	}},
	{"findings are listed and counted by manifest", func(f *fixture) {
		a, b := crate("a", "1"), crate("b", "1")
		f.compose(componentsOf("f", 1, a, b), componentsOf("g", 1, a))
		f.advise("feed", advisory("X-1", 1, "a"), advisory("X-2", 1, "b"))
		reachable, ruledOut := finding("X-2", b), finding("X-1", a)
		reachable.Reach, ruledOut.RuledOut = meta.ReachReachable, true
		f.find("f", "", finding("X-1", a), reachable)
		f.find("g", "", ruledOut)
		f.pin("r", "m", "f", "g", "x1", "x2", "x3", "x4")
		f.pin("r", "none", "x1")
		f.pin("r", "no layers")
		expect := []meta.FileFinding{
			{Digest: sum("f"), Finding: finding("X-1", a)},
			{Digest: sum("f"), Finding: reachable},
			{Digest: sum("g"), Finding: ruledOut},
		}
		slices.SortStableFunc(expect, func(a, b meta.FileFinding) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
		got, err := f.db.ManifestFindings(f.Context(), "r", sum("m"))
		want(f, "ManifestFindings(r, m)", got, err, expect)
		counts, err := f.db.FindingCounts(f.Context(), "r", sum("m"))
		want(f, "FindingCounts(r, m)", counts, err, []meta.FindingCount{
			{Reach: meta.ReachReachable, Severity: 75, Count: 1},
			{Reach: meta.ReachLinked, Severity: 75, Count: 1},
			{Reach: meta.ReachLinked, RuledOut: true, Severity: 75, Count: 1},
		})
		for _, text := range []string{"none", "no layers"} {
			counts, err := f.db.FindingCounts(f.Context(), "r", sum(text))
			want(f, "FindingCounts(r, "+text+")", counts, err, nil)
		}
		for _, k := range []meta.ManifestKey{{Repo: "r", Digest: sum("absent")}, {Repo: "absent", Digest: sum("m")}} {
			_, err = f.db.FindingCounts(f.Context(), k.Repo, k.Digest)
			fails(f, "FindingCounts() of what is absent", err, meta.ErrNotFound)
			_, err = f.db.ManifestFindings(f.Context(), k.Repo, k.Digest)
			fails(f, "ManifestFindings() of what is absent", err, meta.ErrNotFound)
		}
	}},
	{"files and uses of an advisory are listed in pages, to who may see them", func(f *fixture) {
		named := advisory("X-1", 1, "a")
		named.Aliases = []string{"CVE-1"}
		f.advise("feed", named, advisory("X-2", 1, "a"))
		a, b := crate("a", "1"), crate("a", "2")
		var files []digest.Digest
		for i := range 7 {
			text := fmt.Sprint(i)
			f.compose(componentsOf(text, 1, a, b))
			f.find(text, "", finding("X-1", a), finding("X-1", b), finding("X-2", a))
			f.pin([]string{"team/x", "other"}[i%2], "m"+text, text)
			files = append(files, sum(text))
		}
		f.find("3", "")
		files = slices.Delete(files, 3, 4)
		for _, limit := range []int{0, 1, 2, 6, 9} {
			var got []digest.Digest
			for after := int64(0); ; {
				page, err := f.db.FindingFiles(f.Context(), []string{"none", "CVE-1", "X-2"}, after, limit)
				if err != nil {
					f.Fatalf("FindingFiles() = %v", err)
				}
				for _, file := range page {
					got, after = append(got, file.Digest), file.ID
				}
				if limit == 0 || len(page) < limit {
					break
				}
			}
			want(f, fmt.Sprintf("FindingFiles() in pages of %d", limit), got, nil, files)
			for name, v := range map[string]meta.Visibility{"all": everything, "team": {Namespaces: []string{"team"}}, "nothing": {}} {
				uses := walk(f, limit, func(after meta.UsePosition) ([]meta.FindingUse, *meta.UsePosition, error) {
					p, err := f.db.FindingUses(f.Context(), v, "X-1", after, limit)
					return p.Uses, p.Next, err
				})
				var got []digest.Digest
				for _, u := range uses {
					got = append(got, u.Digest)
					if diff := cmp.Diff([]meta.Finding{finding("X-1", a), finding("X-1", b)}, u.Findings); diff != "" {
						f.Errorf("findings of a use: want -, got +\n%s", diff)
					}
				}
				var expect []digest.Digest
				for _, d := range files {
					if name == "all" || name == "team" && slices.Contains([]digest.Digest{sum("0"), sum("2"), sum("4"), sum("6")}, d) {
						expect = append(expect, d)
					}
				}
				want(f, fmt.Sprintf("FindingUses() of %s in pages of %d", name, limit), got, nil, expect)
			}
		}
	}},
	{"whoever writes findings sees an advisory that came in between", func(f *fixture) {
		f.compose(componentsOf("f", 1, crate("a", "1")))
		read := f.revision()
		f.advise("feed", advisory("X-1", 1, "a"))
		f.update(func(ctx context.Context, tx meta.Tx) error {
			now, err := tx.AdvisoryRevision(ctx)
			if err == nil && now == read {
				err = fmt.Errorf("AdvisoryRevision() = %d, as before", now)
			}
			return err
		})
	}},
}
