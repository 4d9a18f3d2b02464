// Package vuln matches bills of materials with advisories in the OSV format.
//
// [Parse] reads a record of OSV into an [Advisory], the compact form that is kept
// and searched. [Match] asks a [Source] for the advisories of the packages of a
// binary and says which hold: a [DB] in memory, an [Index] in a file, or the
// database of a registry. [ReadZip] and [ReadDir] give the records of a feed,
// [Fetch] brings one from a server, and [ReadEPSS] and [ReadKEV] read what is
// known of how vulnerabilities are used. sbom/vuln/reach goes on to say whether
// the code at fault can run, and docs/spec/advisories.md is the manual.
//
// Everything read is bounded, and what is wrong in one record costs that record.
package vuln

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/version"
)

// Errors to test for.
var (
	// ErrRecord is of what is not a record of OSV.
	ErrRecord = errors.New("not an OSV record")

	// ErrLimit is of input that is larger than this package reads.
	ErrLimit = errors.New("over a limit")
)

// Git is the ecosystem of what an advisory names by a repository and commits
// instead of a package; the name is the address of the repository.
const Git evidence.Ecosystem = "git"

// A Package is what advisories are looked up by. See [PackageOf].
type Package struct {
	Ecosystem evidence.Ecosystem `json:"ecosystem"`
	Name      string             `json:"name"` // as [Name] writes it
}

// An Advisory is what matching and reports need of a record.
type Advisory struct {
	ID      string   `json:"id"`
	Aliases []string `json:"aliases,omitempty"` // other names of the same vulnerability, sorted
	Related []string `json:"related,omitempty"` // other vulnerabilities, sorted

	Summary    string   `json:"summary,omitempty"` // one line of text
	References []string `json:"references,omitempty"`

	Published time.Time `json:"published,omitzero"`
	Modified  time.Time `json:"modified,omitzero"`
	Withdrawn time.Time `json:"withdrawn,omitzero"` // zero if it holds

	// Informational is set of what is no vulnerability in itself: "unmaintained",
	// "unsound" or "notice" of RustSec.
	Informational string `json:"informational,omitempty"`

	Severity Severity   `json:"severity,omitzero"`
	Affected []Affected `json:"affected"`

	// SHA256 is the digest of the record that this was read from, in hexadecimal:
	// an import leaves out what it has already.
	SHA256 string `json:"sha256"`
}

// Names are the id and the aliases.
func (a *Advisory) Names() []string { return append([]string{a.ID}, a.Aliases...) }

// Affected says which versions of one package an advisory is about. A version is
// affected if one of the ranges has it, or the list.
type Affected struct {
	Package
	Ranges   []Range  `json:"ranges,omitempty"`
	Versions []string `json:"versions,omitempty"`

	// Custom are the ranges that the Go vulnerability database gives in versions
	// that the module proxy does not know; Ranges then takes in everything.
	Custom []Range `json:"custom,omitempty"`

	// Imports are the packages of a Go module at fault; without any it is all.
	Imports []Import `json:"imports,omitempty"`

	// Functions are the paths of the Rust functions at fault, as RustSec writes
	// them: "openssl::ssl::SslRef::set_psk"; without any it is all. OS and Arch are
	// the targets that are affected; without any it is all.
	Functions []string `json:"functions,omitempty"`
	OS        []string `json:"os,omitempty"`
	Arch      []string `json:"arch,omitempty"`
}

// An Import is a Go package with the functions and methods at fault, "Reader.Read";
// without any it is all.
type Import struct {
	Path    string   `json:"path"`
	Symbols []string `json:"symbols,omitempty"`
	GOOS    []string `json:"goos,omitempty"`
	GOARCH  []string `json:"goarch,omitempty"`
}

// A Range is a list of events, in any order, as OSV has them.
type Range struct {
	Type   string  `json:"type"` // "SEMVER", "ECOSYSTEM" or "GIT"
	Repo   string  `json:"repo,omitempty"`
	Events []Event `json:"events"`
}

// An Event has exactly one of its fields.
type Event struct {
	Introduced   string `json:"introduced,omitempty"` // "0" is before all versions
	Fixed        string `json:"fixed,omitempty"`
	LastAffected string `json:"lastAffected,omitempty"`
	Limit        string `json:"limit,omitempty"`
}

// A Source has advisories. Its methods are safe for concurrent use.
type Source interface {
	// Advisories gives the advisories about any of the packages, each once, in any
	// order, withdrawn ones or not. The caller does not change them.
	Advisories(ctx context.Context, packages []Package) ([]*Advisory, error)
}

// ecosystems are those of OSV that can be in a binary.
var ecosystems = map[string]evidence.Ecosystem{
	"crates.io": evidence.Cargo, "Go": evidence.Go, "npm": evidence.NPM, "PyPI": evidence.PyPI, "RubyGems": evidence.Gem,
	"Hackage": evidence.Hackage, "NuGet": evidence.NuGet, "Packagist": evidence.Composer,
	"Bitnami": evidence.Generic, "OSS-Fuzz": evidence.Generic,
}

