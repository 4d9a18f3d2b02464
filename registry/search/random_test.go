package search

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/storage/meta"
)

// A simple collection answers queries by looking at every document.
type simple struct {
	rng  *rand.Rand
	docs []meta.Document
	made map[string][]Component // by digest
}

func collection(seed uint64) *simple {
	return &simple{rng: rand.New(rand.NewPCG(seed, 0)), made: map[string][]Component{}}
}

func (s *simple) one(list ...string) string {
	return list[int(s.rng.ExpFloat64()*float64(len(list))/3)%len(list)]
}

var (
	someWords = []string{"proxy", "filter", "image", "parser", "http", "json", "codec", "gateway", "http-proxy", "tool"}
	someNames = []string{"wasi:http/types@0.2.0", "wasi:http/types@0.2.1", "wasi:io/poll@0.2.0", "wasi:sockets/tcp@0.2.0", "env/abort", "env/seed"}
	someLangs = []string{"rust", "go", "c", "zig"}

	someCrates = []string{"serde", "http", "json", "serde-json"}
)

func (s *simple) fill(n int) {
	for i := range n {
		repo := fmt.Sprintf("%s/%s", s.one("team", "team-b", "other", "team/inner"), s.one(someWords...))
		d := describer{terms: map[string]bool{}, counts: map[string]int{}}
		d.metadata(Source{Repo: repo, Digest: sum(fmt.Sprint(i))})
		for range s.rng.IntN(6) {
			d.words("text", s.one(someWords...))
		}
		d.words("text", segments(repo))
		for range s.rng.IntN(4) {
			d.name("imports", s.one(someNames...))
		}
		d.add("lang", s.one(someLangs...), 9)
		if s.rng.IntN(3) == 0 {
			d.add("is", "latest", 9)
		}
		m := s.materials()
		d.materials(m)
		s.made[string(sum(fmt.Sprint(i)))] = m.Components
		doc := meta.Document{
			Repo: repo, Digest: sum(fmt.Sprint(i)), Size: s.rng.Int64N(100) * 100, Updated: day(1 + s.rng.IntN(28)), Pulls: s.rng.Int64N(5),
			Body: json.RawMessage("{}"),
		}
		for t := range d.terms {
			doc.Terms = append(doc.Terms, t)
		}
		s.docs = append(s.docs, doc)
	}
}

func (s *simple) materials() Materials {
	var m Materials
	for range s.rng.IntN(4) {
		m.Derived = true
		c := Component{Ecosystem: evidence.Cargo, Name: s.one(someCrates...), Version: s.version()}
		if s.rng.IntN(3) == 0 {
			c.Ecosystem = evidence.PyPI
		}
		m.Components = append(m.Components, c)
		m.Findings = append(m.Findings, Finding{
			Names: []string{s.one("CVE-1", "CVE-2", "GO-1")}, Rating: vuln.Rating(s.one("high", "low", "")), Reach: reach.Level(s.rng.IntN(5)),
		})
	}
	return m
}

func (s *simple) version() string {
	return fmt.Sprintf("%d.%d%s", s.rng.IntN(3), s.rng.IntN(4), s.one(".0", ".1", ".0-rc1", ".0-rc.1", "-odd!"))
}

func (s *simple) dependency() string {
	name := s.one("pkg:cargo/", "pkg:pypi/", "") + s.one(someCrates...)
	return "dep:" + name + s.one("", "@"+s.version(), "@<"+s.one("1", "2.1", "1.0.0-rc.1"), "@>=1,<2", "@^1.1", "@!=1.0.0", "@*", "@1*", "@~0.2||>=2")
}

func (s *simple) query(depth int) string {
	switch n := s.rng.IntN(24); {
	case n < 3 && depth > 0:
		return s.query(depth-1) + " " + s.query(depth-1)
	case n < 6 && depth > 0:
		return "(" + s.query(depth-1) + " OR " + s.query(depth-1) + ")"
	case n < 8 && depth > 0:
		return "-(" + s.query(depth-1) + ")"
	case n < 10:
		return s.one(someWords...)
	case n < 11:
		return s.one("pr*", "ht*", "http-*", `"http-proxy"`, "none")
	case n < 12:
		return "name:" + s.one(someWords...)
	case n < 14:
		return "imports:" + s.one("wasi:http/types", "wasi:*", "wasi:http/*", "env/*", "wasi:so*", "wasi:http/types@0.2.1", "w*", "nothing")
	case n < 16:
		return "lang:" + s.one(someLangs...)
	case n < 17:
		return "ns:" + s.one("team", "team-b", "team/inner", "nobody")
	case n < 18:
		return fmt.Sprintf("size:%s%d", s.one("<", ">", "<=", ">=", "="), s.rng.IntN(100)*100)
	case n < 19:
		return fmt.Sprintf("updated:>=2026-01-%02d", 1+s.rng.IntN(28))
	case n < 22:
		return s.dependency()
	case n < 23:
		return s.one("vuln:CVE-1", "vuln:CVE-*", "vuln-severity:high", "vuln-severity:unknown", "vuln-reachable:true", "sbom:derived")
	}
	return "pulls:" + s.one("0", ">2", "1..3", "<1")
}

