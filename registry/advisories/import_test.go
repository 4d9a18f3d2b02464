package advisories_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/registry/advisories"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/storage/meta"
)

const osv = "../../test/data/osv/"

// archive is a zip of files, name and content by turns.
func archive(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// feed is a zip of records, each in the file of its id.
func feed(t testing.TB, records ...string) []byte {
	t.Helper()
	var files []string
	for _, r := range records {
		a, err := vuln.Parse([]byte(r))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, a.ID+".json", r)
	}
	return archive(t, files...)
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// ids are those that the database has of a feed.
func ids(t testing.TB, db meta.DB, source string) (out []string) {
	t.Helper()
	page, err := db.FeedAdvisories(t.Context(), source, meta.Page{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range page {
		out = append(out, a.ID)
	}
	return out
}

func theFeed(t testing.TB, db meta.DB) meta.Feed {
	t.Helper()
	feeds, err := db.Feeds(t.Context())
	if err != nil || len(feeds) != 1 {
		t.Fatalf("Feeds() = %+v, %v; want one", feeds, err)
	}
	return feeds[0]
}

func numbered(n int) (records []string) {
	for i := range n {
		records = append(records, record(fmt.Sprintf("X-%d", i), "time", "0.2.0"))
	}
	return records
}

func TestImport(t *testing.T) {
	one, two := record("X-1", "time", "0.2.0"), record("X-2", "serde", "2.0.0")
	newer := strings.Replace(record("X-1", "time", "0.3.0"), "2026-01-01", "2026-01-09", 1)
	future := strings.Replace(one, "2026-01-01", "2999-01-01", 1)
	elsewhere := `{"id":"X-1","modified":"2026-03-01T00:00:00Z","affected":[{"package":{"ecosystem":"Debian:12","name":"time"}}]}`
	later := strings.Replace(newer, "2026-01-09", "2026-05-09", 1)
	whole := feed(t, one, two)
	large := archive(t, "X-2.json", two, "X-1.json", strings.Repeat(" ", vuln.MaxRecord+1))
	bomb := archive(t, "X-1.json", one, "X-9.json", strings.Repeat(" ", vuln.MaxRecord+1))
	type result struct {
		Advisories, Changed, Removed, Refused int
		IDs                                   []string
	}
	tests := []struct {
		name          string
		before, after []byte
		shrink        bool
		want          result
		err           error  // of the second import
		problem       string // as the feed keeps it
	}{
		{name: "new records are stored", before: feed(t), after: whole, want: result{2, 2, 0, 0, []string{"X-1", "X-2"}}},
		{name: "the same again changes nothing", before: whole, after: whole, want: result{2, 0, 0, 0, []string{"X-1", "X-2"}}},
		{name: "one that changed is stored", before: whole, after: feed(t, newer, two), want: result{2, 1, 0, 0, []string{"X-1", "X-2"}}},
		{name: "what the feed has no longer goes", before: whole, after: feed(t, two), want: result{1, 0, 1, 0, []string{"X-2"}}},
		{
			name: "what became about nothing that a binary can have goes", before: whole,
			after: archive(t, "X-1.json", elsewhere, "X-2.json", two), want: result{1, 0, 1, 0, []string{"X-2"}},
		},
		{
			name: "a record that cannot be read leaves what was there", before: whole,
			after: archive(t, "X-1.json", "{", "X-2.json", two), want: result{1, 0, 0, 1, []string{"X-1", "X-2"}},
		},
		{
			name: "one that is a bomb does, too", before: whole, after: large,
			want: result{1, 0, 0, 1, []string{"X-1", "X-2"}},
		},
		{name: "beside a bomb the others are read", before: feed(t), after: bomb, want: result{1, 1, 0, 1, []string{"X-1"}}},
		{
			name: "an id counts as it stands in the record, not in the name", before: feed(t), after: archive(t, "X-7.json", one, "X-1.json", two),
			want: result{2, 2, 0, 0, []string{"X-1", "X-2"}},
		},
		{
			name: "a record that is there twice is one", before: feed(t), after: archive(t, "X-1.json", one, "a/X-1.json", one),
			want: result{1, 1, 0, 0, []string{"X-1"}},
		},
		{
			name: "a record from the future does not stand in the way of the next", before: feed(t, future), after: feed(t, later),
			want: result{1, 1, 0, 0, []string{"X-1"}},
		},
		{
			name: "a truncated file removes nothing", before: whole, after: whole[:len(whole)/2],
			want: result{IDs: []string{"X-1", "X-2"}}, err: zip.ErrFormat, problem: zip.ErrFormat.Error(),
		},
		{
			name: "a feed that lost most of what it had removes nothing", before: feed(t, numbered(150)...), after: feed(t, one),
			want: result{Advisories: 1, Changed: 0, IDs: nil}, err: advisories.ErrShrunk, problem: "149 of 150",
		},
		{
			name: "unless it may", before: feed(t, numbered(150)...), after: feed(t, one), shrink: true,
			want: result{Advisories: 1, Removed: 149, IDs: []string{"X-1"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db := openSQLite(t)
			path := filepath.Join(t.TempDir(), "all.zip")
			im := advisories.Importer{DB: db, Clock: func() time.Time { return now }}
			write(t, path, tt.before)
			if _, err := im.Import(t.Context(), advisories.Load{Source: "feed", Path: path}); err != nil {
				t.Fatal(err)
			}
			write(t, path, tt.after)
			got, err := im.Import(t.Context(), advisories.Load{Source: "feed", Path: path, Shrink: tt.shrink})
			if !errors.Is(err, tt.err) {
				t.Fatalf("Import() = %v, want %v", err, tt.err)
			}
			r := result{got.Advisories, got.Changed, got.Removed, got.Refused, ids(t, db, "feed")}
			if tt.want.IDs == nil {
				r.IDs = nil
			}
			if diff := cmp.Diff(tt.want, r); diff != "" {
				t.Errorf("Import() (-want +got):\n%s", diff)
			}
			f := theFeed(t, db)
			if !strings.Contains(f.Error, tt.problem) || (f.Error == "") != (tt.err == nil) || !f.Attempted.Equal(now) {
				t.Errorf("the feed is %+v, want the error %q", f, tt.problem)
			}
			if f.Newest.After(now) {
				t.Errorf("its newest record is of %v, after %v", f.Newest, now)
			}
		})
	}
}

// A change leaves a job, and the same again does not.
func TestImportEnqueuesARescan(t *testing.T) {
	db := openSQLite(t)
	path := filepath.Join(t.TempDir(), "all.zip")
	write(t, path, feed(t, record("X-1", "time", "0.2.0")))
	im := advisories.Importer{DB: db}
	for _, want := range []int{1, 0} {
		if _, err := im.Import(t.Context(), advisories.Load{Source: "feed", Path: path}); err != nil {
			t.Fatal(err)
		}
		counts, err := db.JobCounts(t.Context())
		if err != nil || counts[advisories.RescanJob].Waiting != want {
			t.Fatalf("JobCounts() = %+v, %v; want %d that wait", counts, err, want)
		}
		drain(t, advisories.New(db, advisories.Options{}), 10, nil)
		update(t, db, func(ctx context.Context, tx meta.Tx) error {
			list, err := tx.Jobs(ctx, meta.JobFilter{}, 0, 0)
			for _, j := range list {
				err = errors.Join(err, tx.DropJob(ctx, j.ID))
			}
			return err
		})
	}
}

// What is matched through the database is what is matched in memory.
func TestStoredAdvisoriesMatchAsInMemory(t *testing.T) {
	var components []evidence.Component
	for _, c := range []string{
		"golang.org/x/net v0.1.0", "golang.org/x/crypto v0.0.0-20200622213623-75b288015ac9", "stdlib v1.20.0",
		"github.com/docker/docker v20.10.0",
	} {
		name, v, _ := strings.Cut(c, " ")
		components = append(components, evidence.Component{Ecosystem: evidence.Go, Name: name, Version: v, Class: evidence.Proven})
	}
	components = append(components, crate("time", "0.1.40"), crate("openssl", "0.10.30"), crate("chrono", "0.4.10"))
	mem, _, err := vuln.Load(t.Context(), osv+"go.zip", osv+"crates.io.zip")
	if err != nil {
		t.Fatal(err)
	}
	want, err := vuln.Match(t.Context(), components, mem)
	if err != nil || len(want.Findings) < 50 {
		t.Fatalf("Match() in memory = %d findings, %v", len(want.Findings), err)
	}
	db := openSQLite(t)
	im := advisories.Importer{DB: db}
	for _, name := range []string{"go.zip", "crates.io.zip"} {
		if _, err := im.Import(t.Context(), advisories.Load{Source: name, Path: osv + name}); err != nil {
			t.Fatal(err)
		}
	}
	for _, cache := range []int64{0, 1} {
		got, err := vuln.Match(t.Context(), components, advisories.New(db, advisories.Options{Cache: cache}))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Match() with a cache of %d bytes (-in memory +stored):\n%s", cache, diff)
		}
	}
}

func TestFetch(t *testing.T) {
	data := feed(t, record("X-1", "time", "0.2.0"))
	sum := sha256.Sum256(data)
	right, wrong := hex.EncodeToString(sum[:]), strings.Repeat("0", 64)
	var statuses []int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		switch {
		case r.URL.Path == "/cut.zip":
			w.Header().Set("Content-Length", fmt.Sprint(len(data)+1))
			_, _ = w.Write(data)
			statuses = append(statuses, http.StatusOK)
		case r.Header.Get("If-None-Match") == `"v1"`:
			w.WriteHeader(http.StatusNotModified)
			statuses = append(statuses, http.StatusNotModified)
		default:
			_, _ = w.Write(data)
			statuses = append(statuses, http.StatusOK)
		}
	}))
	defer server.Close()
	f := advisories.Fetcher{Dir: filepath.Join(t.TempDir(), "feeds"), Client: server.Client()}
	tests := []struct {
		name, address string
		err           error
		statuses      []int
	}{
		{name: "a file is brought", address: server.URL + "/all.zip", statuses: []int{200}},
		{name: "and not again", address: server.URL + "/all.zip", statuses: []int{304}},
		{name: "one that was named is taken", address: server.URL + "/all.zip#sha256=" + right, statuses: []int{304}},
		{name: "another one is not", address: server.URL + "/all.zip#sha256=" + wrong, err: advisories.ErrDigest, statuses: []int{304}},
		{name: "nor when it comes", address: server.URL + "/new.zip#sha256=" + wrong, err: advisories.ErrDigest, statuses: []int{200}},
		{name: "one that is cut is an error", address: server.URL + "/cut.zip", err: io.ErrUnexpectedEOF, statuses: []int{200}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			statuses = nil
			a, err := advisories.ParseAddress(tt.address)
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.Fetch(t.Context(), a)
			if !errors.Is(err, tt.err) {
				t.Fatalf("Fetch() = %+v, %v; want %v", got, err, tt.err)
			}
			if err == nil && (got.ETag != `"v1"` || got.Digest.Encoded() != right) {
				t.Errorf("Fetch() = %+v, want the ETag \"v1\" and the digest %s", got, right)
			}
			if !slices.Equal(statuses, tt.statuses) {
				t.Errorf("Fetch() asked with answers %v, want %v", statuses, tt.statuses)
			}
		})
	}
}

