package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wreg-project/wreg/registry/search"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/postgres"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
)

// The budgets of searches, in milliseconds: of a first page, and of storing one
// document.
const (
	searchBudget   = 50.0
	documentBudget = 2.0
)

// searchRow is one kind of query on one database.
type searchRow struct {
	Database string  `json:"database"`
	Kind     string  `json:"kind"`
	Queries  int     `json:"queries"`
	P50      float64 `json:"p50Milliseconds"`
	P99      float64 `json:"p99Milliseconds"`
	Max      float64 `json:"maxMilliseconds"`
	CPU      float64 `json:"cpuMilliseconds"` // mean, the database's own processes included
	Hits     int     `json:"medianHits"`
	Example  string  `json:"example"`
	Budget   float64 `json:"budgetMilliseconds,omitempty"`
}

// indexRow is what keeping the documents takes.
type indexRow struct {
	Database  string  `json:"database"`
	Documents int     `json:"documents"`
	Terms     float64 `json:"termsPerDocument"`
	Bytes     int64   `json:"databaseBytes"`
	Describe  float64 `json:"describeCPUMilliseconds"`
	Load      float64 `json:"loadCPUMillisecondsPerDocument"` // in large updates, with manifest and packing
	Put       float64 `json:"putDocumentCPUMilliseconds"`     // one to an update, packing included
	Again     float64 `json:"putAgainCPUMilliseconds"`        // the same with another tag
}

// An indexed database is one that searches are measured on.
type indexed struct {
	name string
	db   meta.DB
	dsn  string // of PostgreSQL
	size func(context.Context) (int64, error)
	cpu  func() time.Duration // that the database's own processes have used
	stop func()
}

// measureSearch fills each database with made-up packages, then searches.
func measureSearch(ctx context.Context, o options, r *report) error {
	dir := o.searchData
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "wreg-search"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	for _, name := range o.databases {
		if err := measureIndexed(ctx, o, name, filepath.Join(dir, name), r); err != nil {
			return fmt.Errorf("search, %s: %w", name, err)
		}
	}
	return nil
}

func measureIndexed(ctx context.Context, o options, name, dir string, r *report) error {
	x, err := openIndexed(ctx, name, dir)
	if err != nil {
		return err
	}
	defer x.stop()
	row := indexRow{Database: name, Documents: o.documents}
	if filled := filepath.Join(filepath.Dir(dir), "sqlite", "meta.db"); name == "postgres" && isFile(filled) {
		if err := x.copyFrom(ctx, filled); err != nil {
			return err
		}
		r.note("PostgreSQL was filled with the rows of SQLite.")
	}
	if err := x.load(ctx, o.documents, &row); err != nil {
		return err
	}
	for _, k := range searchKinds {
		s, err := x.measure(ctx, k, o.queries)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		fmt.Fprintf(os.Stderr, "%-10s %-44s p50 %7.2f  p99 %7.2f ms\n", name, s.Kind, s.P50, s.P99)
		r.Searches = append(r.Searches, s)
	}
	if err := x.put(ctx, o.documents, &row); err != nil {
		return err
	}
	if row.Bytes, err = x.size(ctx); err != nil {
		return err
	}
	r.Indexes = append(r.Indexes, row)
	return nil
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// copyFrom fills the database with the rows of another one, unless an earlier
// run has.
func (x *indexed) copyFrom(ctx context.Context, path string) error {
	all, err := x.db.AllDocuments(ctx)
	if err != nil || !all.IsEmpty() {
		return err
	}
	fmt.Fprintf(os.Stderr, "%-10s is filled from %s\n", x.name, path)
	return copyTables(ctx, path, x.dsn)
}

func openIndexed(ctx context.Context, name, dir string) (*indexed, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	switch name {
	case "sqlite":
		db, err := sqlite.Open(ctx, filepath.Join(dir, "meta.db"), sqlite.Options{Migrate: true})
		if err != nil {
			return nil, err
		}
		return &indexed{
			name: name, db: db, stop: func() { _ = db.Close() }, cpu: func() time.Duration { return 0 },
			size: func(context.Context) (int64, error) { return folderSize(dir) },
		}, nil
	case "postgres":
		s, dsn, err := startPostgres(ctx, dir)
		if err != nil {
			return nil, err
		}
		return openPG(ctx, s, dsn)
	}
	return nil, errors.New("no such database")
}

func openPG(ctx context.Context, s *server, dsn string) (*indexed, error) {
	db, err := postgres.Open(ctx, dsn, postgres.Options{Migrate: true})
	if err != nil {
		s.stop()
		return nil, err
	}
	return &indexed{
		name: "postgres", db: db, dsn: dsn, cpu: s.familyCPU, size: func(ctx context.Context) (int64, error) { return postgresSize(ctx, dsn) },
		stop: func() {
			_ = db.Close()
			s.stop()
		},
	}, nil
}

func folderSize(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}

func postgresSize(ctx context.Context, dsn string) (n int64, err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	return n, conn.QueryRow(ctx, `SELECT pg_database_size(current_database())`).Scan(&n)
}

// familyCPU is what the process and those it started have used, as far as they
// still run.
func (s *server) familyCPU() time.Duration {
	total, _ := s.cpu()
	entries, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, e := range entries {
		b, err := os.ReadFile(e)
		if err != nil {
			continue // it ended meanwhile
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[1] != strconv.Itoa(s.pid) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(e)))
		if err == nil {
			child, _ := (&server{pid: pid}).cpu()
			total += child
		}
	}
	return total
}

func selfCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// load fills the database, unless an earlier run has.
func (x *indexed) load(ctx context.Context, n int, row *indexRow) error {
	all, err := x.db.AllDocuments(ctx)
	if err != nil {
		return err
	}
	if have := int(all.GetCardinality()); have >= n {
		fmt.Fprintf(os.Stderr, "%-10s holds %d documents already\n", x.name, have)
		return nil
	}
	const at = 1000 // documents of an update
	c := newCatalogue(1)
	var describing, writing time.Duration
	var terms int
	begin := time.Now()
	for done := 0; done < n; done += at {
		before := selfCPU()
		docs := make([]meta.Document, min(at, n-done))
		for i := range docs {
			docs[i] = search.Describe(c.next())
			terms += len(docs[i].Terms)
		}
		described := selfCPU()
		describing += described - before
		database := x.cpu()
		if err := x.write(ctx, docs); err != nil {
			return err
		}
		if (done/at)%8 == 7 {
			if err := x.pack(ctx); err != nil {
				return err
			}
		}
		writing += selfCPU() - described + x.cpu() - database
		if (done/at)%50 == 0 {
			fmt.Fprintf(os.Stderr, "%-10s %8d documents, %4.0f s\n", x.name, done+len(docs), time.Since(begin).Seconds())
		}
	}
	row.Terms = float64(terms) / float64(n)
	row.Describe, row.Load = ms(describing)/float64(n), ms(writing)/float64(n)
	return x.pack(ctx)
}