// matches is what a query means.
func (s *simple) matches(n node, d *meta.Document) bool {
	switch n := n.(type) {
	case nil:
		return true
	case *allOf:
		return !slices.ContainsFunc(n.parts, func(p node) bool { return !s.matches(p, d) })
	case *anyOf:
		return slices.ContainsFunc(n.parts, func(p node) bool { return s.matches(p, d) })
	case *notOf:
		return !s.matches(n.part, d)
	case *versionsNode:
		return slices.ContainsFunc(s.made[string(d.Digest)], func(c Component) bool {
			return slices.ContainsFunc(n.ranges, func(r versionRange) bool {
				return r.ecosystem == c.Ecosystem && r.name == c.Name && r.versions.Contains(c.Version)
			})
		})
	case *termNode:
		if n.any {
			return slices.ContainsFunc(n.terms, func(t string) bool { return slices.Contains(d.Terms, t) })
		}
		return !slices.ContainsFunc(n.terms, func(t string) bool {
			return !slices.ContainsFunc(d.Terms, func(have string) bool { return have == t || n.begins && strings.HasPrefix(have, t) })
		})
	case *rangeNode:
		v, _ := columnValue(n.op.column, *d)
		return n.low <= v && v <= n.high
	}
	return false
}

// tier is where a document stands by relevance.
func tier(q *Query, d *meta.Document) int {
	e := engine{q: q}
	words, whole := e.words()
	has := func(t string) bool { return slices.Contains(d.Terms, t) }
	n := 0
	for _, w := range words {
		if has("name:" + w) {
			n++
		}
	}
	t := 6
	switch {
	case len(words) == 0:
	case has("named:"+strings.Join(whole, "-")) || has("named:"+strings.Join(whole, "_")):
		t = 0
	case n == len(words):
		t = 2
	case n > 0:
		t = 4
	}
	if has("is:latest") {
		return t
	}
	return t + 1
}

// answer lists the documents that a request finds, in its order; documents that
// the order leaves equal are in that of their numbers, which is that of docs.
func (s *simple) answer(req Request) []string {
	type placed struct {
		place int
		doc   *meta.Document
	}
	var found []placed
	for i := range s.docs {
		if d := &s.docs[i]; sees(req.Visibility, d.Repo) && s.matches(req.Query.root, d) {
			found = append(found, placed{i, d})
		}
	}
	slices.SortFunc(found, func(a, b placed) int {
		number := cmp.Compare(a.place, b.place)
		by := func(c meta.Column) int {
			x, _ := columnValue(c, *a.doc)
			y, _ := columnValue(c, *b.doc)
			return cmp.Compare(x, y)
		}
		order := 0
		switch req.Sort {
		case SortUpdated:
			order = -by(meta.ColumnUpdated)
		case SortSize:
			order = -by(meta.ColumnSize)
		case SortPulls:
			order = -by(meta.ColumnPulls)
		case SortName:
			order = strings.Compare(a.doc.Repo, b.doc.Repo)
			if req.Descending {
				order, number = -order, -number
			}
		default:
			order = cmp.Or(cmp.Compare(tier(req.Query, a.doc), tier(req.Query, b.doc)), -by(meta.ColumnPulls))
		}
		if req.Ascending && slices.Contains([]Sort{SortUpdated, SortSize, SortPulls}, req.Sort) {
			order = -order
		}
		return cmp.Or(order, number)
	})
	out := []string{}
	for _, f := range found {
		out = append(out, string(f.doc.Digest))
	}
	return out
}

// compose notes all components as those of one file: which versions there are is
// all that a search asks.
func (s *simple) compose(tb testing.TB, db meta.DB) {
	tb.Helper()
	compose(tb, db, "all", slices.Concat(slices.Collect(maps.Values(s.made))...))
}

