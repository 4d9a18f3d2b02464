package metatest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

var repositoryTests = []test{
	{"a repository that never held anything is ErrRepository", func(f *fixture) {
		ctx := f.Context()
		_, err := f.db.Repository(ctx, "none")
		fails(f, "Repository(none)", err, meta.ErrRepository)
		_, err = f.db.Tags(ctx, "none", meta.Page{})
		fails(f, "Tags(none)", err, meta.ErrRepository)
		_, err = f.db.Tag(ctx, "none", "v1")
		fails(f, "Tag(none, v1)", err, meta.ErrRepository)
		_, err = f.db.ManifestTags(ctx, "none", sum("m"))
		fails(f, "ManifestTags(none)", err, meta.ErrRepository)
		_, err = f.db.Manifests(ctx, "none", meta.Page{})
		fails(f, "Manifests(none)", err, meta.ErrRepository)
		_, err = f.db.Manifest(ctx, "none", sum("m"))
		fails(f, "Manifest(none)", err, meta.ErrRepository)
		_, err = f.db.TaggedManifest(ctx, "none", "v1")
		fails(f, "TaggedManifest(none, v1)", err, meta.ErrRepository)
		_, err = f.db.Blob(ctx, "none", sum("b"))
		fails(f, "Blob(none)", err, meta.ErrRepository)
	}},
	{"the first blob or manifest makes the repository", func(f *fixture) {
		f.link("by/blob", "b")
		f.put(manifest("by/manifest", "m"))
		for _, name := range []string{"by/blob", "by/manifest"} {
			got, err := f.db.Repository(f.Context(), name)
			want(f, "Repository("+name+")", got, err, meta.Repository{Name: name, Created: start})
		}
	}},
	{"listings see only what the caller may see, in byte order", func(f *fixture) {
		for _, name := range []string{"team/b", "team-a/x", "team", "other", "team.x", "team/a/deep", "teams", "team0"} {
			f.link(name, "b")
		}
		tests := []struct {
			name string
			v    meta.Visibility
			p    meta.Page
			want []string
		}{
			{"nothing", meta.Visibility{}, meta.Page{}, nil},
			{"everything", everything, meta.Page{}, []string{"other", "team", "team-a/x", "team.x", "team/a/deep", "team/b", "team0", "teams"}},
			{"a namespace and all below it", meta.Visibility{Namespaces: []string{"team"}}, meta.Page{}, []string{"team", "team/a/deep", "team/b"}},
			{
				"two namespaces, one within the other",
				meta.Visibility{Namespaces: []string{"team/a", "other", "team", "team"}},
				meta.Page{},
				[]string{"other", "team", "team/a/deep", "team/b"},
			},
			{
				"a namespace between another and what is below it",
				meta.Visibility{Namespaces: []string{"team", "team-a"}},
				meta.Page{},
				[]string{"team", "team-a/x", "team/a/deep", "team/b"},
			},
			{"a page", everything, meta.Page{After: "team", Limit: 2}, []string{"team-a/x", "team.x"}},
			{"a page after a name that is not there", everything, meta.Page{After: "team/a", Limit: 1}, []string{"team/a/deep"}},
			{
				"a page of a namespace",
				meta.Visibility{Namespaces: []string{"team", "teams"}},
				meta.Page{After: "team/a/deep", Limit: 2},
				[]string{"team/b", "teams"},
			},
			{"a page behind the last", everything, meta.Page{After: "zzz", Limit: 2}, nil},
			{"the empty namespace", meta.Visibility{Namespaces: []string{""}}, meta.Page{}, nil},
		}
		for _, tt := range tests {
			got, err := f.db.Repositories(f.Context(), tt.v, tt.p)
			want(f, "Repositories, "+tt.name, got, err, tt.want)
			packages, err := f.db.Packages(f.Context(), tt.v, tt.p)
			var names []string
			for _, p := range packages {
				names = append(names, p.Name)
			}
			want(f, "Packages, "+tt.name, names, err, tt.want)
		}
	}},
	{"packages show the number of tags and the tag written last", func(f *fixture) {
		f.link("blobs/only", "b")
		f.put(manifest("p", "one"), manifest("p", "two"))
		f.update(func(ctx context.Context, tx meta.Tx) error {
			for i, tag := range []string{"b", "a", "c"} {
				if err := tx.PutTag(ctx, "p", tag, sum("one"), at(i)); err != nil {
					return err
				}
			}
			if err := tx.PutTag(ctx, "p", "b", sum("two"), at(9)); err != nil { // moved: still three
				return err
			}
			return tx.DeleteTag(ctx, "p", "c", false, at(10))
		})
		got, err := f.db.Packages(f.Context(), everything, meta.Page{})
		want(f, "Packages()", got, err, []meta.Package{
			{Name: "blobs/only", Updated: start},
			{Name: "p", Tags: 2, Latest: meta.Tag{Name: "b", Digest: sum("two"), Updated: at(9)}, Updated: at(10)},
		})
		f.update(func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.DeleteManifest(ctx, "p", sum("two"))
			return err
		})
		got, err = f.db.Packages(f.Context(), everything, meta.Page{After: "blobs/only"})
		want(f, "Packages() without two", got, err, []meta.Package{
			{Name: "p", Tags: 1, Latest: meta.Tag{Name: "a", Digest: sum("one"), Updated: at(1)}, Updated: at(10)},
		})
	}},
	{"an update sees in packages what it wrote, also in a repository made again", func(f *fixture) {
		f.tag("r", "before", "m")
		f.update(func(ctx context.Context, tx meta.Tx) error {
			if err := putTagged(ctx, tx, "r", "v1", "m"); err != nil {
				return err
			}
			if err := tx.DeleteRepository(ctx, "r"); err != nil {
				return err
			}
			if err := putTagged(ctx, tx, "r", "v2", "m"); err != nil {
				return err
			}
			got, err := tx.Packages(ctx, everything, meta.Page{})
			want(f, "Packages() in the update", got, err, []meta.Package{
				{Name: "r", Tags: 1, Latest: meta.Tag{Name: "v2", Digest: sum("m"), Updated: start}, Updated: start},
			})
			if err := tx.PutTag(ctx, "r", "v3", sum("m"), at(1)); err != nil {
				return err
			}
			if _, err := tx.DeleteManifest(ctx, "r", sum("m")); err != nil {
				return err
			}
			if err := tx.PutTag(ctx, "r", "v4", sum("m"), at(2)); !errors.Is(err, meta.ErrNotFound) {
				f.Errorf("PutTag() of a manifest just deleted = %v, want %v", err, meta.ErrNotFound)
			}
			return nil
		})
		got, err := f.db.Packages(f.Context(), everything, meta.Page{})
		want(f, "Packages()", got, err, []meta.Package{{Name: "r", Updated: at(1)}})
	}},
	{"an update may write more repositories than it remembers", func(f *fixture) {
		const n = 1100
		f.update(func(ctx context.Context, tx meta.Tx) error {
			for range 2 {
				for i := range n {
					if err := putTagged(ctx, tx, fmt.Sprint("r", i), "v1", "m"); err != nil {
						return err
					}
				}
			}
			return nil
		})
		got, err := f.db.Packages(f.Context(), everything, meta.Page{})
		if err != nil || len(got) != n {
			f.Fatalf("Packages() = %d packages, %v, want %d", len(got), err, n)
		}
		for _, p := range got {
			if p.Tags != 1 {
				f.Fatalf("Packages() = %+v, want one tag", p)
			}
		}
	}},
	{"deleting a repository removes all of it but tombstones", func(f *fixture) {
		f.link("r", "b")
		m := manifest("r", "m")
		m.Blobs, m.Manifests, m.Subject = []digest.Digest{sum("b")}, []digest.Digest{sum("c")}, sum("s")
		f.put(m)
		f.tag("r", "v1", "m")
		f.tag("r", "v2", "m")
		f.tag("other", "v1", "m")
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.DeleteTag(ctx, "r", "v1", true, at(1)) })
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.DeleteRepository(ctx, "r") })
		names, err := f.db.Repositories(f.Context(), everything, meta.Page{})
		want(f, "Repositories()", names, err, []string{"other"})
		_, err = f.db.TaggedManifest(f.Context(), "r", "v2")
		fails(f, "TaggedManifest(r, v2)", err, meta.ErrRepository)
		d, err := f.db.Tombstone(f.Context(), "r", "v1")
		want(f, "Tombstone(r, v1)", d, err, sum("m"))
		_, err = f.db.BlobHolder(f.Context(), everything, sum("b"))
		fails(f, "BlobHolder(b)", err, meta.ErrNotFound)
		b, err := f.db.FindBlob(f.Context(), sum("b"))
		want(f, "FindBlob(b)", b, err, blob("b"))
		f.failing("DeleteRepository(r) again", meta.ErrRepository, func(ctx context.Context, tx meta.Tx) error {
			return tx.DeleteRepository(ctx, "r")
		})
		f.link("r", "again")
		held, err := f.db.BlobSizes(f.Context(), "r", []digest.Digest{sum("b"), sum("again")})
		want(f, "BlobSizes(r)", held, err, map[digest.Digest]int64{sum("again"): int64(len("again"))})
	}},
}

