// Command vuln runs govulncheck over the two binaries and fails on every
// vulnerability that they can reach and that is not on the allow list.
//
//	go run ./test/vuln [-db folder-or-zip] [-allow test/vuln/allow.json]
//
// Without -db it asks the public database, and where that cannot be reached it
// uses the copy in test/data/osv and says so.
package main

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	public = "https://vuln.go.dev"
	stored = "test/data/osv/go.zip"
)

// allowed is an entry of the allow list: a vulnerability that one binary may
// reach until a day, for a reason, and the test that proves the compensation.
type allowed struct {
	ID      string `json:"id"`
	Binary  string `json:"binary"`
	Reason  string `json:"reason"`
	Test    string `json:"test"`
	Expires string `json:"expires"` // 2006-01-02
}

func main() {
	db := flag.String("db", os.Getenv("VULNDB"), "folder or zip of OSV files; default the public database")
	allow := flag.String("allow", "test/vuln/allow.json", "the allow list")
	flag.Parse()
	if err := run(*db, *allow); err != nil {
		fmt.Fprintln(os.Stderr, "vuln:", err)
		os.Exit(1)
	}
}

func run(db, allowFile string) error {
	list, err := readAllowed(allowFile)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "vuln")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	source, err := database(db, dir)
	if err != nil {
		return err
	}
	bad := 0
	for _, binary := range []string{"wreg", "wpkg"} {
		reached, err := check(source, "./cmd/"+binary)
		if err != nil {
			return err
		}
		for _, f := range reached {
			i := slices.IndexFunc(list, func(a allowed) bool { return a.ID == f.osv && a.Binary == binary })
			if i >= 0 && list[i].Expires > time.Now().Format(time.DateOnly) {
				fmt.Printf("%s: %s allowed until %s: %s\n", binary, f.osv, list[i].Expires, list[i].Reason)
				continue
			}
			bad++
			fmt.Printf("%s: %s through %s, fixed in %s\n", binary, f.osv, f.symbol, f.fixed)
		}
		fmt.Printf("%s: %d reachable vulnerabilities\n", binary, len(reached))
	}
	if bad > 0 {
		return fmt.Errorf("%d reachable vulnerabilities are not on the allow list", bad)
	}
	return nil
}

func readAllowed(file string) ([]allowed, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []allowed
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, a := range list {
		if a.ID == "" || a.Reason == "" || a.Test == "" || a.Expires == "" {
			return nil, fmt.Errorf("%s: %s lacks a reason, a test or an expiry", file, a.ID)
		}
	}
	return list, nil
}

// database is the address of the advisories, unpacked below dir if need be.
func database(db, dir string) (string, error) {
	if db == "" {
		client := http.Client{Timeout: 10 * time.Second}
		resp, err := client.Get(public + "/index/db.json") //nolint:noctx // the client has a deadline
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return public, nil
			}
		}
		fmt.Printf("the public database cannot be reached; using %s\n", stored)
		db = stored
	}
	if strings.HasSuffix(db, ".zip") {
		if err := unzip(db, dir); err != nil {
			return "", fmt.Errorf("%s: %w", db, err)
		}
		db = dir
	}
	abs, err := filepath.Abs(db)
	return "file://" + abs, err
}

func unzip(file, dir string) error {
	z, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer z.Close()
	for _, f := range z.File {
		if filepath.Ext(f.Name) != ".json" {
			continue
		}
		in, err := f.Open()
		if err != nil {
			return err
		}
		b, err := io.ReadAll(io.LimitReader(in, 16<<20))
		in.Close()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f.Name)), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// finding is a vulnerability with the symbol through which it is reached.
type finding struct{ osv, symbol, fixed string }

// check returns the vulnerabilities whose code pkg can reach, once each.
func check(db, pkg string) ([]finding, error) {
	cmd := exec.Command("go", "tool", "-modfile=tools/go.mod", "govulncheck", "-db", db, "-format", "json", pkg) //nolint:noctx // bounded by the caller's patience
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var found []finding
	for dec := json.NewDecoder(out); ; {
		var msg struct {
			Finding *struct {
				OSV          string `json:"osv"`
				FixedVersion string `json:"fixed_version"`
				Trace        []struct {
					Module   string `json:"module"`
					Package  string `json:"package"`
					Function string `json:"function"`
				} `json:"trace"`
			} `json:"finding"`
		}
		if err := dec.Decode(&msg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		f := msg.Finding
		if f == nil || len(f.Trace) == 0 || f.Trace[0].Function == "" {
			continue
		}
		if !slices.ContainsFunc(found, func(g finding) bool { return g.osv == f.OSV }) {
			found = append(found, finding{f.OSV, f.Trace[0].Package + "." + f.Trace[0].Function, f.FixedVersion})
		}
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("govulncheck %s: %w", pkg, err)
	}
	return found, nil
}
