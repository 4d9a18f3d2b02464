package vuln

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/wreg-project/wreg/sbom/evidence"
)

// What a record may have. The largest of the Go and RustSec databases have 13 KB.
const (
	MaxRecord     = 4 << 20 // bytes
	maxObjects    = 1 << 14 // JSON objects
	maxCommas     = 1 << 17 // outside of texts: no list is longer
	maxID         = 128     // bytes
	maxSummary    = 512     // bytes
	maxText       = 1024    // bytes of a symbol or address
	maxNames      = 256     // aliases, or related ones
	maxReferences = 16
)

// Types of ranges.
const (
	rangeSemver    = "SEMVER"
	rangeEcosystem = "ECOSYSTEM"
	rangeGit       = "GIT"
)

// record is the OSV schema as far as it is used here, with what the Go, RustSec
// and GitHub databases add.
type record struct {
	ID         string        `json:"id"`
	Modified   time.Time     `json:"modified"`
	Published  time.Time     `json:"published"`
	Withdrawn  time.Time     `json:"withdrawn"`
	Aliases    []string      `json:"aliases"`
	Related    []string      `json:"related"`
	Summary    string        `json:"summary"`
	Details    string        `json:"details"`
	Severity   []rawSeverity `json:"severity"`
	Affected   []rawAffected `json:"affected"`
	References []struct {
		URL string `json:"url"`
	} `json:"references"`
	Specific struct {
		Severity any `json:"severity"`
	} `json:"database_specific"`
}

type rawSeverity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

type rawAffected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Severity  []rawSeverity `json:"severity"`
	Ranges    []rawRange    `json:"ranges"`
	Versions  []string      `json:"versions"`
	Ecosystem ecosystemData `json:"ecosystem_specific"`
	Database  databaseData  `json:"database_specific"`
}

type rawRange struct {
	Type   string `json:"type"`
	Repo   string `json:"repo"`
	Events []struct {
		Introduced   string `json:"introduced"`
		Fixed        string `json:"fixed"`
		LastAffected string `json:"last_affected"`
		Limit        string `json:"limit"`
	} `json:"events"`
}

// ecosystemData is what a database adds to a package by its ecosystem. Each has
// its own forms, and those of others are no reason to refuse a record.
type ecosystemData struct {
	Imports []struct {
		Path    string   `json:"path"`
		Symbols []string `json:"symbols"`
		GOOS    []string `json:"goos"`
		GOARCH  []string `json:"goarch"`
	} `json:"imports"`
	Custom  []rawRange `json:"custom_ranges"`
	Affects struct {
		Arch      []string `json:"arch"`
		OS        []string `json:"os"`
		Functions []string `json:"functions"`
	} `json:"affects"`
}

// UnmarshalJSON leaves out what is not of the forms above.
func (d *ecosystemData) UnmarshalJSON(data []byte) error {
	type plain ecosystemData
	if json.Unmarshal(data, (*plain)(d)) != nil {
		*d = ecosystemData{}
	}
	return nil
}

// databaseData is what RustSec adds to a package.
type databaseData struct {
	CVSS          string `json:"cvss"`
	Informational string `json:"informational"`
}

// UnmarshalJSON leaves out what is not of the form above.
func (d *databaseData) UnmarshalJSON(data []byte) error {
	type plain databaseData
	if json.Unmarshal(data, (*plain)(d)) != nil {
		*d = databaseData{}
	}
	return nil
}

// Parse reads one record in the OSV format, of at most MaxRecord bytes. Packages of
// ecosystems that no binary can have are left out, so Affected may be empty. What
// is written for people is cleaned and cut; names and versions that would have to
// be are left out. The error is ErrRecord or ErrLimit.
func Parse(data []byte) (*Advisory, error) {
	if err := bounded(data); err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if !identifier(r.ID) {
		return nil, fmt.Errorf("%w: id %q", ErrRecord, evidence.Clean(r.ID, maxID))
	}
	sum := sha256.Sum256(data)
	a := &Advisory{
		ID: r.ID, Aliases: names(r.Aliases, r.ID), Related: names(r.Related, r.ID), Summary: line(cmp.Or(r.Summary, r.Details)),
		Published: date(r.Published), Modified: date(r.Modified), Withdrawn: date(r.Withdrawn), SHA256: hex.EncodeToString(sum[:]),
	}
	for _, ref := range r.References {
		if len(a.References) < maxReferences && webAddress(ref.URL) {
			a.References = append(a.References, ref.URL)
		}
	}
	for _, s := range r.Severity {
		a.Severity = a.Severity.worse(score(s))
	}
	for i := range r.Affected {
		a.add(&r.Affected[i])
	}
	if word, ok := r.Specific.Severity.(string); ok && a.Severity.Rating == "" {
		a.Severity.Rating = rating(word)
	}
	return a, nil
}