var manifestTests = []test{
	{"a manifest comes back byte for byte, by digest and by tag", func(f *fixture) {
		m := manifest("r", "{ \"spaces\" :\t\"kept\" }\x00\xff")
		m.Created = start.Add(999 * time.Nanosecond) // less than a microsecond is dropped
		f.put(m)
		f.update(func(ctx context.Context, tx meta.Tx) error { return tx.PutTag(ctx, "r", "v1", m.Digest, at(1)) })
		m.Created = start
		got, err := f.db.Manifest(f.Context(), "r", m.Digest)
		want(f, "Manifest(r)", got, err, m.Manifest)
		got, err = f.db.TaggedManifest(f.Context(), "r", "v1")
		want(f, "TaggedManifest(r, v1)", got, err, m.Manifest)
		_, err = f.db.Manifest(f.Context(), "r", sum("other"))
		fails(f, "Manifest(r, other)", err, meta.ErrNotFound)
		_, err = f.db.TaggedManifest(f.Context(), "r", "v2")
		fails(f, "TaggedManifest(r, v2)", err, meta.ErrNotFound)
	}},
	{"a manifest of 4 MiB is stored", func(f *fixture) {
		m := manifest("r", strings.Repeat("0123456789abcdef", 4<<20/16))
		f.put(m)
		got, err := f.db.Manifest(f.Context(), "r", m.Digest)
		if err != nil || !reflect.DeepEqual(got, m.Manifest) { // a difference of 4 MiB would take long to work out
			f.Errorf("Manifest(r) = %d bytes, %v; want the %d that were stored", len(got.Content), err, len(m.Content))
		}
	}},
	{"a manifest that is there already is left as it is", func(f *fixture) {
		first := manifest("r", "m")
		f.put(first)
		again := manifest("r", "m")
		again.MediaType, again.Created = "application/other", at(5)
		f.update(func(ctx context.Context, tx meta.Tx) error {
			created, err := tx.PutManifest(ctx, again)
			if created {
				f.Errorf("PutManifest(m) again = true, want false")
			}
			return err
		})
		got, err := f.db.Manifest(f.Context(), "r", sum("m"))
		want(f, "Manifest(r)", got, err, first.Manifest)
		written, _, err := f.db.JournalSequence(f.Context())
		want(f, "JournalSequence() after a write that changed nothing", written, err, 1)
	}},
	{"the same digest may be in two repositories", func(f *fixture) {
		f.put(manifest("a", "m"), manifest("b", "m"))
		f.update(func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.DeleteManifest(ctx, "a", sum("m"))
			return err
		})
		_, err := f.db.Manifest(f.Context(), "a", sum("m"))
		fails(f, "Manifest(a)", err, meta.ErrNotFound)
		got, err := f.db.Manifest(f.Context(), "b", sum("m"))
		want(f, "Manifest(b)", got, err, manifest("b", "m").Manifest)
	}},
	{"manifests are listed by digest in pages", func(f *fixture) {
		var all []digest.Digest
		for i := range 7 {
			f.put(manifest("r", fmt.Sprint(i)))
			all = append(all, sum(fmt.Sprint(i)))
		}
		sortDigests(all)
		var got []digest.Digest
		for {
			page := meta.Page{Limit: 3}
			if n := len(got); n > 0 {
				page.After = string(got[n-1])
			}
			ds, err := f.db.Manifests(f.Context(), "r", page)
			if err != nil || len(ds) == 0 {
				want(f, "Manifests(r) in pages", got, err, all)
				break
			}
			got = append(got, ds...)
		}
	}},
	{"missing manifests are reported once, in the order asked", func(f *fixture) {
		f.put(manifest("r", "held"), manifest("other", "elsewhere"))
		ask := []digest.Digest{sum("z"), sum("held"), sum("a"), sum("z"), sum("elsewhere")}
		got, err := f.db.MissingManifests(f.Context(), "r", ask)
		want(f, "MissingManifests(r)", got, err, []digest.Digest{sum("z"), sum("a"), sum("elsewhere")})
		got, err = f.db.MissingManifests(f.Context(), "none", ask[:2])
		want(f, "MissingManifests(none)", got, err, ask[:2])
		got, err = f.db.MissingManifests(f.Context(), "r", nil)
		want(f, "MissingManifests(r) of none", got, err, nil)
	}},
	{"referrers are listed by digest, in pages and by type, also of an absent subject", func(f *fixture) {
		subject := sum("subject")
		var all, sboms []meta.Referrer
		for i := range 6 {
			m := manifest("r", fmt.Sprint("referrer ", i))
			m.Subject, m.ArtifactType = subject, "application/signature"
			if i%2 == 0 {
				m.ArtifactType = "application/sbom"
				m.Annotations = map[string]string{"b": "<&>\u0000", "a": fmt.Sprint(i)}
			}
			f.put(m)
			ref := meta.Referrer{
				Digest: m.Digest, MediaType: m.MediaType, Size: int64(len(m.Content)), ArtifactType: m.ArtifactType, Annotations: m.Annotations,
			}
			all = append(all, ref)
			if i%2 == 0 {
				sboms = append(sboms, ref)
			}
		}
		other := manifest("r", "refers to another")
		other.Subject = sum("another")
		f.put(other, manifest("r", "refers to none"))
		sortReferrers(all)
		sortReferrers(sboms)
		tests := []struct {
			name, artifactType string
			page               meta.Page
			want               []meta.Referrer
		}{
			{"all", "", meta.Page{}, all},
			{"of a type", "application/sbom", meta.Page{}, sboms},
			{"of a type that none has", "application/none", meta.Page{}, nil},
			{"a first page", "", meta.Page{Limit: 4}, all[:4]},
			{"a second page", "", meta.Page{Limit: 4, After: string(all[3].Digest)}, all[4:]},
			{"a second page of a type", "application/sbom", meta.Page{Limit: 1, After: string(sboms[0].Digest)}, sboms[1:2]},
		}
		for _, tt := range tests {
			got, err := f.db.Referrers(f.Context(), "r", subject, tt.artifactType, tt.page)
			want(f, "Referrers, "+tt.name, got, err, tt.want)
		}
		got, err := f.db.Referrers(f.Context(), "none", subject, "", meta.Page{})
		want(f, "Referrers of an absent repository", got, err, nil)
	}},
	{"referrers without their subject are orphans once they are old", func(f *fixture) {
		refer := func(repo, text string, subject digest.Digest, created time.Time) meta.NewManifest {
			m := manifest(repo, text)
			m.Subject, m.Created = subject, created
			return m
		}
		f.put(manifest("a", "subject"), manifest("b", "elsewhere"), refer("a", "held", sum("subject"), at(0)),
			refer("a", "young", sum("gone"), at(100)), refer("a", "orphan", sum("gone"), at(0)),
			refer("a", "wrong repository", sum("elsewhere"), at(0)), refer("b", "orphan", sum("gone"), at(99)))
		var got []string
		err := f.db.OrphanReferrers(f.Context(), at(100), collect(&got))
		expect := []digest.Digest{sum("orphan"), sum("wrong repository")}
		sortDigests(expect)
		want(f, "OrphanReferrers()", got, err, []string{"a " + string(expect[0]), "a " + string(expect[1]), "b " + string(sum("orphan"))})
	}},
	{"deleting a manifest removes its tags and returns them", func(f *fixture) {
		for _, tag := range []string{"v2", "v1", "latest"} {
			f.tag("r", tag, "m")
		}
		f.tag("r", "stays", "other")
		tags, err := f.db.ManifestTags(f.Context(), "r", sum("m"))
		want(f, "ManifestTags(r, m)", tags, err, []string{"latest", "v1", "v2"})
		f.update(func(ctx context.Context, tx meta.Tx) error {
			tags, err := tx.DeleteManifest(ctx, "r", sum("m"))
			want(f, "DeleteManifest(r, m)", tags, err, []string{"latest", "v1", "v2"})
			return nil
		})
		tags, err = f.db.Tags(f.Context(), "r", meta.Page{})
		want(f, "Tags(r)", tags, err, []string{"stays"})
		tags, err = f.db.ManifestTags(f.Context(), "r", sum("m"))
		want(f, "ManifestTags(r, m) after the delete", tags, err, nil)
		f.failing("DeleteManifest(r, m) again", meta.ErrNotFound, func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.DeleteManifest(ctx, "r", sum("m"))
			return err
		})
		f.failing("DeleteManifest(none, m)", meta.ErrRepository, func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.DeleteManifest(ctx, "none", sum("m"))
			return err
		})
	}},
}

