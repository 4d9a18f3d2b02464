// Command scanner reads bills of materials as OSV-SCALIBR does, the library that
// osv-scanner is made of, and prints what it takes the components for and which
// vulnerabilities it finds in them.
//
//	scanner -db folder file.cdx.json file.spdx.json …
//
// The folder has osv-scalibr/ECOSYSTEM/all.zip; nothing is fetched. For each file
// there is a line of JSON. It is a module of its own: what it needs is no concern
// of wreg.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	configpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
	"github.com/google/osv-scalibr/enricher"
	"github.com/google/osv-scalibr/enricher/vulnmatch/osvlocal"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/extractor/filesystem/sbom/cdx"
	"github.com/google/osv-scalibr/extractor/filesystem/sbom/spdx"
	"github.com/google/osv-scalibr/plugin/config"
)

// A result is what was read from a file.
type result struct {
	File            string   `json:"file"`
	Components      []string `json:"components"`      // package URLs, as often as they are there, sorted
	Vulnerabilities []string `json:"vulnerabilities"` // "ID package URL", each once, sorted
}

func main() {
	db := flag.String("db", "", "folder of advisories")
	flag.Parse()
	if *db == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(context.Background(), *db, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "scanner:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, db string, files []string) error {
	c := config.DefaultPluginConfig()
	c.ProtoConfig.PluginSpecific = []*configpb.PluginSpecificConfig{{
		Config: &configpb.PluginSpecificConfig_Osvlocal{Osvlocal: &configpb.OSVLocalConfig{LocalPath: db}},
	}}
	matcher, err := osvlocal.New(c)
	if err != nil {
		return err
	}
	for _, file := range files {
		r, err := read(ctx, matcher, file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
			return err
		}
	}
	return nil
}

func read(ctx context.Context, matcher enricher.Enricher, file string) (*result, error) {
	x, err := extractorOf(file)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found, err := x.Extract(ctx, &filesystem.ScanInput{Path: filepath.Base(file), Root: filepath.Dir(file), Reader: f})
	if err != nil {
		return nil, err
	}
	if err := matcher.Enrich(ctx, nil, &found); err != nil {
		return nil, err
	}
	r := &result{File: file, Components: []string{}, Vulnerabilities: []string{}}
	for _, p := range found.Packages {
		r.Components = append(r.Components, p.PURL().String())
	}
	for _, v := range found.PackageVulns {
		r.Vulnerabilities = append(r.Vulnerabilities, v.Vulnerability.GetId()+" "+v.Package.PURL().String())
	}
	slices.Sort(r.Components)
	slices.Sort(r.Vulnerabilities)
	r.Vulnerabilities = slices.Compact(r.Vulnerabilities)
	return r, nil
}

// extractorOf is the reader that takes a file of this name.
func extractorOf(file string) (filesystem.Extractor, error) {
	for _, open := range []func(*configpb.PluginConfig) (filesystem.Extractor, error){cdx.New, spdx.New} {
		x, err := open(nil)
		if err != nil {
			return nil, err
		}
		if x.FileRequired(named(filepath.Base(file))) {
			return x, nil
		}
	}
	return nil, errors.New("no reader takes a file of this name")
}

// A named file is asked for its name only.
type named string

// Path implements filesystem.FileAPI.
func (n named) Path() string { return string(n) }

// Stat implements filesystem.FileAPI.
func (n named) Stat() (fs.FileInfo, error) { return nil, fs.ErrNotExist }