// write stores documents with their manifests in one update, and forgets the
// journal, which is not measured here.
func (x *indexed) write(ctx context.Context, docs []meta.Document) error {
	err := x.db.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		for _, d := range docs {
			if err := writeOne(ctx, tx, d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	written, _, err := x.db.JournalSequence(ctx)
	if err != nil {
		return err
	}
	return x.db.JournalDone(ctx, written)
}

func writeOne(ctx context.Context, tx meta.Tx, d meta.Document) error {
	content := fmt.Appendf(nil, `{"schemaVersion":2,"layers":[{"digest":%q}],"padding":"%400s"}`, d.Digest, "")
	m := meta.NewManifest{Manifest: meta.Manifest{
		Repo: d.Repo, Digest: d.Digest, MediaType: "application/vnd.oci.image.manifest.v1+json", Content: content, Created: d.Updated,
	}}
	if _, err := tx.PutManifest(ctx, m); err != nil {
		return err
	}
	if d.Pulls > 0 {
		err := tx.AddDownloads(ctx, []meta.Download{{Repo: d.Repo, Digest: d.Digest, Day: d.Updated, Count: d.Pulls}})
		if err != nil {
			return err
		}
	}
	return tx.PutDocument(ctx, d)
}

// pack packs while there is more, as the server does between other writes.
func (x *indexed) pack(ctx context.Context) error {
	for more := true; more; {
		err := x.db.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
			var err error
			more, err = tx.PackDocuments(ctx)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// put measures documents that come one by one, and come again changed.
func (x *indexed) put(ctx context.Context, n int, row *indexRow) error {
	const count = 1000
	c := newCatalogue(2)
	sources := make([]search.Source, count)
	docs := make([]meta.Document, count)
	for i := range docs {
		sources[i] = c.next()
		sources[i].Digest = madeDigest(n+i, "another")
		docs[i] = search.Describe(sources[i])
	}
	// The manifests are not what is measured.
	err := x.db.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		for _, d := range docs {
			if err := writeOne(ctx, tx, d); err != nil {
				return err
			}
			if err := tx.DeleteDocument(ctx, d.Repo, d.Digest); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	each := func() (float64, error) {
		runtime.GC()
		before := selfCPU() + x.cpu()
		for _, d := range docs {
			if err := x.db.Update(ctx, func(ctx context.Context, tx meta.Tx) error { return tx.PutDocument(ctx, d) }); err != nil {
				return 0, err
			}
		}
		if err := x.pack(ctx); err != nil {
			return 0, err
		}
		return ms(selfCPU()+x.cpu()-before) / count, nil
	}
	if row.Put, err = each(); err != nil {
		return err
	}
	for i := range docs {
		sources[i].Tags = append(sources[i].Tags, search.Tag{Name: "stable"})
		if docs[i], err = search.Update(docs[i], sources[i].State); err != nil {
			return err
		}
	}
	row.Again, err = each()
	return err
}

// A searchKind makes queries of one kind.
type searchKind struct {
	name    string
	request func(q *questioner) search.Request
	free    bool // of the budget
}

// A questioner makes up queries, as people ask them: about what is there, and about
// frequent things most often.
type questioner struct {
	rng *rand.Rand
	c   *catalogue
	s   search.Source // of a package that is there
}

func query(format string, args ...any) search.Request {
	q, err := search.Parse(fmt.Sprintf(format, args...))
	if err != nil {
		panic(err) // of our own making
	}
	return search.Request{Query: q, Visibility: meta.Visibility{Everything: true}}
}

func (q *questioner) word() string { return word(q.c.words.draw(q.c.rng)) }

func pick(q *questioner, list []string) string { return list[int(q.rng.ExpFloat64()*3)%len(list)] }

func quoted(s string) string { return `"` + s + `"` }

var searchKinds = []searchKind{
	{name: "a word", request: func(q *questioner) search.Request { return query("%s", q.word()) }},
	{name: "the most popular word", request: func(*questioner) search.Request { return query("%s", word(0)) }},
	{name: "a beginning of a word", request: func(q *questioner) search.Request { return query("%s*", q.word()) }},
	{name: "name:", request: func(q *questioner) search.Request { return query("name:%s", q.word()) }},
	{name: "lang:", request: func(q *questioner) search.Request { return query("lang:%s", quoted(pick(q, languages))) }},
	{name: "tool:", request: func(q *questioner) search.Request { return query("tool:%s", quoted(pick(q, tools))) }},
	{name: "host:", request: func(q *questioner) search.Request { return query("host:%s", quoted(pick(q, hosts))) }},
	{name: "license:", request: func(q *questioner) search.Request {
		return query("license:%s", []string{"mit", "apache-2.0", "isc"}[q.rng.IntN(3)])
	}},
	{name: "kind:", request: func(q *questioner) search.Request {
		return query("kind:%s", []string{"module", "component"}[q.rng.IntN(2)])
	}},
	{name: "feature:", request: func(q *questioner) search.Request { return query("feature:%s", pick(q, features)) }},
	{name: "signal:", request: func(q *questioner) search.Request { return query("signal:%s", pick(q, signals)) }},
	{name: "section:", request: func(q *questioner) search.Request { return query("section:%s", pick(q, sections)) }},
	{name: "capability:", request: func(q *questioner) search.Request {
		return query("capability:%s", []string{"net", "files", "clock", "random", "exit", "threads"}[q.rng.IntN(6)])
	}},
	{name: "imports: of an interface", request: func(q *questioner) search.Request { return query("imports:%s", pick(q, interfaces)) }},
	{name: "imports: of a function", request: func(q *questioner) search.Request {
		return query("imports:wasi_snapshot_preview1/%s", pick(q, preview1))
	}},
	{name: "imports:, the most popular one", request: func(*questioner) search.Request {
		return query("imports:wasi_snapshot_preview1/fd_write")
	}},
	{name: "imports:wasi:sockets/*", request: func(*questioner) search.Request { return query("imports:wasi:sockets/*") }},
	{name: "imports:wasi:h*", request: func(*questioner) search.Request { return query("imports:wasi:h*") }},
	{name: "exports:", request: func(q *questioner) search.Request { return query("exports:%s", word(q.c.plugins.draw(q.c.rng))) }},
	{name: "repo:", request: func(q *questioner) search.Request { return query("repo:%s", q.s.Repo) }},
	{name: "ns:", request: func(q *questioner) search.Request { return query("ns:%s", q.s.Repo[:strings.IndexByte(q.s.Repo, '/')]) }},
	{name: "digest:", request: func(q *questioner) search.Request { return query("digest:%s", q.s.Digest) }},
	{name: "layer:", request: func(q *questioner) search.Request { return query("layer:%s", q.s.Files[0].Digest) }},
	{name: "version:", request: func(q *questioner) search.Request { return query("version:%s", q.s.Tags[0].Name) }},
	{name: "is:latest", request: func(*questioner) search.Request { return query("is:latest") }},
	{name: "size:", request: func(q *questioner) search.Request { return query("size:<%dKB", 1+q.rng.IntN(3000)) }},
	{name: "pulls:", request: func(q *questioner) search.Request { return query("pulls:>%d", q.rng.IntN(200)) }},
	{name: "updated:", request: func(q *questioner) search.Request {
		return query("updated:>2026-%02d-%02d", 1+q.rng.IntN(12), 1+q.rng.IntN(28))
	}},
	{name: "a negation", request: func(q *questioner) search.Request { return query("-lang:%s", quoted(pick(q, languages))) }},
	{name: "everything", request: func(*questioner) search.Request { return query("") }},
	{name: "a word and two filters", request: func(q *questioner) search.Request {
		return query("%s lang:%s capability:files", q.word(), quoted(pick(q, languages)))
	}},
	{name: "the most popular word and two popular filters", request: func(*questioner) search.Request {
		return query("%s kind:module imports:wasi_snapshot_preview1/fd_write", word(0))
	}},
	{name: "a word, a range and a date", request: func(q *questioner) search.Request {
		return query("%s size:<%dKB updated:>2025-%02d-01", q.word(), 1+q.rng.IntN(3000), 1+q.rng.IntN(12))
	}},
	{name: "alternatives and a negation", request: func(q *questioner) search.Request {
		return query("(lang:rust OR lang:go) imports:%s -signed:true", pick(q, interfaces))
	}},
	{name: "a popular filter, by size", request: sorted("kind:module", search.SortSize)},
	{name: "a popular filter, by time", request: sorted("kind:module", search.SortUpdated)},
	{name: "a popular filter, by name", request: sorted("kind:module", search.SortName)},
	{name: "a rare filter, by name", request: func(q *questioner) search.Request {
		r := query("imports:wasi:sockets/udp %s", q.word())
		r.Sort = search.SortName
		return r
	}},
	{name: "a caller who sees one namespace", request: func(q *questioner) search.Request {
		r := query("%s", q.word())
		r.Visibility = meta.Visibility{Namespaces: []string{q.s.Repo[:strings.IndexByte(q.s.Repo, '/')]}}
		return r
	}},
	{name: "a word, with six facets", free: true, request: func(q *questioner) search.Request { return faceted(query("%s", q.word())) }},
	{name: "a popular filter, with six facets", free: true, request: func(*questioner) search.Request {
		return faceted(query("imports:wasi_snapshot_preview1/fd_write"))
	}},
}

func sorted(text string, by search.Sort) func(*questioner) search.Request {
	return func(*questioner) search.Request {
		r := query("%s", text)
		r.Sort = by
		return r
	}
}

func faceted(r search.Request) search.Request {
	r.Facets = []string{"lang", "kind", "wasi", "capability", "license", "feature"}
	return r
}

// measure asks the first page of n queries of a kind, one after the other.
func (x *indexed) measure(ctx context.Context, k searchKind, n int) (searchRow, error) {
	row := searchRow{Database: x.name, Kind: k.name, Queries: n}
	if !k.free {
		row.Budget = searchBudget
	}
	q := &questioner{rng: rand.New(rand.NewPCG(3, 4)), c: newCatalogue(1)}
	requests := make([]search.Request, n)
	for i := range requests {
		for range 1 + q.rng.IntN(20) {
			q.s = q.c.next()
		}
		requests[i] = k.request(q)
	}
	for _, req := range requests[:min(n, 3)] { // connections and statements
		if _, err := x.ask(ctx, req); err != nil {
			return row, err
		}
	}
	times := make([]time.Duration, n)
	hits := make([]int, n)
	used := selfCPU() + x.cpu()
	for i, req := range requests {
		begin := time.Now()
		count, err := x.ask(ctx, req)
		if err != nil {
			return row, err
		}
		times[i], hits[i] = time.Since(begin), count
	}
	row.CPU = ms(selfCPU()+x.cpu()-used) / float64(n)
	slices.Sort(times)
	slices.Sort(hits)
	row.P50, row.P99, row.Max = ms(times[n/2]), ms(times[n*99/100]), ms(times[n-1])
	row.Hits, row.Example = hits[n/2], requests[n/2].Query.String()
	return row, nil
}

// ask gives the number of hits. That a beginning stands for too many words is an
// answer, too.
func (x *indexed) ask(ctx context.Context, req search.Request) (int, error) {
	res, err := search.Search(ctx, x.db, req)
	if _, ok := errors.AsType[*search.SyntaxError](err); ok {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("%q: %w", req.Query, err)
	}
	return res.Count, nil
}

func (r *report) printSearches(out io.Writer) {
	if len(r.Searches) == 0 {
		return
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "first page of a search\tdatabase\tqueries\tp50 ms\tp99 ms\tmax ms\tCPU ms\tmedian hits\tbudget\texample\t")
	rows := slices.Clone(r.Searches)
	slices.SortStableFunc(rows, func(a, b searchRow) int {
		return slices.IndexFunc(searchKinds, isKind(a.Kind)) - slices.IndexFunc(searchKinds, isKind(b.Kind))
	})
	for _, s := range rows {
		verdict, hits := "", strconv.Itoa(s.Hits)
		if s.Budget > 0 {
			verdict = fmt.Sprintf("p99 %.0f ms %s", s.Budget, metOr(s.P99 <= s.Budget))
		}
		if s.Hits == search.MaxCount {
			hits = "10k+"
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%s\t%s\t%s\t\n", s.Kind, s.Database, s.Queries, s.P50, s.P99, s.Max, s.CPU,
			hits, verdict, s.Example)
	}
	fmt.Fprintln(t)
	fmt.Fprintln(t, "the index\tdocuments\tterms each\tMB\tDescribe ms CPU\tload ms CPU\tput ms CPU\tput again ms CPU\tbudget\t")
	for _, x := range r.Indexes {
		fmt.Fprintf(t, "%s\t%d\t%.0f\t%.0f\t%.3f\t%.3f\t%.3f\t%.3f\tput %.0f ms %s\t\n", x.Database, x.Documents, x.Terms, float64(x.Bytes)/1e6,
			x.Describe, x.Load, x.Put, x.Again, documentBudget, metOr(x.Put+x.Describe <= documentBudget))
	}
	t.Flush()
	fmt.Fprintln(out)
}

func isKind(name string) func(searchKind) bool {
	return func(k searchKind) bool { return k.name == name }
}