var tagTests = []test{
	{"tags are listed in byte order and in pages", func(f *fixture) {
		f.put(manifest("r", "m"))
		sorted := []string{"1.0", "A", "Z", "_", "a", "a-b", "a.b", "a0", "aB", "ab", "b"}
		f.update(func(ctx context.Context, tx meta.Tx) error {
			for i := range sorted {
				if err := tx.PutTag(ctx, "r", sorted[(i*7)%len(sorted)], sum("m"), start); err != nil {
					return err
				}
			}
			return nil
		})
		tests := []struct {
			name string
			page meta.Page
			want []string
		}{
			{"all", meta.Page{}, sorted},
			{"the first three", meta.Page{Limit: 3}, sorted[:3]},
			{"after one that is there", meta.Page{After: "a", Limit: 2}, []string{"a-b", "a.b"}},
			{"after one that is not there", meta.Page{After: "a1", Limit: 1}, []string{"aB"}},
			{"after the last", meta.Page{After: "b"}, nil},
		}
		for _, tt := range tests {
			got, err := f.db.Tags(f.Context(), "r", tt.page)
			want(f, "Tags(r), "+tt.name, got, err, tt.want)
		}
	}},
	{"a repository without tags has none", func(f *fixture) {
		f.link("r", "b")
		got, err := f.db.Tags(f.Context(), "r", meta.Page{})
		want(f, "Tags(r)", got, err, nil)
		_, err = f.db.Tag(f.Context(), "r", "v1")
		fails(f, "Tag(r, v1)", err, meta.ErrNotFound)
	}},
	{"a tag moves", func(f *fixture) {
		f.put(manifest("r", "one"), manifest("r", "two"))
		for i, text := range []string{"one", "two"} {
			f.update(func(ctx context.Context, tx meta.Tx) error { return tx.PutTag(ctx, "r", "v", sum(text), at(i)) })
			got, err := f.db.Tag(f.Context(), "r", "v")
			want(f, "Tag(r, v)", got, err, meta.Tag{Name: "v", Digest: sum(text), Updated: at(i)})
		}
	}},
	{"a tag needs its manifest", func(f *fixture) {
		f.put(manifest("r", "m"), manifest("other", "elsewhere"))
		f.failing("PutTag(r, v, elsewhere)", meta.ErrNotFound, func(ctx context.Context, tx meta.Tx) error {
			return tx.PutTag(ctx, "r", "v", sum("elsewhere"), start)
		})
		f.failing("PutTag(none, v, m)", meta.ErrRepository, func(ctx context.Context, tx meta.Tx) error {
			return tx.PutTag(ctx, "none", "v", sum("m"), start)
		})
	}},
	{"a tombstone remembers the last digest, also when the tag is back", func(f *fixture) {
		remove := func(tombstone bool) {
			f.update(func(ctx context.Context, tx meta.Tx) error { return tx.DeleteTag(ctx, "r", "v", tombstone, at(1)) })
		}
		f.tag("r", "v", "one")
		remove(false)
		_, err := f.db.Tombstone(f.Context(), "r", "v")
		fails(f, "Tombstone(r, v) of a tag deleted without", err, meta.ErrNotFound)
		_, err = f.db.Tag(f.Context(), "r", "v")
		fails(f, "Tag(r, v) after the delete", err, meta.ErrNotFound)
		f.tag("r", "v", "one")
		remove(true)
		f.tag("r", "v", "two")
		d, err := f.db.Tombstone(f.Context(), "r", "v")
		want(f, "Tombstone(r, v)", d, err, sum("one"))
		remove(true)
		d, err = f.db.Tombstone(f.Context(), "r", "v")
		want(f, "Tombstone(r, v) of the second", d, err, sum("two"))
		f.tag("r", "v", "three")
		remove(false)
		d, err = f.db.Tombstone(f.Context(), "r", "v")
		want(f, "Tombstone(r, v) after a delete without", d, err, sum("two"))
		f.failing("DeleteTag(r, v) again", meta.ErrNotFound, func(ctx context.Context, tx meta.Tx) error {
			return tx.DeleteTag(ctx, "r", "v", true, start)
		})
		f.failing("DeleteTag(none, v)", meta.ErrRepository, func(ctx context.Context, tx meta.Tx) error {
			return tx.DeleteTag(ctx, "none", "v", true, start)
		})
	}},
}