// Ecosystem gives our name for an ecosystem of OSV, without its ":suffix", and
// false for those whose packages are in no WebAssembly binary.
func Ecosystem(osv string) (evidence.Ecosystem, bool) {
	osv, _, _ = strings.Cut(osv, ":")
	eco, ok := ecosystems[osv]
	return eco, ok
}

// genericNames are names of the same software, by what advisories call it.
var genericNames = map[string]string{"cpython": "python", "sqlite3": "sqlite", "libcurl": "curl", "ffmpeg-core": "ffmpeg"}

// Name writes the name of a package so that equal ones compare equal: PyPI's as
// PEP 503 says, NuGet's, Packagist's and generic ones in lower case.
func Name(eco evidence.Ecosystem, name string) string {
	switch eco {
	case evidence.PyPI:
		parts := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '-' || r == '_' || r == '.' })
		return strings.Join(parts, "-")
	case evidence.NuGet, evidence.Composer:
		return strings.ToLower(name)
	case evidence.Generic:
		name = strings.ToLower(name)
		if other := genericNames[name]; other != "" {
			return other
		}
	case Git:
		name = strings.TrimPrefix(name, "git+")
		if _, rest, ok := strings.Cut(name, "://"); ok {
			name = rest
		}
		return strings.ToLower(strings.TrimSuffix(strings.TrimRight(name, "/"), ".git"))
	default: // names of the others are compared as they are
	}
	return name
}

// PackageOf is the package of a component.
func PackageOf(c evidence.Component) Package { return Package{c.Ecosystem, Name(c.Ecosystem, c.Name)} }

// Intervals are the stretches of version keys that the ranges take in, for an
// indexed join with components; see [version.Key]. Versions of the list are
// stretches of one. It reports false if some of it cannot be written so: ranges of
// commits, and versions that cannot be read. The intervals may overlap.
func (a Affected) Intervals() ([]version.Interval, bool) {
	var all []version.Interval
	whole := true
	for _, r := range a.Ranges {
		spans, ok := r.spans(a.Ecosystem)
		whole = whole && ok
		for _, s := range spans {
			all = append(all, s.Interval)
		}
	}
	for _, v := range a.Versions {
		key, ok := version.Key(a.Ecosystem, v)
		if !ok {
			whole = false
			continue
		}
		all = append(all, version.Interval{Lo: key, Hi: version.After(key)})
	}
	return all, whole
}

// A span is an interval with the version that ends it as a fix.
type span struct {
	version.Interval
	fixed string
}

// spans turns events into intervals by the algorithm of the OSV schema,
// "Evaluation". It reports false if the range is one of commits or a version
// cannot be read.
func (r Range) spans(eco evidence.Ecosystem) ([]span, bool) {
	if r.Type == rangeGit {
		return nil, false
	}
	marks, limit, ok := r.marks(eco)
	if !ok {
		return nil, false
	}
	var list []span
	var open *span
	for _, m := range marks {
		switch {
		case m.introduced && open == nil:
			open = &span{Interval: version.Interval{Lo: m.key}}
		case !m.introduced && open != nil:
			open.Hi, open.fixed = m.key, m.fixed
			list = append(list, *open)
			open = nil
		}
	}
	if open != nil {
		list = append(list, *open)
	}
	if limit == nil {
		return list, true
	}
	limited := list[:0]
	for _, s := range list {
		if string(s.Lo) >= string(limit) {
			continue
		}
		if s.Hi == nil || string(s.Hi) > string(limit) {
			s.Hi, s.fixed = limit, ""
		}
		limited = append(limited, s)
	}
	return limited, true
}

// A mark is where a range starts or ends; of a last affected version it is the
// key just after.
type mark struct {
	key        []byte
	introduced bool
	fixed      string
}

// marks are the events of a range in the order of versions, and its limit: the
// highest of them, since a version has to be below any.
func (r Range) marks(eco evidence.Ecosystem) (marks []mark, limit []byte, ok bool) {
	unlimited := false
	for _, e := range r.Events {
		m := mark{introduced: e.Introduced != "", fixed: e.Fixed}
		v := e.Introduced + e.Fixed + e.LastAffected + e.Limit
		if e.Limit == "*" {
			unlimited = true
			continue
		}
		if v != "0" || !m.introduced {
			if m.key, ok = version.Key(eco, v); !ok {
				return nil, nil, false
			}
		}
		switch {
		case e.Limit != "":
			if string(m.key) > string(limit) {
				limit = m.key
			}
			continue
		case e.LastAffected != "":
			m.key = version.After(m.key)
		}
		marks = append(marks, m)
	}
	if unlimited {
		limit = nil
	}
	slices.SortStableFunc(marks, func(a, b mark) int { return strings.Compare(string(a.key), string(b.key)) })
	return marks, limit, true
}