func pack(tb testing.TB, db meta.DB) {
	tb.Helper()
	for more := true; more; {
		err := db.Update(tb.Context(), func(ctx context.Context, tx meta.Tx) error {
			var err error
			more, err = tx.PackDocuments(ctx)
			return err
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// Every random query, in every order and for every caller, finds on all its
// pages together what looking at each document finds.
func TestSearchFindsWhatASimpleCollectionFinds(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := collection(seed)
	db := open(t)
	s.fill(700)
	s.compose(t, db)
	index(t, db, s.docs[:500]...)
	pack(t, db)
	index(t, db, s.docs[500:]...) // these stay changes
	for range 150 {
		text := s.query(3)
		req := Request{
			Query: mustParse(t, text), Visibility: everything, Ascending: s.rng.IntN(2) == 0, Descending: s.rng.IntN(2) == 0,
			Sort: []Sort{SortRelevance, SortUpdated, SortSize, SortPulls, SortName, ""}[s.rng.IntN(6)], Limit: 8 + s.rng.IntN(MaxLimit),
			Explain: s.rng.IntN(4) == 0,
		}
		if s.rng.IntN(2) == 0 {
			req.Visibility = meta.Visibility{Namespaces: []string{s.one("team", "other", "team/inner", "team-b"), "nobody"}}
		}
		want := s.answer(req)
		var got []string
		for {
			res, err := Search(t.Context(), db, req)
			if err != nil {
				t.Fatalf("Search(%q) = %v", text, err)
			}
			if res.Count != len(want) || len(res.Hits) > min(req.Limit, MaxLimit) {
				t.Fatalf("Search(%q) counts %d and shows %d, want %d of %d", text, res.Count, len(res.Hits), req.Limit, len(want))
			}
			for _, h := range res.Hits {
				got = append(got, string(h.Digest))
			}
			if req.Cursor = res.Next; res.Next == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			i := 0
			for i < min(len(got), len(want)) && got[i] == want[i] {
				i++
			}
			t.Fatalf("Search(%q, %+v) finds %d on all pages, want %d; the first that differ are\n%q, want\n%q",
				text, req, len(got), len(want), got[i:min(i+2, len(got))], want[i:min(i+2, len(want))])
		}
	}
}

// Hits say which clauses they match; a clause that is said to match does.
func TestWhyIsTrue(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := collection(seed)
	db := open(t)
	s.fill(200)
	s.compose(t, db)
	index(t, db, s.docs...)
	for range 200 {
		text := s.query(3)
		res, err := Search(t.Context(), db, Request{Query: mustParse(t, text), Visibility: everything})
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range res.Hits {
			i := slices.IndexFunc(s.docs, func(d meta.Document) bool { return d.Digest == h.Digest })
			for _, m := range h.Why {
				clause := mustParse(t, m.Clause)
				if !s.matches(clause.root, &s.docs[i]) {
					t.Fatalf("Search(%q): %s of %s is said to match %q", text, h.Digest, h.Repo, m.Clause)
				}
			}
		}
	}
}

// What is pushed between two pages shifts nothing: whatever was there is shown
// once.
func TestCursorsAreStable(t *testing.T) {
	s := collection(1)
	s.fill(120)
	for _, by := range []Sort{SortRelevance, SortUpdated, SortSize, SortPulls, SortName} {
		t.Run(string(by), func(t *testing.T) {
			db := open(t)
			index(t, db, s.docs[:60]...)
			seen := map[string]int{}
			req := Request{Query: mustParse(t, "lang:rust OR -lang:rust"), Visibility: everything, Sort: by, Limit: 7}
			for next := 60; ; {
				res, err := Search(t.Context(), db, req)
				if err != nil {
					t.Fatal(err)
				}
				for _, h := range res.Hits {
					seen[string(h.Digest)]++
				}
				if req.Cursor = res.Next; res.Next == "" {
					break
				}
				n := min(next+5, len(s.docs))
				index(t, db, s.docs[next:n]...)
				next = n
			}
			for i, d := range s.docs {
				n := seen[string(d.Digest)]
				if n > 1 || i < 60 && n != 1 {
					t.Errorf("document %d is on the pages %d times", i, n)
				}
			}
		})
	}
}

// A caller who sees nothing learns nothing.
func TestWhoSeesNothingLearnsNothing(t *testing.T) {
	s := collection(1)
	s.fill(100)
	db := open(t)
	s.compose(t, db)
	index(t, db, s.docs...)
	for _, v := range []meta.Visibility{{}, {Namespaces: []string{"", "nobody", "tea"}}} {
		for range 100 {
			text := s.query(2)
			res, err := Search(t.Context(), db, Request{Query: mustParse(t, text), Visibility: v, Facets: []string{"lang", "is"}, Explain: true})
			if err != nil {
				t.Fatalf("Search(%q) = %v", text, err)
			}
			if len(res.Hits) != 0 || res.Count != 0 || res.Next != "" {
				t.Errorf("Search(%q) = %d hits of %d, next %q; want none", text, len(res.Hits), res.Count, res.Next)
			}
			for _, f := range res.Facets {
				if len(f.Values) != 0 {
					t.Errorf("Search(%q) shows values of %s: %v", text, f.Operator, f.Values)
				}
			}
			for _, step := range res.Plan {
				if step.Count != 0 || step.Terms != 0 && expands(mustParse(t, step.Clause).root) {
					t.Errorf("Search(%q) plans %+v, want no counts", text, step)
				}
			}
		}
		for _, op := range []string{"lang", "imports", "repo", "text"} {
			list, next, err := Values(t.Context(), db, v, op, "", Place{}, 10)
			if err != nil || len(list) != 0 {
				t.Errorf("Values(%s) = %v, %+v, %v; want none", op, list, next, err)
			}
		}
		if n, err := Count(t.Context(), db, v, "lang", "rust"); err != nil || n != 0 {
			t.Errorf("Count(lang, rust) = %d, %v; want 0", n, err)
		}
	}
}
