package vuln

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/sbom/evidence"
)

// zipped makes an archive of names and contents in turn.
func zipped(t testing.TB, files ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for i := 0; i < len(files); i += 2 {
		f, err := w.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func npm(id, modified, rest string) string {
	return fmt.Sprintf(`{"id":%q,"modified":%q,%s"affected":[{"package":{"ecosystem":"npm","name":"p"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`,
		id, modified, rest)
}

const (
	day1 = "2024-01-01T00:00:00Z"
	day2 = "2024-01-02T00:00:00Z"
)

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A second import reads only what has changed, and older news does not win.
func TestImportTwice(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/A-1.json", []byte(npm("A-1", day1, "")))
	write(t, dir+"/notes.txt", []byte("no record"))
	write(t, dir+"/all.zip", zipped(t, "B-1.json", npm("B-1", day1, ""), "C-1.json", npm("C-1", day1, ""), "bad.json", "{",
		"D-1.json", `{"id":"D-1","affected":[{"package":{"ecosystem":"Alpine","name":"x"}}]}`, "dir/", "", "README.md", "no record"))
	db := &DB{}
	im := Importer{Store: db}
	if err := im.Path(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	want := Stats{
		Records: 5, Changed: 3, Elsewhere: 1, Refused: 1, Newest: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC),
		Problems: []string{"bad.json: not an OSV record: unexpected end of JSON input"},
	}
	if diff := cmp.Diff(want, im.Stats); diff != "" {
		t.Errorf("first import (-want +got):\n%s", diff)
	}

	write(t, dir+"/all.zip", zipped(t, "B-1.json", npm("B-1", day1, ""), "C-1.json", npm("C-1", day2, `"withdrawn":"2024-01-02T00:00:00Z",`)))
	write(t, dir+"/A-1.json", []byte(npm("A-1", "2023-01-01T00:00:00Z", "")))
	im = Importer{Store: db}
	if err := im.Path(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	want = Stats{Records: 3, Changed: 1, Same: 2, Withdrawn: 1, Newest: time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)}
	if diff := cmp.Diff(want, im.Stats); diff != "" {
		t.Errorf("second import (-want +got):\n%s", diff)
	}
	res, err := Match(t.Context(), []evidence.Component{{Ecosystem: evidence.NPM, Name: "p", Version: "1.0.0"}}, db)
	if err != nil || len(res.Findings) != 2 {
		t.Errorf("Match after both finds %v, %v; want A-1 and B-1", res.Findings, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/empty.zip", zipped(t))
	write(t, dir+"/broken.zip", []byte("PK no zip"))
	write(t, dir+"/list.csv", nil)
	tests := []struct {
		name string
		path string
		want error
	}{
		{"no such path", "/absent", fs.ErrNotExist},
		{"a database without advisories would find nothing", "/empty.zip", errNone},
		{"an archive that is none", "/broken.zip", zip.ErrFormat},
		{"a file of another kind", "/list.csv", ErrRecord},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if db, _, err := Load(t.Context(), dir+tt.path); !errors.Is(err, tt.want) {
				t.Errorf("Load(%s) = %v, %v; want %v", tt.path, db, err, tt.want)
			}
		})
	}
}

// A record may say that it is small and be large: only the bytes that come count.
func TestBomb(t *testing.T) {
	bomb := zipped(t, "A-1.json", strings.Repeat(" ", MaxRecord+1), "B-1.json", npm("B-1", day1, ""))
	var read, refused []string
	give := func(r Record) error { read = append(read, r.ID()); return nil }
	refuse := func(name string, err error) {
		if !errors.Is(err, ErrLimit) {
			t.Errorf("%s is refused for %v; want %v", name, err, ErrLimit)
		}
		refused = append(refused, name)
	}
	if err := readZip(t.Context(), bytes.NewReader(bomb), int64(len(bomb)), &budget{maxFeed, maxRecords}, give, refuse); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{{"B-1"}, {"A-1.json"}}, [][]string{read, refused}); diff != "" {
		t.Errorf("read and refused (-want +got):\n%s", diff)
	}
	for name, left := range map[string]budget{"bytes": {MaxRecord, 100}, "records": {maxFeed, 1}} {
		if err := readZip(t.Context(), bytes.NewReader(bomb), int64(len(bomb)), &left, give, refuse); !errors.Is(err, ErrLimit) {
			t.Errorf("with %s used up readZip gives %v; want %v", name, err, ErrLimit)
		}
	}
}

// Links in a folder are not followed, and what has no ReadAt is read whole.
func TestReadDir(t *testing.T) {
	archive := zipped(t, "B-1.json", npm("B-1", day1, ""))
	dir := fstest.MapFS{
		"x/A-1.json": {Data: []byte(npm("A-1", day1, ""))}, "y/z/all.zip": {Data: archive},
		"link.json": {Data: []byte("x"), Mode: fs.ModeSymlink},
	}
	var ids []string
	give := func(r Record) error { ids = append(ids, r.ID()); return nil }
	for _, fsys := range []fs.FS{dir, onlyReader{dir}} {
		ids = nil
		if err := ReadDir(t.Context(), fsys, give, func(name string, err error) { t.Errorf("%s: %v", name, err) }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"A-1", "B-1"}, ids); diff != "" {
			t.Errorf("ReadDir gives (-want +got):\n%s", diff)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ReadDir(ctx, dir, give, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("ReadDir with an ended context gives %v; want %v", err, context.Canceled)
	}
}

// onlyReader hides ReadAt of its files.
type onlyReader struct{ fs.FS }

func (o onlyReader) Open(name string) (fs.File, error) {
	f, err := o.FS.Open(name)
	if _, ok := f.(fs.ReadDirFile); ok || err != nil {
		return f, err
	}
	return struct{ fs.File }{f}, nil
}

// The index answers as the memory does.
func TestIndex(t *testing.T) {
	db := all(t)
	cache := t.TempDir()
	x, stats, err := LoadCached(t.Context(), cache, "../../test/data/osv")
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if stats.Changed != db.Len() || x.Len() != db.Len() {
		t.Errorf("LoadCached reads %d and indexes %d; want %d", stats.Changed, x.Len(), db.Len())
	}
	for _, name := range []string{"hcl2json", "epoxy", "parquet-0.7.2", "npm"} {
		want, err := Match(t.Context(), components(t, name), db)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Match(t.Context(), components(t, name), x)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" || len(got.Findings) == 0 {
			t.Errorf("%s: %d findings by the index (-memory +index):\n%s", name, len(got.Findings), diff)
		}
	}
	again, stats, err := LoadCached(t.Context(), cache, "../../test/data/osv")
	if err != nil || stats.Records != 0 {
		t.Fatalf("LoadCached again reads %d records, %v; want none", stats.Records, err)
	}
	defer again.Close()
}

func TestCacheFollowsFiles(t *testing.T) {
	dir, cache := t.TempDir(), t.TempDir()+"/made"
	path := filepath.Join(dir, "A-1.json")
	for i, id := range []string{"A-1", "A-22"} {
		write(t, path, []byte(npm(id, day1, "")))
		x, stats, err := LoadCached(t.Context(), cache, dir)
		if err != nil || stats.Changed != 1 {
			t.Fatalf("LoadCached number %d reads %+v, %v; want one record", i, stats, err)
		}
		list, err := x.Advisories(t.Context(), []Package{{evidence.NPM, "p"}})
		if err != nil || len(list) != 1 || list[0].ID != id {
			t.Errorf("Advisories number %d = %v, %v; want %s", i, list, err, id)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(cache)
	if err != nil || len(files) != 1 {
		t.Fatalf("the cache has %v, %v; want one file", files, err)
	}
	// A cut index is made again.
	name := filepath.Join(cache, files[0].Name())
	if err := os.Truncate(name, 100); err != nil {
		t.Fatal(err)
	}
	x, stats, err := LoadCached(t.Context(), cache, dir)
	if err != nil || stats.Changed != 1 {
		t.Fatalf("LoadCached with a cut index reads %+v, %v; want one record", stats, err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
}

// An index of any bytes answers or refuses, and reads no more than it has.
func FuzzIndex(f *testing.F) {
	var buf bytes.Buffer
	var list []*Advisory
	for _, id := range []string{"A-1", "B-1"} {
		a, err := Parse([]byte(npm(id, day1, "")))
		if err != nil {
			f.Fatal(err)
		}
		list = append(list, a)
	}
	if err := WriteIndex(&buf, list); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Add([]byte(indexMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := OpenIndex(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			if !errors.Is(err, ErrIndex) {
				t.Fatalf("OpenIndex gives %v", err)
			}
			return
		}
		got, err := x.Advisories(t.Context(), []Package{{evidence.NPM, "p"}, {evidence.Cargo, "q"}})
		if err != nil && !errors.Is(err, ErrIndex) && !errors.Is(err, io.EOF) {
			t.Fatalf("Advisories = %v, %v", got, err)
		}
		if len(got) > len(data) {
			t.Fatalf("%d advisories of %d bytes", len(got), len(data))
		}
	})
}

// Whatever an archive holds, an import ends and counts what it saw.
func FuzzReadZip(f *testing.F) {
	f.Add(zipped(f, "A-1.json", npm("A-1", day1, ""), "x/B-1.json", "{"))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, data []byte) {
		im := Importer{Store: &DB{}}
		give := func(r Record) error { return im.Record(t.Context(), r) }
		err := readZip(t.Context(), bytes.NewReader(data), int64(len(data)), &budget{maxFeed, maxRecords}, give, im.refuse)
		if s := im.Stats; err == nil && s.Records > s.Changed+s.Same+s.Elsewhere+s.Refused {
			t.Fatalf("%+v does not add up", s)
		}
	})
}

func TestFetch(t *testing.T) {
	body, sent := []byte("first"), 0
	mux := http.NewServeMux()
	mux.HandleFunc("/all.zip", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.Sum256(body)
		w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:4])+`"`)
		if r.Header.Get("If-None-Match") == w.Header().Get("ETag") {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		sent++
		_, _ = w.Write(body)
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/all.zip", http.StatusFound) })
	srv := httptest.NewServer(mux)
	defer srv.Close()
	path := filepath.Join(t.TempDir(), "all.zip")
	feed := Feed{URL: srv.URL + "/all.zip", Client: srv.Client(), MaxBytes: 100}

	step := func(name string, want bool, wantSent int, content string) {
		t.Helper()
		changed, err := feed.Fetch(t.Context(), path)
		got, _ := os.ReadFile(path)
		if err != nil || changed != want || sent != wantSent || string(got) != content {
			t.Errorf("%s: Fetch = %v, %v, %q at its place after %d bodies; want %v, %q, %d",
				name, changed, err, got, sent, want, content, wantSent)
		}
	}
	step("the first time", true, 1, "first")
	step("the server has nothing new", false, 1, "first")
	write(t, path, []byte("other"))
	step("someone changed the file", true, 2, "first")
	body = []byte("second")
	step("the server has something new", true, 3, "second")
	feed.URL = srv.URL + "/away"
	step("another address with the same file", true, 4, "second")

	tests := []struct {
		name string
		feed Feed
		want error
	}{
		{"nothing there", Feed{URL: srv.URL + "/absent"}, ErrFeed},
		{"plain HTTP to another machine", Feed{URL: "http://example.com/all.zip"}, ErrFeed},
		{"another scheme", Feed{URL: "file:///etc/passwd"}, ErrFeed},
		{"no address", Feed{URL: "http://[::1"}, ErrFeed},
		{"more than it may have", Feed{URL: srv.URL + "/all.zip", MaxBytes: 3}, ErrLimit},
		{"the check refuses it", Feed{
			URL:    srv.URL + "/all.zip",
			Verify: func(context.Context, string, []byte) error { return os.ErrPermission },
		}, os.ErrPermission},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.feed.Client = srv.Client()
			changed, err := tt.feed.Fetch(t.Context(), path)
			got, _ := os.ReadFile(path)
			if !errors.Is(err, tt.want) || changed || string(got) != "second" {
				t.Errorf("Fetch(%s) = %v, %v, with %q at its place; want %v and the file as it was",
					tt.feed.URL, changed, err, got, tt.want)
			}
		})
	}
}