// add takes over what a record says about one package.
func (a *Advisory) add(raw *rawAffected) {
	for _, s := range raw.Severity {
		a.Severity = a.Severity.worse(score(s))
	}
	a.Severity = a.Severity.worse(vector(raw.Database.CVSS))
	if a.Informational == "" {
		a.Informational = line(raw.Database.Informational)
	}
	var versions []Range
	for _, r := range toRanges(raw.Ranges) {
		if r.Type != rangeGit {
			versions = append(versions, r)
		} else if text(r.Repo) && r.Repo != "" {
			a.Affected = append(a.Affected, Affected{Package: Package{Git, Name(Git, r.Repo)}, Ranges: []Range{r}})
		}
	}
	eco, ok := Ecosystem(raw.Package.Ecosystem)
	if !ok || raw.Package.Name == "" || len(raw.Package.Name) > evidence.MaxName || !text(raw.Package.Name) {
		return
	}
	f := Affected{
		Package: Package{eco, Name(eco, raw.Package.Name)}, Versions: texts(raw.Versions), Custom: toRanges(raw.Ecosystem.Custom),
		Functions: texts(raw.Ecosystem.Affects.Functions), OS: texts(raw.Ecosystem.Affects.OS), Arch: texts(raw.Ecosystem.Affects.Arch),
		Ranges: versions,
	}
	for _, i := range raw.Ecosystem.Imports {
		if text(i.Path) {
			f.Imports = append(f.Imports, Import{i.Path, texts(i.Symbols), texts(i.GOOS), texts(i.GOARCH)})
		}
	}
	a.Affected = append(a.Affected, f)
}

func toRanges(raw []rawRange) []Range {
	var list []Range
	for _, r := range raw {
		if r.Type != rangeSemver && r.Type != rangeEcosystem && r.Type != rangeGit {
			continue
		}
		out := Range{Type: r.Type, Repo: r.Repo}
		for _, e := range r.Events {
			// One event with two versions is against the schema; taken apart it
			// says the same.
			for _, one := range []Event{{Introduced: e.Introduced}, {Fixed: e.Fixed}, {LastAffected: e.LastAffected}, {Limit: e.Limit}} {
				if one != (Event{}) {
					out.Events = append(out.Events, one)
				}
			}
		}
		list = append(list, out)
	}
	return list
}

// bounded refuses what would take much more memory as values than it has bytes.
func bounded(data []byte) error {
	if len(data) > MaxRecord {
		return fmt.Errorf("record of %d bytes: %w", len(data), ErrLimit)
	}
	objects, commas, quoted := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case quoted:
		case c == '{':
			objects++
		case c == ',':
			commas++
		}
	}
	if objects > maxObjects || commas > maxCommas {
		return fmt.Errorf("record of %d objects and %d commas: %w", objects, commas, ErrLimit)
	}
	return nil
}

// identifier reports whether s can be an id of an advisory: letters, digits and
// ". _ : -", as all databases have them.
func identifier(s string) bool {
	return s != "" && len(s) <= maxID && strings.IndexFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') && !strings.ContainsRune("._:-", r)
	}) < 0
}

// names are the identifiers of a list, sorted, each once, without one.
func names(list []string, without string) []string {
	list = slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !identifier(s) || s == without })
	slices.Sort(list)
	list = slices.Compact(list)
	return list[:min(len(list), maxNames)]
}

// webAddress reports whether s is one that a page may link to.
func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && text(s)
}

// text reports whether s can be kept as it is.
func text(s string) bool { return len(s) <= maxText && evidence.Clean(s, maxText) == s }

// texts are those of a list that can be kept, nil if there are none.
func texts(list []string) []string {
	list = slices.DeleteFunc(list, func(s string) bool { return s == "" || !text(s) })
	if len(list) == 0 {
		return nil
	}
	return list
}

// line makes one clean line of the first one of a text.
func line(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		s = s[:i]
	}
	return evidence.Clean(strings.ReplaceAll(s, "\t", " "), maxSummary)
}

// date drops the dates that mean none: the Go database writes year 1.
func date(t time.Time) time.Time {
	if t.Year() <= 1 {
		return time.Time{}
	}
	return t.UTC()
}
