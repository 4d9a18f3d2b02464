package metatest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// inTeam sees one namespace.
var inTeam = meta.Visibility{Namespaces: []string{"team"}}

// putPolicy stores a version at the time of n.
func (f *fixture) putPolicy(name, source string, n int) meta.Policy {
	f.Helper()
	var got meta.Policy
	f.update(func(ctx context.Context, tx meta.Tx) (err error) {
		got, err = tx.PutPolicy(ctx, meta.Policy{Name: name, Source: source, Author: "ann", Created: at(n)})
		return err
	})
	return got
}

func (f *fixture) wantRevision(after string, revision int64) {
	f.Helper()
	got, err := f.db.PolicyRevision(f.Context())
	want(f, "PolicyRevision() after "+after, got, err, revision)
}

var policyTests = []test{
	{"a policy counts its versions, and every change the revision", func(f *fixture) {
		f.wantRevision("nothing", 0)
		first := meta.Policy{Name: "network", Version: 1, Revision: 1, Source: "deny: all", Author: "ann", Created: at(1)}
		other := meta.Policy{Name: "a", Version: 1, Revision: 2, Source: "size", Author: "ann", Created: at(2)}
		second := meta.Policy{Name: "network", Version: 2, Revision: 3, Source: "deny: some", Author: "ann", Created: at(3)}
		for i, p := range []meta.Policy{first, other, second} {
			want(f, "PutPolicy("+p.Source+")", f.putPolicy(p.Name, p.Source, i+1), nil, p)
			f.wantRevision("PutPolicy("+p.Source+")", int64(i)+1)
		}
		all, err := f.db.Policies(f.Context())
		want(f, "Policies()", all, err, []meta.Policy{other, second})
		versions, err := f.db.PolicyVersions(f.Context(), "network")
		want(f, "PolicyVersions(network)", versions, err, []meta.Policy{second, first})
		versions, err = f.db.PolicyVersions(f.Context(), "none")
		want(f, "PolicyVersions(none)", versions, err, nil)
	}},
	{"the same source again changes nothing, an earlier one is a new version", func(f *fixture) {
		first := f.putPolicy("p", "one", 1)
		want(f, "PutPolicy() of the same source", f.putPolicy("p", "one", 2), nil, first)
		f.wantRevision("the same source", 1)
		want(f, "entries", len(f.entries()), nil, 1)
		f.putPolicy("p", "two", 3)
		want(f, "version of the first source after another", f.putPolicy("p", "one", 4).Version, nil, int64(3))
	}},
	{"what a caller says of version and revision is not heard", func(f *fixture) {
		f.update(func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.PutPolicy(ctx, meta.Policy{Name: "p", Version: 7, Revision: 9, Deleted: true, Source: "s", Created: start})
			return err
		})
		all, err := f.db.Policies(f.Context())
		want(f, "Policies()", all, err, []meta.Policy{{Name: "p", Version: 1, Revision: 1, Source: "s", Created: start}})
	}},
	{"a deleted policy is absent, its versions stay, and one of its name counts on", func(f *fixture) {
		first := f.putPolicy("p", "one", 1)
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.DeletePolicy(ctx, "p", "bob", at(2)) })
		f.wantRevision("DeletePolicy()", 2)
		all, err := f.db.Policies(f.Context())
		want(f, "Policies()", all, err, nil)
		deleted := meta.Policy{Name: "p", Version: 2, Revision: 2, Author: "bob", Created: at(2), Deleted: true}
		versions, err := f.db.PolicyVersions(f.Context(), "p")
		want(f, "PolicyVersions(p)", versions, err, []meta.Policy{deleted, first})
		for _, name := range []string{"p", "none"} {
			f.failing("DeletePolicy("+name+")", meta.ErrNotFound, func(ctx context.Context, tx meta.Tx) error {
				return tx.DeletePolicy(ctx, name, "bob", at(3))
			})
		}
		again := meta.Policy{Name: "p", Version: 3, Revision: 3, Source: "one", Author: "ann", Created: at(4)}
		want(f, "PutPolicy() of the same source after that", f.putPolicy("p", "one", 4), nil, again)
	}},
	{"an update sees the policies and the revision it wrote, and loses them with the rest", func(f *fixture) {
		f.failing("Update()", errOwn, func(ctx context.Context, tx meta.Tx) error {
			if _, err := tx.PutPolicy(ctx, meta.Policy{Name: "p", Source: "s", Created: start}); err != nil {
				return err
			}
			if got, err := tx.PolicyRevision(ctx); got != 1 || err != nil {
				return fmt.Errorf("PolicyRevision() = %d, %w; want 1", got, err)
			}
			if got, err := tx.Policies(ctx); len(got) != 1 || err != nil {
				return fmt.Errorf("Policies() = %v, %w; want one", got, err)
			}
			return errOwn
		})
		f.wantRevision("an update that failed", 0)
	}},
	{"text that one of the databases cannot hold is refused by both", func(f *fixture) {
		for _, text := range []string{"zero\x00byte", "\xff"} {
			for call, fn := range map[string]func(context.Context, meta.Tx) error{
				"PutPolicy": func(ctx context.Context, tx meta.Tx) error {
					_, err := tx.PutPolicy(ctx, meta.Policy{Name: "p", Source: text, Created: start})
					return err
				},
				"PutApproval": func(ctx context.Context, tx meta.Tx) error {
					return tx.PutApproval(ctx, meta.Approval{Repo: "r", Digest: sum("m"), Reason: text, Time: start})
				},
				"PutEvent": func(ctx context.Context, tx meta.Tx) error {
					return tx.PutEvent(ctx, meta.Event{Kind: "push", Actor: text, Time: start})
				},
				"PutDecision": func(ctx context.Context, tx meta.Tx) error {
					_, err := tx.PutDecision(ctx, meta.Decision{Repo: "r", Principal: text, Time: start})
					return err
				},
				"PutQuarantine": func(ctx context.Context, tx meta.Tx) error {
					return tx.PutQuarantine(ctx, meta.Quarantine{Repo: "r", Digest: sum("m"), MediaType: text, Until: at(9)})
				},
			} {
				if err := f.db.Update(f.Context(), fn); err == nil {
					f.Errorf("%s(%q) = nil, want an error", call, text)
				}
			}
		}
		want(f, "entries", len(f.entries()), nil, 0)
	}},
}