func TestParseAddress(t *testing.T) {
	here, err := filepath.Abs("all.zip")
	if err != nil {
		t.Fatal(err)
	}
	sum := strings.Repeat("ab", 32)
	tests := []struct {
		name, text string
		want       advisories.Address
		wrong      bool
	}{
		{name: "a URL", text: "https://example.org/all.zip", want: advisories.Address{Source: "https://example.org/all.zip"}},
		{
			name: "with a digest", text: "https://example.org/all.zip#sha256=" + strings.ToUpper(sum),
			want: advisories.Address{Source: "https://example.org/all.zip", SHA256: sum},
		},
		{name: "a path is made absolute", text: "all.zip", want: advisories.Address{Source: here}},
		{name: "a short digest", text: "all.zip#sha256=abc", wrong: true},
		{name: "a password", text: "https://u:p@example.org/all.zip", wrong: true},
		{name: "another scheme", text: "ftp://example.org/all.zip", wrong: true},
		{name: "no host", text: "https:///all.zip", wrong: true},
		{name: "nothing", text: "", wrong: true},
		{name: "a control character", text: "a\nb", wrong: true},
		{name: "too long", text: strings.Repeat("a", 600), wrong: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := advisories.ParseAddress(tt.text)
			if got != tt.want || (err != nil) != tt.wrong {
				t.Errorf("ParseAddress(%q) = %+v, %v; want %+v", tt.text, got, err, tt.want)
			}
		})
	}
}
