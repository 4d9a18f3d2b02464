package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/wreg-project/wreg/sbom/crates/internal/db"
)

// A release is an entry of the index (The Cargo Book, "Index format"), as far as
// it matters here.
type release struct {
	Name string       `json:"name"`
	Vers string       `json:"vers"`
	Deps []dependency `json:"deps"`

	// Those of Features2 are in a form that old versions of Cargo do not know.
	Features  map[string][]string `json:"features"`
	Features2 map[string][]string `json:"features2"`

	version *semver.Version
}

type dependency struct {
	Name     string `json:"name"`
	Package  string `json:"package"` // the crate's own name, if it is renamed
	Req      string `json:"req"`
	Kind     string `json:"kind"`
	Target   string `json:"target"`
	Registry string `json:"registry"`
	Optional bool   `json:"optional"`
	Default  bool   `json:"default_features"`

	Features []string `json:"features"`
}

// crate is the name of the crate that a dependency is on.
func (d dependency) crate() string {
	if d.Package != "" {
		return d.Package
	}
	return d.Name
}

// normal reports whether the dependency is linked, and not used by the build or
// the tests alone. Entries from before there were kinds have none.
func (d dependency) normal() bool { return d.Kind == "" || d.Kind == "normal" }

// readIndex reads the entries that Cargo keeps of every crate it has resolved,
// under the key of their names.
func readIndex(home string) (map[string][]release, error) {
	index := map[string][]release{}
	root := filepath.Join(home, "registry", "index")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(filepath.ToSlash(path), "/.cache/") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		releases, err := parseEntry(data)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, r := range releases {
			index[db.Key(r.Name)] = append(index[db.Key(r.Name)], r)
		}
		return nil
	})
	return index, err
}

var errEntry = errors.New("no index entry of a form that is known")

// parseEntry reads one file of Cargo's cache of a sparse index: a byte for the
// form, four for that of the entries, a tag and then, each ended by a zero,
// versions and their JSON in turn.
func parseEntry(data []byte) ([]release, error) {
	const head = 5
	if len(data) < head || data[0] != 3 {
		return nil, errEntry
	}
	fields := bytes.Split(data[head:], []byte{0})
	var list []release
	for i := 2; i < len(fields); i += 2 {
		var r release
		if err := json.Unmarshal(fields[i], &r); err != nil {
			return nil, fmt.Errorf("version %s: %w", fields[i-1], err)
		}
		if r.Features == nil {
			r.Features = map[string][]string{}
		}
		v, err := semver.StrictNewVersion(r.Vers)
		if err != nil {
			continue // crates from before the rules; no binary of today has them
		}
		r.version = v
		maps.Copy(r.Features, r.Features2)
		list = append(list, r)
	}
	return list, nil
}

// readKinds tells of every crate that Cargo has downloaded which of its versions
// are procedural macros and which are not.
func readKinds(home string) (map[string]map[string]bool, error) {
	paths, err := filepath.Glob(filepath.Join(home, "registry", "cache", "*", "*.crate"))
	if err != nil {
		return nil, err
	}
	kinds := map[string]map[string]bool{}
	for _, path := range paths {
		manifest, err := readManifest(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		m := parseManifest(manifest)
		key := db.Key(m.name)
		if kinds[key] == nil {
			kinds[key] = map[string]bool{}
		}
		kinds[key][m.version] = m.procMacro
	}
	return kinds, nil
}

// maxManifest bounds a Cargo.toml, in bytes.
const maxManifest = 1 << 20

// readManifest gives the Cargo.toml of a .crate file, which Cargo writes anew when
// a crate is published.
func readManifest(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	want := strings.TrimSuffix(filepath.Base(path), ".crate") + "/Cargo.toml"
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", want, err)
		}
		if h.Name == want {
			return io.ReadAll(io.LimitReader(t, maxManifest))
		}
	}
}

type manifest struct {
	name, version string
	procMacro     bool
}

// parseManifest reads the few lines that matter of a manifest in the form that
// Cargo publishes: one key a line, tables under their full name.
func parseManifest(data []byte) (m manifest) {
	table := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			table = line
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		switch table + strings.TrimSpace(key) {
		case "[package]name":
			m.name = strings.Trim(value, `"`)
		case "[package]version":
			m.version = strings.Trim(value, `"`)
		case "[lib]proc-macro", "[lib]proc_macro":
			m.procMacro = value == "true"
		case "[lib]crate-type":
			m.procMacro = m.procMacro || strings.Contains(value, `"proc-macro"`)
		}
	}
	return m
}