// approve approves a digest at the time of n.
func (f *fixture) approve(repo, text, rule string, n int) meta.Approval {
	f.Helper()
	a := meta.Approval{Repo: repo, Digest: sum(text), Rule: rule, By: "eve", Reason: "looked at", Time: at(n)}
	f.update(func(ctx context.Context, tx meta.Tx) error { return tx.PutApproval(ctx, a) })
	return a
}

var approvalTests = []test{
	{"approvals are listed newest first, by repository and digest, as the caller may see them", func(f *fixture) {
		app := f.approve("team/app", "m", "network/deny", 9)
		other := f.approve("other", "m", "", 2)
		deep := f.approve("team/a/deep", "n", "", 3)
		again := f.approve("team/app", "n", "size/cap", 1) // the newest, whatever its clock said
		f.wantRevision("four approvals", 4)
		tests := []struct {
			name string
			v    meta.Visibility
			repo string
			d    digest.Digest
			want []meta.Approval
		}{
			{"all", everything, "", "", []meta.Approval{again, deep, other, app}},
			{"nothing", meta.Visibility{}, "", "", nil},
			{"a namespace", inTeam, "", "", []meta.Approval{again, deep, app}},
			{"two namespaces, in one order", meta.Visibility{Namespaces: []string{"team", "other"}}, "", "", []meta.Approval{again, deep, other, app}},
			{"a repository", everything, "team/app", "", []meta.Approval{again, app}},
			{"a digest", everything, "", sum("m"), []meta.Approval{other, app}},
			{"a digest in a repository", inTeam, "team/app", sum("m"), []meta.Approval{app}},
			{"a repository that is not to be seen", inTeam, "other", "", nil},
			{"a repository whose name begins another's", everything, "team", "", nil},
		}
		for _, tt := range tests {
			got, err := f.db.Approvals(f.Context(), tt.v, tt.repo, tt.d)
			want(f, "Approvals() of "+tt.name, got, err, tt.want)
		}
	}},
	{"an approval takes the place of an earlier one of its rule, and ends when withdrawn", func(f *fixture) {
		f.approve("r", "m", "a/b", 1)
		second := f.approve("r", "m", "a/b", 2)
		got, err := f.db.Approvals(f.Context(), everything, "r", "")
		want(f, "Approvals()", got, err, []meta.Approval{second})
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.DeleteApproval(ctx, "r", sum("m"), "a/b") })
		f.wantRevision("two approvals and a withdrawal", 3)
		got, err = f.db.Approvals(f.Context(), everything, "r", "")
		want(f, "Approvals() after DeleteApproval()", got, err, nil)
		f.failing("DeleteApproval() again", meta.ErrNotFound, func(ctx context.Context, tx meta.Tx) error {
			return tx.DeleteApproval(ctx, "r", sum("m"), "a/b")
		})
		f.wantRevision("a withdrawal of nothing", 3)
	}},
	{"an approval outlives its repository", func(f *fixture) {
		f.put(manifest("r", "m"))
		a := f.approve("r", "m", "", 1)
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.DeleteRepository(ctx, "r") })
		got, err := f.db.Approvals(f.Context(), everything, "", "")
		want(f, "Approvals()", got, err, []meta.Approval{a})
	}},
}