// The check is given the digest of what was sent.
func TestVerify(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "content") }))
	defer srv.Close()
	want := sha256.Sum256([]byte("content"))
	called := false
	feed := Feed{URL: srv.URL, Client: srv.Client(), Verify: func(_ context.Context, url string, sum []byte) error {
		called = true
		if url != srv.URL || !bytes.Equal(sum, want[:]) {
			t.Errorf("Verify(%s, %x); want %s, %x", url, sum, srv.URL, want)
		}
		return nil
	}}
	if changed, err := feed.Fetch(t.Context(), filepath.Join(t.TempDir(), "f")); !changed || err != nil || !called {
		t.Errorf("Fetch = %v, %v, checked: %v; want true, nil, true", changed, err, called)
	}
}

func TestReadEPSS(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	fmt.Fprint(z, "cve,epss,percentile\nCVE-1,0.00042,0.05\n")
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := ReadEPSS(&packed)
	if diff := cmp.Diff(map[string]EPSS{"CVE-1": {0.00042, 0.05}}, got); diff != "" || err != nil {
		t.Errorf("ReadEPSS of gzip gives %v (-want +got):\n%s", err, diff)
	}
	for name, in := range map[string]string{
		"two cells": "CVE-1,0.5\n", "no number": "CVE-1,x,0\n", "no probability": "CVE-1,1.5,0\n", "not a number": "CVE-1,NaN,0\n",
		"no name": "<b>,0,0\n", "a long line": strings.Repeat("x", maxEPSSLine+1), "a cut archive": "\x1f\x8b\x08",
	} {
		if got, err := ReadEPSS(strings.NewReader(in)); err == nil {
			t.Errorf("ReadEPSS of %s = %v; want an error", name, got)
		}
	}
}

func TestReadKEVRefuses(t *testing.T) {
	for name, in := range map[string]string{"nothing": "", "a list": "[]", "too much": `{"vulnerabilities":[` + strings.Repeat(" ", maxKEV) + `]}`} {
		if got, err := ReadKEV(strings.NewReader(in)); err == nil {
			t.Errorf("ReadKEV of %s = %v; want an error", name, got)
		}
	}
}

func FuzzReadEPSS(f *testing.F) {
	f.Add([]byte("#model\ncve,epss,percentile\nCVE-2024-1,0.1,0.5\n"))
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ReadEPSS(bytes.NewReader(data))
		if err != nil {
			return
		}
		for cve, s := range got {
			if !identifier(cve) || !(s.Probability >= 0 && s.Probability <= 1 && s.Percentile >= 0 && s.Percentile <= 1) {
				t.Fatalf("ReadEPSS(%q) has %q: %v", data, cve, s)
			}
		}
	})
}

func BenchmarkIndex(b *testing.B) {
	x, _, err := LoadCached(b.Context(), b.TempDir(), "../../test/data/osv")
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close()
	for _, name := range []string{"hcl2json", "c2pa"} {
		list := components(b, name)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Match(b.Context(), list, x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
