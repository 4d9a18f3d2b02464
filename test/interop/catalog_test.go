//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/test/corpus"
)

// corpusPackages is how many real binaries are pushed, each by two clients.
const corpusPackages = 30

// Every package is found by what its binary is, whichever client pushed it and
// whatever it was called.
func TestCorpusIsFoundByWhatItIs(t *testing.T) {
	reg, sh := startWreg(t), newShell(t)
	files := smallestOfCorpus(t, corpusPackages)
	for i, file := range files {
		name := packageName(i)
		// The description is the text to search for: a word of its own for each.
		describe := fmt.Sprintf("org.opencontainers.image.description=corpus binary quokka%dx of many", i)
		sh.run(program(t, "bin", "wpkg"), "push", "--quiet", "--annotation", describe, reg.ref("wpkg/"+name+":1.0.0"), file)
		layout := sh.file("layout-" + name)
		sh.run(program(t, "bin", "wpkg"), "pack", "--quiet", "--annotation", describe, file, "-o", layout+":1.0.0")
		sh.run(client(t, "crane"), "push", layout, reg.ref("crane/"+name+":1.0.0"))
	}
	reg.settle(t)
	for i, file := range files {
		for _, query := range queriesFor(t, i, file) {
			found := reg.search(t, query)
			for _, by := range []string{"wpkg", "crane"} {
				if repo := by + "/" + packageName(i); !slices.Contains(found, repo) {
					t.Errorf("search %s = %v, want %s (%s) in it", query, found, repo, filepath.Base(file))
				}
			}
		}
	}
	reg.findsNothing(t, "text:quokka99x", "lang:cobol", "-is:latest")
}

// packageName says nothing about the binary, so that no search can find it by
// its name.
func packageName(i int) string { return fmt.Sprintf("p%02d", i) }