// decide stores decisions and returns them with their ids.
func (f *fixture) decide(ds ...meta.Decision) []meta.Decision {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error {
		for i, d := range ds {
			id, err := tx.PutDecision(ctx, d)
			if err != nil {
				return err
			}
			ds[i].ID = id
		}
		return nil
	})
	return ds
}

func decision(repo, text string, outcome meta.VerdictState, n int) meta.Decision {
	return meta.Decision{Repo: repo, Digest: sum(text), Action: "push", Principal: "ann", Outcome: outcome, Time: at(n)}
}

func ids(ds []meta.Decision) []int64 {
	var out []int64
	for _, d := range ds {
		out = append(out, d.ID)
	}
	return out
}

var decisionTests = []test{
	{"a decision comes back as it was", func(f *fixture) {
		full := meta.Decision{
			ID: 99, Time: at(1), Repo: "r", Digest: sum("m"), Tags: []string{"1.0.0", "latest"}, Action: "push", Principal: "ann",
			Outcome: meta.VerdictDeny, Revision: 4, Violations: json.RawMessage(`[{"rule": "a"}]`),
		}
		bare := meta.Decision{Time: at(2)}
		ds := f.decide(full, bare)
		want(f, "ids", ids(ds), nil, []int64{1, 2})
		got, err := f.db.Decisions(f.Context(), everything, meta.DecisionFilter{}, 0, 0)
		want(f, "Decisions()", got, err, []meta.Decision{ds[1], ds[0]})
		want(f, "entries", len(f.entries()), nil, 0)
	}},
	{"decisions are listed newest first, filtered, in pages, as the caller may see them", func(f *fixture) {
		f.decide(
			decision("team/app", "m", meta.VerdictAllow, 1), // 1
			decision("other", "m", meta.VerdictDeny, 2),
			decision("team/a/deep", "n", meta.VerdictWarn, 3),
			decision("team/app", "n", meta.VerdictDeny, 4), // 4
			decision("team", "m", meta.VerdictDeny, 5),
			decision("teams", "m", meta.VerdictDeny, 6),
		)
		tests := []struct {
			name   string
			v      meta.Visibility
			f      meta.DecisionFilter
			before int64
			limit  int
			want   []int64
		}{
			{"all", everything, meta.DecisionFilter{}, 0, 0, []int64{6, 5, 4, 3, 2, 1}},
			{"a page", everything, meta.DecisionFilter{}, 5, 2, []int64{4, 3}},
			{"nothing", meta.Visibility{}, meta.DecisionFilter{}, 0, 0, nil},
			{"a namespace, whose page is filled", inTeam, meta.DecisionFilter{}, 0, 3, []int64{5, 4, 3}},
			{"two namespaces in one order", meta.Visibility{Namespaces: []string{"team", "other"}}, meta.DecisionFilter{}, 5, 2, []int64{4, 3}},
			{"a repository", everything, meta.DecisionFilter{Repo: "team/app"}, 0, 1, []int64{4}},
			{"a repository, the next page", everything, meta.DecisionFilter{Repo: "team/app"}, 4, 1, []int64{1}},
			{"a repository that is not to be seen", inTeam, meta.DecisionFilter{Repo: "other"}, 0, 0, nil},
			{"a digest", inTeam, meta.DecisionFilter{Digest: sum("m")}, 0, 0, []int64{5, 1}},
			{"a digest in a repository", everything, meta.DecisionFilter{Repo: "team/app", Digest: sum("m")}, 0, 0, []int64{1}},
			{"an outcome and worse", everything, meta.DecisionFilter{Outcome: meta.VerdictWarn}, 0, 0, []int64{6, 5, 4, 3, 2}},
			{"an outcome in a repository", everything, meta.DecisionFilter{Repo: "team/app", Outcome: meta.VerdictDeny}, 0, 9, []int64{4}},
		}
		for _, tt := range tests {
			got, err := f.db.Decisions(f.Context(), tt.v, tt.f, tt.before, tt.limit)
			want(f, "Decisions() of "+tt.name, ids(got), err, tt.want)
		}
	}},
	{"old decisions are forgotten, up to the first that is not old, and ids are not used again", func(f *fixture) {
		f.decide(decision("r", "m", 0, 1), decision("r", "m", 0, 2), decision("r", "m", 0, 9), decision("r", "m", 0, 3))
		tests := []struct {
			before int
			gone   int64
			want   []int64
		}{
			{before: 1, gone: 0, want: []int64{4, 3, 2, 1}},
			{before: 4, gone: 2, want: []int64{4, 3}},
			{before: 10, gone: 2},
			{before: 10, gone: 0},
		}
		for _, tt := range tests {
			var gone int64
			f.update(func(ctx context.Context, tx meta.Tx) (err error) {
				gone, err = tx.ExpireQuarantine(ctx, start, at(tt.before))
				return err
			})
			want(f, fmt.Sprintf("ExpireQuarantine(decisions before %d)", tt.before), gone, nil, tt.gone)
			got, err := f.db.Decisions(f.Context(), everything, meta.DecisionFilter{}, 0, 0)
			want(f, "Decisions() after it", ids(got), err, tt.want)
		}
		want(f, "the id after all are gone", ids(f.decide(decision("r", "m", 0, 20))), nil, []int64{5})
	}},
}

