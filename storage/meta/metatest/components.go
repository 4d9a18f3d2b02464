package metatest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// crate is a proven component whose version is its key too.
func crate(name, version string) meta.Coordinate {
	return meta.Coordinate{Ecosystem: "cargo", Name: name, Version: version, Class: "proven", Key: []byte(version)}
}

func componentsOf(text string, version int, cs ...meta.Coordinate) meta.FileComponents {
	return meta.FileComponents{Digest: sum(text), Version: version, Components: cs}
}

func (f *fixture) compose(fs ...meta.FileComponents) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error {
		for _, c := range fs {
			if err := tx.PutComponents(ctx, c); err != nil {
				return err
			}
		}
		return nil
	})
}

// anyOrder compares lists of coordinates as sets.
var anyOrder = cmpopts.SortSlices(func(a, b meta.Coordinate) bool { return fmt.Sprint(a) < fmt.Sprint(b) })

func (f *fixture) wantComponents(text string, expect meta.FileComponents) {
	f.Helper()
	got, err := f.db.FileComponents(f.Context(), sum(text))
	if err != nil {
		f.Fatalf("FileComponents(%s) = %v", text, err)
	}
	if diff := cmp.Diff(expect, got, anyOrder); diff != "" {
		f.Errorf("FileComponents(%s): want -, got +\n%s", text, diff)
	}
}

// found are the coordinates in ranges as text, with their numbers.
func (f *fixture) found(class string, ranges ...meta.PackageRange) (texts []string, ids []int64) {
	f.Helper()
	got, err := f.db.Coordinates(f.Context(), ranges, class)
	if err != nil {
		f.Fatalf("Coordinates(%v, %q) = %v", ranges, class, err)
	}
	for _, c := range got {
		texts = append(texts, c.Name+"@"+c.Version+" "+c.Class+c.Part)
		ids = append(ids, c.ID)
	}
	slices.Sort(texts)
	return texts, ids
}

func allOf(name string) meta.PackageRange {
	return meta.PackageRange{EcosystemPackage: meta.EcosystemPackage{Ecosystem: "cargo", Name: name}}
}

func between(name, low, high string) meta.PackageRange {
	p := allOf(name)
	p.Low, p.High = []byte(low), []byte(high)
	return p
}

// pin puts a manifest whose layers are files of those texts.
func (f *fixture) pin(repo, text string, files ...string) {
	f.Helper()
	m := manifest(repo, text)
	for _, file := range files {
		f.link(repo, file)
		m.Blobs = append(m.Blobs, sum(file))
	}
	f.put(m)
}

// walk lists uses in pages, and checks that each begins where the last one ended.
func walk[U any](f *fixture, limit int, list func(after meta.UsePosition) ([]U, *meta.UsePosition, error)) (all []U) {
	f.Helper()
	for after := (meta.UsePosition{}); ; {
		uses, next, err := list(after)
		if err != nil || limit > 0 && len(uses) > limit {
			f.Fatalf("a page of %d after %v = %d uses, %v", limit, after, len(uses), err)
		}
		all = append(all, uses...)
		if next == nil {
			return all
		}
		after = *next
	}
}

func (f *fixture) componentUses(v meta.Visibility, ids []int64, limit int) (out []string) {
	f.Helper()
	all := walk(f, limit, func(after meta.UsePosition) ([]meta.ComponentUse, *meta.UsePosition, error) {
		p, err := f.db.ComponentUses(f.Context(), v, ids, after, limit)
		return p.Uses, p.Next, err
	})
	for _, u := range all {
		out = append(out, fmt.Sprint(u.Repo, " ", u.Manifest, " ", u.Digest, " ", u.Coordinates))
	}
	return out
}

// hostile are texts that have to come back as they were.
var hostile = []string{
	"", " ", "'; DROP TABLE coordinates; --", "<script>alert(1)</script>", "a\x01\x1b[31m\r\n\t", "%_\\", "\u202e\ufeffé\u0301", "\U0010ffff",
	"?1 $1 :x", strings.Repeat("é", 128),
}