func smallestOfCorpus(t *testing.T, n int) []string {
	t.Helper()
	dir, entries, err := corpus.Fetched()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(entries, func(a, b corpus.Entry) int { return int(a.Size - b.Size) })
	if len(entries) < n {
		t.Fatalf("the corpus has %d files, want %d", len(entries), n)
	}
	files := make([]string, n)
	for i := range files {
		if files[i], err = filepath.Abs(filepath.Join(dir, entries[i].File)); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// queriesFor are searches, one for each thing that the inspector says about a
// binary, that have to find it.
func queriesFor(t *testing.T, i int, file string) []string {
	t.Helper()
	bin, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := inspect.Inspect(bin, inspect.Options{Functions: true})
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	queries := []string{fmt.Sprintf("quokka%dx", i), fmt.Sprintf("name:%s text:quokka%dx", packageName(i), i)}
	if langs := rep.Origin.Languages; len(langs) > 0 {
		queries = append(queries, "lang:"+quoted(langs[0].Name))
	}
	if len(rep.Imports) > 0 {
		im := rep.Imports[0]
		name := im.Name
		if im.Module != "" {
			name = im.Module + "/" + im.Name
		}
		queries = append(queries, "imports:"+quoted(name))
	}
	if len(rep.Exports) > 0 {
		queries = append(queries, "exports:"+quoted(rep.Exports[0].Name))
	}
	for _, c := range rep.Capabilities.Capabilities {
		if c.Level == capability.Reachable {
			queries = append(queries, "capability:"+string(c.ID))
			break
		}
	}
	for _, table := range rep.Functions {
		for _, f := range table.Functions {
			if f.Instructions >= 32 {
				return append(queries, "function:sha256:"+f.Normal.String())
			}
		}
	}
	return queries
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }

// A package that opens sockets is refused where policy forbids it, and a dry run
// finds the one that came before the policy.
func TestNoNetworkPolicy(t *testing.T) {
	reg, sh := startWreg(t), newShell(t)
	wpkg := program(t, "bin", "wpkg")
	sh.socketComponent("dial.wasm")
	sh.wasm("quiet.wasm")
	sh.run(wpkg, "push", "--quiet", reg.ref("prod/before:1.0.0"), "dial.wasm")
	sh.run(wpkg, "push", "--quiet", reg.ref("prod/quiet:1.0.0"), "quiet.wasm")
	reg.settle(t)

	sh.run(wpkg, "policy", "put", "ready:no-network", "--registry", reg.host)
	refusal := sh.fails(wpkg, "push", "--quiet", reg.ref("prod/dial:1.0.0"), "dial.wasm")
	contains(t, "wpkg push", refusal, "no-network")
	contains(t, "wpkg push", refusal, "net-outbound")
	contains(t, "crane digest of what was refused", sh.fails(client(t, "crane"), "digest", reg.ref("prod/dial:1.0.0")), "404")
	sh.run(wpkg, "push", "--quiet", reg.ref("prod/quiet:1.0.1"), "quiet.wasm")

	dry := sh.finds(wpkg, "policy", "dry-run", "registry:no-network", "--registry", reg.host)
	contains(t, "wpkg policy dry-run", dry, "prod/before:1.0.0")
	if strings.Contains(dry, "prod/quiet") {
		t.Errorf("wpkg policy dry-run = %q, want nothing about prod/quiet", dry)
	}
}

// finds runs a program that has to end with exit code 3: it found something.
func (s *shell) finds(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 3 {
		s.t.Fatalf("%s: %v, want exit code 3: %s", strings.Join(args, " "), err, out)
	}
	return out
}

// socketComponent compiles a component that connects to an address.
func (s *shell) socketComponent(name string) {
	s.t.Helper()
	const source = `use std::io::Write;
fn main() {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7".to_string());
    std::net::TcpStream::connect(address).unwrap().write_all(b"hello").unwrap();
}
`
	if err := os.WriteFile(s.file("dial.rs"), []byte(source), 0o600); err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.CommandContext(s.t.Context(), "rustc", "--target", "wasm32-wasip2", "--edition", "2021", "-O", "-o", name, "dial.rs")
	cmd.Dir = s.dir // with the machine's home: that is where rustup keeps the compiler
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("rustc: %v: %s", err, out)
	}
}

// settle waits until everything that was pushed is inspected and indexed.
func (r registry) settle(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var jobs wire.JobList
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); <-tick.C {
		jobs = wire.JobList{}
		r.get(t, "/api/v1/jobs", &jobs)
		left := 0
		for _, c := range jobs.Counts {
			if c.Dead > 0 {
				t.Fatalf("jobs of kind %s failed for good: %+v", c.Kind, jobs.Items)
			}
			left += c.Waiting + c.Leased
		}
		if left == 0 {
			return
		}
	}
	t.Fatalf("jobs are still waiting: %+v", jobs.Counts)
}

// search lists the repositories that a query finds, all pages.
func (r registry) search(t *testing.T, query string) []string {
	t.Helper()
	var repos []string
	for cursor := ""; ; {
		var page wire.SearchResult
		r.get(t, "/api/v1/search?limit=100&q="+url.QueryEscape(query)+"&cursor="+url.QueryEscape(cursor), &page)
		for _, hit := range page.Items {
			repos = append(repos, hit.Repository)
		}
		if cursor = page.Next; cursor == "" {
			return repos
		}
	}
}

func (r registry) findsNothing(t *testing.T, queries ...string) {
	t.Helper()
	for _, query := range queries {
		if found := r.search(t, query); len(found) > 0 {
			t.Errorf("search %s = %v, want nothing", query, found)
		}
	}
}

func (r registry) get(t *testing.T, path string, into any) {
	t.Helper()
	resp, err := http.Get("http://" + r.host + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s = %s, %v: %s", path, resp.Status, err, body)
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(into); err != nil {
		t.Fatalf("GET %s: %v: %s", path, err, body)
	}
}
