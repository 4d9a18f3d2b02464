//go:build unix

package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// zipOf is a zip of files, name and content by turns.
func zipOf(t *testing.T, files ...string) []byte {
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

// advisory is a record about a crate.
func advisory(id string) string {
	return fmt.Sprintf(`{"id":%q,"modified":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"crates.io","name":"time"},
"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"0.2.0"}]}]}]}`, id)
}

// feedServer serves files with ETags, and counts the answers by status.
type feedServer struct {
	*httptest.Server
	mu       sync.Mutex
	files    map[string][]byte
	statuses map[int]int
}

func serveFeeds(t *testing.T, files map[string][]byte) *feedServer {
	f := &feedServer{files: files, statuses: map[int]int{}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		data, tag := f.files[r.URL.Path], fmt.Sprintf(`"%d"`, len(f.files[r.URL.Path]))
		w.Header().Set("ETag", tag)
		status := http.StatusOK
		switch {
		case data == nil:
			status = http.StatusNotFound
		case r.Header.Get("If-None-Match") == tag:
			status = http.StatusNotModified
		}
		f.statuses[status]++
		w.WriteHeader(status)
		if status == http.StatusOK {
			_, _ = w.Write(data)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *feedServer) answered(status int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.statuses[status]
}

func TestAdvisoriesWithoutAServer(t *testing.T) {
	data := t.TempDir()
	good := zipOf(t, "X-1.json", advisory("X-1"), "X-2.json", advisory("X-2"))
	f := serveFeeds(t, map[string][]byte{
		"/all.zip":   good,
		"/cut.zip":   good[:len(good)/2],
		"/bomb.zip":  zipOf(t, "X-1.json", advisory("X-1"), "X-9.json", strings.Repeat(" ", 5<<20)),
		"/lies.zip":  zipOf(t, "X-1.json", advisory("X-3"), "X-2.json", "{}", "X-4.json", `{"id":"\u001b[31m","affected":[]}`),
		"/empty.zip": zipOf(t),
	})
	tests := []struct {
		name   string
		args   []string
		code   int
		stdout []string
		stderr []string
	}{
		{name: "a feed is imported", args: []string{"import", f.URL + "/all.zip"}, stdout: []string{"/all.zip  2           2        0        0"}},
		{
			name: "again, it changes nothing", args: []string{"import", f.URL + "/all.zip"},
			stdout: []string{"/all.zip  2           0        0        0"},
		},
		{
			name: "one that is named by its digest", args: []string{"import", f.URL + "/all.zip#sha256=" + strings.Repeat("0", 64)}, code: 1,
			stderr: []string{"not the file that was named"},
		},
		{name: "a truncated one is refused", args: []string{"import", f.URL + "/cut.zip"}, code: 1, stderr: []string{"not a valid zip file"}},
		{
			name: "of a bomb the rest is imported", args: []string{"import", f.URL + "/bomb.zip"},
			stdout: []string{"/bomb.zip  1           0        0        1", "refused: X-9.json: more than 4194304 bytes"},
		},
		{
			name: "lies are refused, and ids are those in the records", args: []string{"import", f.URL + "/lies.zip"},
			stdout: []string{"/lies.zip  1           1        0        2", "refused: X-2.json", "refused: X-4.json"},
		},
		{name: "what is not there is an error", args: []string{"import", f.URL + "/none.zip"}, code: 1, stderr: []string{"status 404"}},
		{
			name: "others are imported beside it", args: []string{"import", f.URL + "/none.zip", f.URL + "/all.zip"}, code: 1,
			stdout: []string{"/all.zip   2"}, stderr: []string{"status 404"},
		},
		{name: "an address has to make sense", args: []string{"import", "ftp://example.org/x"}, code: 2, stderr: []string{"feeds are at https"}},
		{name: "something has to be named", args: []string{"import"}, code: 2, stderr: []string{"advisories.feeds is not set"}},
		{name: "there are two commands", args: []string{"frobnicate"}, code: 2, stderr: []string{`there is no command "frobnicate"`}},
		{
			name: "the status has every feed", args: []string{"status"}, code: 3,
			stdout: []string{
				"/all.zip", "/cut.zip", "/bomb.zip", "2026-01-01", "never", "3 changes, of which stored packages were not compared with 3",
			},
			stderr: []string{"not up to date: ", "/cut.zip"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"advisories"}, tt.args[0])
			if tt.args[0] != "frobnicate" {
				args = append(args, "--data", data)
			}
			stdout, stderr, code := wreg(t, append(args, tt.args[1:]...)...)
			if code != tt.code {
				t.Errorf("wreg advisories %q ended with %d, want %d\n%s%s", tt.args, code, tt.code, stdout, stderr)
			}
			for _, want := range tt.stdout {
				if !strings.Contains(stdout, want) {
					t.Errorf("wreg advisories %q printed no %q:\n%s", tt.args, want, stdout)
				}
			}
			for _, want := range tt.stderr {
				if !strings.Contains(stderr, want) {
					t.Errorf("wreg advisories %q said no %q:\n%s", tt.args, want, stderr)
				}
			}
			if strings.ContainsRune(stdout+stderr, '\x1b') {
				t.Errorf("wreg advisories %q printed control characters: %q", tt.args, stdout+stderr)
			}
		})
	}
	if n := f.answered(http.StatusNotModified); n < 2 {
		t.Errorf("%d files were not sent again, want 2 or more", n)
	}
}

// A server imports what it is configured for, and what commands ask it for: its
// database is its own.
func TestAdvisoriesOfAServer(t *testing.T) {
	data, other := t.TempDir(), filepath.Join(t.TempDir(), "other.zip")
	f := serveFeeds(t, map[string][]byte{"/all.zip": zipOf(t, "X-1.json", advisory("X-1"))})
	if err := os.WriteFile(other, zipOf(t, "X-2.json", advisory("X-2"), "X-3.json", advisory("X-3")), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, data, "--advisories-feeds", f.URL+"/all.zip")
	p.waitLog(`msg="advisories imported" source=` + f.URL + "/all.zip advisories=1 changed=1")

	stdout, stderr, code := wreg(t, "advisories", "import", "--data", data, "--output", "json", other)
	var got struct {
		Loaded []struct {
			Source              string
			Advisories, Changed int
		}
		Status struct{ Feeds []struct{ Source string } }
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 {
		t.Fatalf("wreg advisories import ended with %d, %v\n%s%s", code, err, stdout, stderr)
	}
	if len(got.Loaded) != 1 || got.Loaded[0].Source != other || got.Loaded[0].Changed != 2 || len(got.Status.Feeds) != 2 {
		t.Errorf("wreg advisories import = %+v, want 2 changes and 2 feeds", got)
	}
	stdout, stderr, code = wreg(t, "advisories", "import", "--data", data, filepath.Join(data, "none.zip"))
	if code != 1 || !strings.Contains(stderr, "none.zip: no such file") {
		t.Errorf("wreg advisories import of nothing ended with %d\n%s%s", code, stdout, stderr)
	}
	stdout, stderr, code = wreg(t, "advisories", "status", "--data", data)
	stale := "not up to date: " + filepath.Join(data, "none.zip")
	if code != 3 || !strings.Contains(stdout, f.URL+"/all.zip") || !strings.Contains(stderr, stale) {
		t.Errorf("wreg advisories status ended with %d\n%s%s", code, stdout, stderr)
	}
	metrics := p.want(200, "GET", "/metrics", nil).body
	for _, want := range []string{
		`wreg_advisory_feed_records{feed="` + f.URL + `/all.zip"} 1`, `wreg_advisory_feed_failed{feed="` + f.URL + `/all.zip"} 0`,
		`wreg_advisory_feed_age_seconds{feed="` + other + `"}`, "wreg_advisory_changes_waiting ",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s among the metrics:\n%s", want, metrics)
		}
	}
	if left, err := os.ReadDir(filepath.Join(data, "advisories", "requests")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v is left of the requests", left, err)
	}
	p.stop()

	stdout, stderr, code = wreg(t, "doctor", "--data", data)
	if code != 0 || !strings.Contains(stdout, "no feeds are configured") {
		t.Errorf("wreg doctor ended with %d\n%s%s", code, stdout, stderr)
	}
}