var componentTests = []test{
	{"a file has the components that were put last, each once", func(f *fixture) {
		_, err := f.db.FileComponents(f.Context(), sum("f"))
		fails(f, "FileComponents() of an unknown file", err, meta.ErrNotFound)
		a, b, c := crate("a", "1.0.0"), crate("b", "1.0.0"), crate("b", "2.0.0")
		f.compose(componentsOf("f", 1, a, b, a), componentsOf("g", 1, b))
		f.wantComponents("f", componentsOf("f", 1, a, b))
		f.compose(componentsOf("f", 2, c, a))
		f.wantComponents("f", componentsOf("f", 2, a, c))
		f.wantComponents("g", componentsOf("g", 1, b))
		f.compose(componentsOf("f", 3))
		f.wantComponents("f", componentsOf("f", 3))
	}},
	{"components differ by every field", func(f *fixture) {
		base := crate("a", "1")
		all := []meta.Coordinate{base}
		for _, change := range []func(*meta.Coordinate){
			func(c *meta.Coordinate) { c.Ecosystem = "npm" }, func(c *meta.Coordinate) { c.Name = "A" },
			func(c *meta.Coordinate) { c.Version = "1.0" }, func(c *meta.Coordinate) { c.Class = "inferred" },
			func(c *meta.Coordinate) { c.Part = "std" }, func(c *meta.Coordinate) { c.Key = nil },
			func(c *meta.Coordinate) { c.Name, c.Version = "a1", "" },
		} {
			c := base
			change(&c)
			all = append(all, c)
		}
		f.compose(componentsOf("f", 1, all...))
		f.wantComponents("f", componentsOf("f", 1, all...))
		got, _ := f.found("", allOf("a"))
		want(f, "Coordinates(a)", got, nil, []string{"a@1 inferred", "a@1 proven", "a@1 proven", "a@1 provenstd", "a@1.0 proven"})
		got, _ = f.found("inferred", allOf("a"))
		want(f, "Coordinates(a, inferred)", got, nil, []string{"a@1 inferred"})
	}},
	{"hostile texts come back as they were", func(f *fixture) {
		var all []meta.Coordinate
		for _, text := range hostile {
			all = append(all, meta.Coordinate{
				Ecosystem: "npm", Name: text, Version: text, Class: "proven",
				Part: strings.ToValidUTF8(text[:min(len(text), 4)], ""), Key: append([]byte{0, 255, 0}, text...),
			})
		}
		f.compose(componentsOf("f", 1, all...))
		f.wantComponents("f", componentsOf("f", 1, all...))
		for _, text := range hostile {
			p := meta.PackageRange{EcosystemPackage: meta.EcosystemPackage{Ecosystem: "npm", Name: text}}
			got, err := f.db.Coordinates(f.Context(), []meta.PackageRange{p}, "")
			if err != nil || len(got) != 1 || got[0].Name != text || got[0].Version != text {
				f.Errorf("Coordinates(%.40q) = %v, %v", text, got, err)
			}
		}
	}},
	{"components beyond their bounds, or that are no text, are refused", func(f *fixture) {
		f.compose(componentsOf("f", 1, crate("a", "1")))
		long := strings.Repeat("x", 2000)
		for name, c := range map[string]meta.Coordinate{
			"a zero byte in the name": {Ecosystem: "npm", Name: "a\x00b"}, "a version that is not UTF-8": {Ecosystem: "npm", Version: "\xff"},
			"a long ecosystem": {Ecosystem: long}, "a long name": {Name: long}, "a long version": {Version: long}, "a long class": {Class: long},
			"a long part": {Part: long}, "a long key": {Key: []byte(long)}, "a zero byte in the part": {Part: "\x00"},
		} {
			err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error {
				return tx.PutComponents(ctx, componentsOf("f", 1, crate("b", "1"), c))
			})
			if err == nil {
				f.Errorf("PutComponents() with %s succeeded", name)
			}
		}
		err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error {
			return tx.PutComponents(ctx, componentsOf("f", 1, make([]meta.Coordinate, meta.MaxFileComponents+1)...))
		})
		if err == nil {
			f.Errorf("PutComponents() of %d succeeded", meta.MaxFileComponents+1)
		}
		f.wantComponents("f", componentsOf("f", 1, crate("a", "1")))
	}},
	{"a range takes the versions between its keys, and those without a key", func(f *fixture) {
		unordered := meta.Coordinate{Ecosystem: "cargo", Name: "a", Version: "weird", Class: "proven"}
		var all []meta.Coordinate
		for _, v := range []string{"1", "2", "3", "4"} {
			all = append(all, crate("a", v))
		}
		f.compose(componentsOf("f", 1, append(all, unordered, crate("ab", "2"))...))
		for _, tt := range []struct {
			low, high string
			expect    []string
		}{
			{"", "", []string{"a@1 proven", "a@2 proven", "a@3 proven", "a@4 proven", "a@weird proven"}},
			{"2", "4", []string{"a@2 proven", "a@3 proven", "a@weird proven"}},
			{"", "2", []string{"a@1 proven", "a@weird proven"}},
			{"3", "", []string{"a@3 proven", "a@4 proven", "a@weird proven"}},
			{"2\x00", "2\x01", []string{"a@weird proven"}},
			{"9", "", []string{"a@weird proven"}},
		} {
			got, _ := f.found("proven", between("a", tt.low, tt.high))
			want(f, fmt.Sprintf("Coordinates(a, %q to %q)", tt.low, tt.high), got, nil, tt.expect)
		}
		got, _ := f.found("proven", between("a", "1", "3"), between("a", "2", "9"), allOf("ab"), allOf("none"))
		want(f, "Coordinates() of ranges that overlap", got, nil,
			[]string{"a@1 proven", "a@2 proven", "a@3 proven", "a@4 proven", "a@weird proven", "ab@2 proven"})
	}},
	{"coordinates that no file has any more are gone", func(f *fixture) {
		f.compose(componentsOf("f", 1, crate("a", "1"), crate("b", "1")), componentsOf("g", 1, crate("a", "1")))
		f.compose(componentsOf("f", 1))
		got, _ := f.found("", allOf("a"), allOf("b"))
		want(f, "Coordinates() after f has none", got, nil, []string{"a@1 proven"})
		f.compose(componentsOf("g", 1, crate("b", "1")))
		got, _ = f.found("", allOf("a"), allOf("b"))
		want(f, "Coordinates() after g has b instead", got, nil, []string{"b@1 proven"})
	}},
	{"files with coordinates are listed in order, in pages, across segments", func(f *fixture) {
		const n = 9000 // two segments
		var files []meta.FileComponents
		for i := range n {
			cs := []meta.Coordinate{crate("all", "1")}
			if i%2 == 0 {
				cs = append(cs, crate("even", "1"))
			}
			if i%700 == 0 {
				cs = append(cs, crate("rare", "1"))
			}
			files = append(files, componentsOf(fmt.Sprint(i), 1, cs...))
		}
		for part := range slices.Chunk(files, 1000) {
			f.compose(part...)
		}
		for name, step := range map[string]int{"all": 1, "even": 2, "rare": 700} {
			var expect []digest.Digest
			for i := 0; i < n; i += step {
				expect = append(expect, sum(fmt.Sprint(i)))
			}
			_, ids := f.found("", allOf(name))
			for _, limit := range []int{0, 333, n} {
				var got []digest.Digest
				for after := int64(0); ; {
					page, err := f.db.ComponentFiles(f.Context(), ids, after, limit)
					if err != nil {
						f.Fatalf("ComponentFiles(%s, %d, %d) = %v", name, after, limit, err)
					}
					for _, file := range page {
						got = append(got, file.Digest)
						after = file.ID
					}
					if limit == 0 || len(page) < limit {
						break
					}
				}
				want(f, fmt.Sprintf("ComponentFiles(%s) in pages of %d", name, limit), got, nil, expect)
			}
		}
		f.compose(componentsOf("700", 2), componentsOf("0", 2, crate("rare", "1")), componentsOf("8999", 2, crate("rare", "1")))
		_, ids := f.found("", allOf("rare"))
		all, err := f.db.AllComponentFiles(f.Context(), 0, 0)
		want(f, "len(AllComponentFiles())", len(all), err, n)
		page, err := f.db.AllComponentFiles(f.Context(), all[1].ID, 2)
		want(f, "AllComponentFiles() after two", page, err, all[2:4])
		for most, expect := range map[int]int{-1: 0, 0: 0, 7: 7, n + 1: n} {
			got, err := f.db.CountComponentFiles(f.Context(), most)
			want(f, fmt.Sprintf("CountComponentFiles(%d)", most), got, err, expect)
		}
		got, err := f.db.ComponentFiles(f.Context(), ids, 0, 2)
		want(f, "ComponentFiles(rare) after changes", []digest.Digest{got[0].Digest, got[1].Digest}, err,
			[]digest.Digest{sum("0"), sum("1400")})
		got, err = f.db.ComponentFiles(f.Context(), ids, 0, 0)
		want(f, "the last of ComponentFiles(rare)", got[len(got)-1].Digest, err, sum("8999"))
		_, even := f.found("", allOf("even"))
		got, err = f.db.ComponentFiles(f.Context(), append(even, ids...), 0, 0)
		want(f, "len(ComponentFiles(even or rare))", len(got), err, n/2)
	}},
	{"uses are shown to who may see the manifest, in pages", func(f *fixture) {
		f.compose(componentsOf("x", 1, crate("a", "1"), crate("b", "1")), componentsOf("y", 1, crate("a", "2")),
			componentsOf("z", 1, crate("c", "1")))
		f.pin("team/app", "m1", "x", "y")
		f.pin("team/app", "m2", "x")
		f.pin("other", "m1", "x", "y", "z")
		f.pin("team", "m3", "y")
		f.pin("teamwork", "m4", "y")
		f.link("team/held", "x") // no manifest pins it
		_, ids := f.found("", allOf("a"), allOf("b"))
		one, err := f.db.Coordinates(f.Context(), []meta.PackageRange{allOf("a"), allOf("b")}, "")
		if err != nil {
			f.Fatal(err)
		}
		number := map[string]int64{}
		for _, c := range one {
			number[c.Name+c.Version] = c.ID
		}
		line := func(repo, m, file string, names ...string) string {
			var has []int64
			for _, n := range names {
				has = append(has, number[n])
			}
			slices.Sort(has)
			return fmt.Sprint(repo, " ", sum(m), " ", sum(file), " ", has)
		}
		app := keysOf("team/app", "m1", "m2")
		text := map[digest.Digest]string{sum("m1"): "m1", sum("m2"): "m2"}
		all := []string{
			line("other", "m1", "x", "a1", "b1"), line("team/app", text[app[0].Digest], "x", "a1", "b1"),
			line("team/app", text[app[1].Digest], "x", "a1", "b1"),
			line("other", "m1", "y", "a2"), line("team", "m3", "y", "a2"), line("team/app", "m1", "y", "a2"), line("teamwork", "m4", "y", "a2"),
		}
		for _, limit := range []int{0, 1, 2, 3, 7, 8} {
			got := f.componentUses(everything, ids, limit)
			want(f, fmt.Sprintf("ComponentUses() of everything in pages of %d", limit), got, nil, all)
			got = f.componentUses(meta.Visibility{Namespaces: []string{"team"}}, ids, limit)
			want(f, fmt.Sprintf("ComponentUses() of team in pages of %d", limit), got, nil, []string{all[1], all[2], all[4], all[5]})
			got = f.componentUses(meta.Visibility{Namespaces: []string{"teamwork", "other", "none"}}, ids, limit)
			want(f, fmt.Sprintf("ComponentUses() of two in pages of %d", limit), got, nil, []string{all[0], all[3], all[6]})
			want(f, "ComponentUses() of nothing", f.componentUses(meta.Visibility{}, ids, limit), nil, nil)
		}
		want(f, "ComponentUses() of no coordinates", f.componentUses(everything, nil, 5), nil, nil)
	}},
	{"a page of uses ends in bounded work where there is little to see", func(f *fixture) {
		var files []meta.FileComponents
		for i := range 6000 {
			files = append(files, componentsOf(fmt.Sprint(i), 1, crate("a", "1")))
		}
		for part := range slices.Chunk(files, 1000) {
			f.compose(part...)
		}
		f.pin("r", "m", "5999")
		_, ids := f.found("", allOf("a"))
		p, err := f.db.ComponentUses(f.Context(), everything, ids, meta.UsePosition{}, 10)
		if err != nil || len(p.Uses) != 0 || p.Next == nil {
			f.Fatalf("ComponentUses() = %v, %v, want an empty page with a next", p, err)
		}
		got := f.componentUses(everything, ids, 10)
		want(f, "ComponentUses() to the end", got, nil, []string{fmt.Sprint("r ", sum("m"), " ", sum("5999"), " ", ids)})
	}},
	{"components of old versions are forgotten unless a manifest needs their blob", func(f *fixture) {
		for _, text := range []string{"pinned", "linked"} {
			f.compose(componentsOf(text, 1, crate(text, "1")))
			f.link("r", text)
		}
		f.pin("r", "m", "pinned")
		f.compose(componentsOf("unknown", 1, crate("unknown", "1")), componentsOf("new", 2, crate("new", "1")))
		forget := func(below int) (n int64) {
			f.update(func(ctx context.Context, tx meta.Tx) (err error) {
				n, err = tx.ForgetComponents(ctx, below)
				return err
			})
			return n
		}
		want(f, "ForgetComponents(1)", forget(1), nil, 0)
		want(f, "ForgetComponents(2)", forget(2), nil, 2)
		got, _ := f.found("", allOf("pinned"), allOf("linked"), allOf("unknown"), allOf("new"))
		want(f, "Coordinates()", got, nil, []string{"new@1 proven", "pinned@1 proven"})
		_, err := f.db.FileComponents(f.Context(), sum("linked"))
		fails(f, "FileComponents(linked)", err, meta.ErrNotFound)
		for i := range meta.MaxForgottenFiles + 5 {
			f.compose(componentsOf(fmt.Sprint(i), 1, crate("x", "1")))
		}
		want(f, "ForgetComponents(2) of many", forget(2), nil, meta.MaxForgottenFiles)
		want(f, "ForgetComponents(2), again", forget(2), nil, 5)
		want(f, "ForgetComponents(2), at last", forget(2), nil, 0)
	}},
	{"components go with the row of their blob", func(f *fixture) {
		f.link("r", "b")
		f.compose(componentsOf("b", 1, crate("a", "1")))
		f.unlink("r", "b")
		f.update(func(ctx context.Context, tx meta.Tx) error {
			for _, step := range [][2]meta.BlobState{
				{meta.BlobLive, meta.BlobCondemned}, {meta.BlobCondemned, meta.BlobDeleted}, {meta.BlobDeleted, meta.BlobDeleted},
			} {
				if err := tx.SetBlobState(ctx, sum("b"), 0, step[0], step[1], start); err != nil {
					return err
				}
			}
			return nil
		})
		_, err := f.db.FileComponents(f.Context(), sum("b"))
		fails(f, "FileComponents(b)", err, meta.ErrNotFound)
		got, _ := f.found("", allOf("a"))
		want(f, "Coordinates(a)", got, nil, nil)
	}},
	{"files put at once by many writers are all found", func(f *fixture) {
		var all sync.WaitGroup
		for w := range 8 {
			all.Go(func() {
				for i := range 25 {
					err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error {
						// The same coordinates by all, and half of the files twice.
						return tx.PutComponents(ctx, componentsOf(fmt.Sprint(w/2, " ", i), w, crate("shared", fmt.Sprint(i)), crate("all", "1")))
					})
					if err != nil {
						f.Errorf("Update() = %v", err)
					}
				}
			})
		}
		all.Wait()
		texts, ids := f.found("", allOf("shared"))
		want(f, "len(Coordinates(shared))", len(texts), nil, 25)
		got, err := f.db.ComponentFiles(f.Context(), ids, 0, 0)
		want(f, "len(ComponentFiles(shared))", len(got), err, 100)
		_, ids = f.found("", allOf("all"))
		got, err = f.db.ComponentFiles(f.Context(), ids, 0, 0)
		want(f, "len(ComponentFiles(all))", len(got), err, 100)
	}},
	{"an update that fails leaves neither components nor coordinates", func(f *fixture) {
		f.failing("Update()", errStop, func(ctx context.Context, tx meta.Tx) error {
			if err := tx.PutComponents(ctx, componentsOf("f", 1, crate("a", "1"))); err != nil {
				return err
			}
			return errStop
		})
		got, _ := f.found("", allOf("a"))
		want(f, "Coordinates(a)", got, nil, nil)
		f.compose(componentsOf("f", 1, crate("a", "1")))
		f.wantComponents("f", componentsOf("f", 1, crate("a", "1")))
	}},
	{"components, findings and advisories are neither journaled nor dumped", func(f *fixture) {
		empty := f.dump()
		f.compose(componentsOf("f", 1, crate("a", "1")))
		f.advise("feed", advisory("X-1", 1, "a"))
		f.find("f", "", finding("X-1", crate("a", "1")))
		want(f, "sequences", sequences(f.entries()), nil, nil)
		want(f, "Dump()", f.dump(), nil, empty)
	}},
}