// refused is a manifest in quarantine until n.
func refused(repo, text string, until int, blobs ...string) meta.Quarantine {
	q := meta.Quarantine{
		Repo: repo, Digest: sum(text), MediaType: "application/vnd.oci.image.manifest.v1+json", Content: []byte(text),
		Tags: []string{"1.0.0", "latest"}, Uploader: "mallory", Decision: 3, Created: start, Until: at(until),
	}
	for _, b := range blobs {
		q.Blobs = append(q.Blobs, sum(b))
	}
	return q
}

func (f *fixture) quarantine(qs ...meta.Quarantine) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error {
		for _, q := range qs {
			if err := tx.PutQuarantine(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
}

var quarantineTests = []test{
	{"a quarantined manifest comes back as it was until its time is over", func(f *fixture) {
		full := refused("r", "m", 10, "a", "b", "c", "d", "e", "a")
		bare := meta.Quarantine{Repo: "none/yet", Digest: sum("m"), Content: []byte("m"), Created: start, Until: at(5)}
		f.quarantine(full, bare)
		got, err := f.db.Quarantined(f.Context(), "r", sum("m"), at(9))
		want(f, "Quarantined(r)", got, err, full)
		got, err = f.db.Quarantined(f.Context(), "none/yet", sum("m"), at(4))
		want(f, "Quarantined(none/yet)", got, err, bare)
		for _, tt := range []struct {
			repo, text string
			now        int
		}{{"r", "m", 10}, {"r", "other", 1}, {"none", "m", 1}} {
			_, err := f.db.Quarantined(f.Context(), tt.repo, sum(tt.text), at(tt.now))
			fails(f, fmt.Sprintf("Quarantined(%s, %s, %d)", tt.repo, tt.text, tt.now), err, meta.ErrNotFound)
		}
		want(f, "entries", len(f.entries()), nil, 0)
		_, err = f.db.Repository(f.Context(), "r")
		fails(f, "Repository(r)", err, meta.ErrRepository)
	}},
	{"quarantine holds blobs in its repository until its time is over", func(f *fixture) {
		f.quarantine(refused("r", "m", 10, "a", "b"), refused("r", "n", 20, "b"))
		tests := []struct {
			repo, text string
			now        int
			want       bool
		}{
			{"r", "a", 9, true},
			{"r", "a", 10, false},
			{"r", "b", 10, true},
			{"r", "b", 20, false},
			{"r", "c", 1, false},
			{"other", "a", 1, false},
		}
		for _, tt := range tests {
			got, err := f.db.QuarantineHolds(f.Context(), tt.repo, sum(tt.text), at(tt.now))
			want(f, fmt.Sprintf("QuarantineHolds(%s, %s, %d)", tt.repo, tt.text, tt.now), got, err, tt.want)
		}
	}},
	{"quarantine is listed in order and pages, without content, as the caller may see it", func(f *fixture) {
		texts := []string{"m1", "m2", "m3"}
		slices.SortFunc(texts, func(a, b string) int { return strings.Compare(sum(a).String(), sum(b).String()) })
		f.quarantine(
			refused("team/app", texts[2], 10), refused("team/app", texts[0], 10), refused("team/app", texts[1], 10),
			refused("other", texts[0], 10), refused("team", texts[0], 10), refused("team/a", texts[0], 5), refused("teams", texts[1], 10),
		)
		key := func(repo string, n int) meta.ManifestKey { return meta.ManifestKey{Repo: repo, Digest: sum(texts[n])} }
		app := []meta.ManifestKey{key("team/app", 0), key("team/app", 1), key("team/app", 2)}
		tests := []struct {
			name  string
			v     meta.Visibility
			after meta.ManifestKey
			limit int
			now   int
			want  []meta.ManifestKey
		}{
			{
				"all", everything,
				meta.ManifestKey{},
				0, 1,
				slices.Concat([]meta.ManifestKey{key("other", 0), key("team", 0), key("team/a", 0)}, app, []meta.ManifestKey{key("teams", 1)}),
			},
			{"nothing", meta.Visibility{}, meta.ManifestKey{}, 0, 1, nil},
			{"a namespace later", inTeam, meta.ManifestKey{}, 0, 5, slices.Concat([]meta.ManifestKey{key("team", 0)}, app)},
			{"a page across repositories", inTeam, meta.ManifestKey{}, 3, 1, []meta.ManifestKey{key("team", 0), key("team/a", 0), app[0]}},
			{"a page within a repository", inTeam, app[0], 1, 1, app[1:2]},
			{"a page of the last", everything, app[1], 9, 1, []meta.ManifestKey{app[2], key("teams", 1)}},
			{
				"a page across namespaces",
				meta.Visibility{Namespaces: []string{"team", "other"}},
				key("other", 0), 2, 1,
				[]meta.ManifestKey{key("team", 0), key("team/a", 0)},
			},
		}
		for _, tt := range tests {
			got, err := f.db.Quarantine(f.Context(), tt.v, tt.after, tt.limit, at(tt.now))
			var keys []meta.ManifestKey
			for _, q := range got {
				keys = append(keys, meta.ManifestKey{Repo: q.Repo, Digest: q.Digest})
				if q.Content != nil || q.Uploader != "mallory" || q.Decision != 3 || len(q.Tags) != 2 {
					f.Errorf("Quarantine() of %s has %+v, want everything but the content", tt.name, q)
				}
			}
			want(f, "Quarantine() of "+tt.name, keys, err, tt.want)
		}
	}},
	{"quarantine again takes the place of what was held before", func(f *fixture) {
		f.quarantine(refused("r", "m", 10, "a", "b"))
		again := refused("r", "m", 30, "b", "c")
		f.quarantine(again)
		got, err := f.db.Quarantined(f.Context(), "r", sum("m"), at(29))
		want(f, "Quarantined()", got, err, again)
		f.wantHeld(at(1), map[string]bool{"a": false, "b": true, "c": true})
	}},
	{"release and expiry let go of manifest and blobs", func(f *fixture) {
		f.quarantine(refused("r", "m", 10, "a"), refused("r", "n", 20, "b"), refused("r", "o", 30, "c"))
		f.update(func(ctx context.Context, tx meta.Tx) error {
			if err := tx.ReleaseQuarantine(ctx, "r", sum("never")); err != nil {
				return err
			}
			return tx.ReleaseQuarantine(ctx, "r", sum("m"))
		})
		_, err := f.db.Quarantined(f.Context(), "r", sum("m"), start)
		fails(f, "Quarantined() of the released one", err, meta.ErrNotFound)
		f.wantHeld(start, map[string]bool{"a": false, "b": true, "c": true})
		var gone int64
		f.update(func(ctx context.Context, tx meta.Tx) (err error) {
			gone, err = tx.ExpireQuarantine(ctx, at(20), start)
			return err
		})
		want(f, "ExpireQuarantine()", gone, nil, int64(1))
		f.wantHeld(start, map[string]bool{"b": false, "c": true})
	}},
	{"quarantine ends with its repository", func(f *fixture) {
		f.link("r", "a")
		f.quarantine(refused("r", "m", 10, "a"), refused("r2", "m", 10, "a"))
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.DeleteRepository(ctx, "r") })
		got, err := f.db.Quarantine(f.Context(), everything, meta.ManifestKey{}, 0, start)
		if len(got) != 1 || got[0].Repo != "r2" {
			f.Errorf("Quarantine() = %v, %v; want only that of r2", got, err)
		}
		f.wantHeld(start, map[string]bool{"a": false})
	}},
}

// wantHeld asks for each blob whether r holds it in quarantine.
func (f *fixture) wantHeld(now time.Time, held map[string]bool) {
	f.Helper()
	for text, holds := range held {
		got, err := f.db.QuarantineHolds(f.Context(), "r", sum(text), now)
		want(f, "QuarantineHolds("+text+")", got, err, holds)
	}
}
