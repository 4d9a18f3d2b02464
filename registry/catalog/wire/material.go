package wire

import (
	"time"

	"github.com/opencontainers/go-digest"
)

// A SBOMSummary says how much is known of what a version is made of.
type SBOMSummary struct {
	// Components counts those that the binaries prove and those that the publisher
	// declares, by name and version.
	Components int `json:"components"`

	// Complete is whether the bills that were derived from the binaries say that
	// they have everything.
	Complete bool `json:"complete,omitempty"`

	// Published is whether the publisher attached a bill, or attested one.
	Published bool `json:"published,omitempty"`
}

// VulnerabilityCounts counts the vulnerabilities of a version by their ratings,
// without those that a VEX statement rules out and those that an advisory tells
// for information alone.
type VulnerabilityCounts struct {
	Critical int `json:"critical"`
	High     int `json:"high"`
	Medium   int `json:"medium"`
	Low      int `json:"low"`
	None     int `json:"none"`

	// Unknown are without a rating.
	Unknown int `json:"unknown"`

	// Reachable are those among all of them whose code can be reached.
	Reachable int `json:"reachable"`
}

// A VulnerabilityReport tells which advisories hold for a version.
type VulnerabilityReport struct {
	Package string        `json:"package"`
	Digest  digest.Digest `json:"digest"`

	// Files are those that a bill of materials was derived from.
	Files []FileVulnerabilities `json:"files"`

	// Declared are about components that only the publisher's bill has. Nothing is
	// known of their code.
	Declared []Vulnerability `json:"declared"`

	// Documents are the bills and VEX documents of the publisher.
	Documents []PublishedDocument `json:"documents,omitempty"`

	// Problems are what is wrong with bills and VEX documents that are attached, for
	// people.
	Problems []string `json:"problems,omitempty"`

	// Truncated is whether files or findings are left out. The parameter file
	// asks about one file.
	Truncated bool `json:"truncated,omitempty"`
}

// FileVulnerabilities are those of one file.
type FileVulnerabilities struct {
	Name   string        `json:"name,omitempty"`
	Digest digest.Digest `json:"digest"`

	// Findings are about components that the file proves.
	Findings []Vulnerability `json:"findings"`

	// Possible would be true if something were that is not known, as the version of
	// a component. Reason says what.
	Possible []Vulnerability `json:"possible"`
}

// A Vulnerability is an advisory that holds for a component.
type Vulnerability struct {
	ID      string   `json:"id"`
	Aliases []string `json:"aliases"`

	// PURL, Name and Version are those of the component; Requirement stands for a
	// version that is not known.
	PURL        string `json:"purl"`
	Name        string `json:"name"`
	Version     string `json:"version,omitempty"`
	Requirement string `json:"requirement,omitempty"`

	// Unit is the nested module that has the component, "" for the outermost one.
	Unit string `json:"unit,omitempty"`

	Summary  string   `json:"summary,omitempty"`
	Severity Severity `json:"severity"`

	// Informational is set of what is no vulnerability in itself: "unmaintained",
	// "unsound" or "notice".
	Informational string `json:"informational,omitempty"`

	// Fixed are the nearest versions with a fix.
	Fixed      []string  `json:"fixed"`
	References []string  `json:"references,omitempty"`
	Published  time.Time `json:"published,omitzero"`
	Modified   time.Time `json:"modified,omitzero"`
	Reason     string    `json:"reason,omitempty"`

	// Reachable is "true", "false" or "unknown"; Reach says how that is known.
	Reachable string `json:"reachable"`
	Reach     Reach  `json:"reach"`

	// VEX is what a statement that is attached to the version says.
	VEX *VEXStatement `json:"vex,omitempty"`

	EPSS *EPSS `json:"epss,omitempty"`
	KEV  *KEV  `json:"kev,omitempty"`
}

// A Severity is how bad a vulnerability is held to be.
type Severity struct {
	// Rating is "none", "low", "medium", "high" or "critical"; it is absent if it is
	// not known.
	Rating string `json:"rating,omitempty"`

	// Score is a CVSS score from 0 to 10, Vector what it was computed from.
	Score  float64 `json:"score,omitempty"`
	Vector string  `json:"vector,omitempty"`
}

// Reach says how close a vulnerability comes to the code that runs.
type Reach struct {
	// Level is "unknown", "present", "linked", "symbol-linked" or "reachable".
	Level string `json:"level"`

	// Conclusive is whether a higher level is ruled out.
	Conclusive bool `json:"conclusive,omitempty"`

	// Dynamic is whether every way begins at a function that is only called
	// through an interface, a function value or a table.
	Dynamic bool `json:"dynamic,omitempty"`

	// Symbols are the affected ones that are in the binary, Functions those of the
	// binary that have them.
	Symbols   []string `json:"symbols,omitempty"`
	Functions []string `json:"functions,omitempty"`

	// Path is a shortest way to an affected function; Omitted functions are left out
	// in its middle.
	Path    []string `json:"path,omitempty"`
	Omitted int      `json:"omitted,omitempty"`

	// Reason is a sentence for people.
	Reason string `json:"reason"`
}

// A VEXStatement is what somebody says of a vulnerability of a product.
type VEXStatement struct {
	// Status is "not_affected", "affected", "fixed" or "under_investigation".
	Status        string    `json:"status"`
	Justification string    `json:"justification,omitempty"`
	Text          string    `json:"text,omitempty"`
	Time          time.Time `json:"time,omitzero"`

	// AttestedBy is who signed the statement, as was verified: the name of a key, or the
	// identity of a certificate. It is absent of one that is attached without.
	AttestedBy string `json:"attestedBy,omitempty"`
}

// A PublishedDocument is a bill of materials or a list of VEX statements that is
// attached to a version or attested of it. It counts if it has no problem.
type PublishedDocument struct {
	// Kind is "sbom" or "vex". A file that is both is there twice.
	Kind string `json:"kind"`

	// Manifest is the one that carries it, Blob the document, or the bundle that it is
	// in.
	Manifest digest.Digest `json:"manifest"`
	Blob     digest.Digest `json:"blob,omitempty"`

	// Type is its media type, or that of the predicate.
	Type  string `json:"type"`
	Title string `json:"title,omitempty"`

	// Attested is whether somebody signed it, and AttestedBy who that was, as was
	// verified: the name of a key, or the identity of a certificate. One whose
	// signature was not verified has a problem.
	Attested   bool   `json:"attested,omitempty"`
	AttestedBy string `json:"attestedBy,omitempty"`

	// Problem says why it cannot be read, for people.
	Problem string `json:"problem,omitempty"`
}

// An EPSS says how likely it is that a vulnerability is used in the next 30 days.
type EPSS struct {
	Probability float64 `json:"probability"`
	Percentile  float64 `json:"percentile"`
}

// A KEV is an entry of CISA's catalogue of vulnerabilities that were used.
type KEV struct {
	Added      string `json:"added"`
	Due        string `json:"due,omitempty"`
	Ransomware bool   `json:"ransomware,omitempty"`
}

// An SBOMDifference is what the publisher's bill of materials and those of the
// binaries say differently.
type SBOMDifference struct {
	Package string        `json:"package"`
	Digest  digest.Digest `json:"digest"`

	// Published is whether a bill is attached or attested that can be read. Without one
	// all lists of components are empty.
	Published bool `json:"published"`

	// Documents are the publisher's bills.
	Documents []PublishedDocument `json:"documents,omitempty"`

	// NotFound are declared and left no trace in a binary.
	NotFound []NotFound `json:"notFound"`

	// NotDeclared are proven by a binary and not declared in any version.
	NotDeclared []Component `json:"notDeclared"`

	// Versions are in both, in versions of which none is the same.
	Versions []VersionDifference `json:"versions"`

	// Problems are what is wrong with bills that are attached, for people.
	Problems []string `json:"problems,omitempty"`
}

// A NotFound is a component that only the publisher names.
type NotFound struct {
	Component

	// Certain is whether the binaries' own list is complete. Otherwise that nothing
	// was found proves nothing.
	Certain bool   `json:"certain"`
	Reason  string `json:"reason,omitempty"`
}

// A VersionDifference is a component whose versions differ.
type VersionDifference struct {
	Ecosystem string   `json:"ecosystem"`
	Name      string   `json:"name"`
	Declared  []string `json:"declared"`
	Found     []string `json:"found"`
}

// A Component is a part of a version.
type Component struct {
	PURL      string `json:"purl"`
	Ecosystem string `json:"ecosystem"`
	Name      string `json:"name"`
	Version   string `json:"version,omitempty"`

	// Class is how it is known: "proven", "inferred" or "named" by the binary, or
	// "declared" by the publisher.
	Class string `json:"class"`

	// Part is of what it is a part, if it has no releases of its own.
	Part string `json:"part,omitempty"`
}

// A ComponentUse is a version that has components which were asked for.
type ComponentUse struct {
	Package    string        `json:"package"`
	Repository string        `json:"repository"`
	Digest     digest.Digest `json:"digest"`
	Tags       []string      `json:"tags"`

	// Layer is the blob that they are in: of the version, or of a bill that is
	// attached to it.
	Layer      digest.Digest `json:"layer"`
	Components []Component   `json:"components"`
}

// An AdvisoryUse is a version with a component for which an advisory holds. VEX
// statements are not considered.
type AdvisoryUse struct {
	Package    string        `json:"package"`
	Repository string        `json:"repository"`
	Digest     digest.Digest `json:"digest"`
	Tags       []string      `json:"tags"`

	// Layer is the blob that the components are in: of the version, or of a bill
	// that is attached to it.
	Layer    digest.Digest     `json:"layer"`
	Findings []AdvisoryFinding `json:"findings"`
}

// An AdvisoryFinding is a component for which an advisory holds.
type AdvisoryFinding struct {
	Component Component `json:"component"`
	Advisory  string    `json:"advisory"`

	// Level is that of Reach, Reachable "true", "false" or "unknown".
	Level     string `json:"level"`
	Reachable string `json:"reachable"`

	// Score is a CVSS score from 0 to 10; it is absent if it is not known.
	Score     float64   `json:"score,omitempty"`
	FirstSeen time.Time `json:"firstSeen"`
}

// An Advisory is a record of a vulnerability.
type Advisory struct {
	ID string `json:"id"`

	// Aliases are other names of the same vulnerability, Related other
	// vulnerabilities.
	Aliases []string `json:"aliases"`
	Related []string `json:"related,omitempty"`

	Summary       string             `json:"summary,omitempty"`
	Severity      Severity           `json:"severity"`
	Informational string             `json:"informational,omitempty"`
	Affected      []AffectedVersions `json:"affected"`
	References    []string           `json:"references,omitempty"`
	Published     time.Time          `json:"published,omitzero"`
	Modified      time.Time          `json:"modified,omitzero"`

	// Withdrawn is when it was taken back; it is absent if it holds.
	Withdrawn time.Time `json:"withdrawn,omitzero"`

	// Users are the versions with a finding by this name that no VEX statement rules
	// out. /advisories/{advisory}/packages lists all findings.
	Users Users `json:"users"`
}

// AffectedVersions are versions of one package that an advisory is about.
type AffectedVersions struct {
	Ecosystem string `json:"ecosystem"`
	Name      string `json:"name"`

	// Ranges and Versions: a version is affected if one of them has it.
	Ranges   []AffectedRange `json:"ranges,omitempty"`
	Versions []string        `json:"versions,omitempty"`

	// Symbols are the affected functions, with the package before them; without any
	// it is all.
	Symbols []string `json:"symbols,omitempty"`
}

// An AffectedRange are versions, or of a repository commits, between events.
type AffectedRange struct {
	Type       string          `json:"type"`
	Repository string          `json:"repository,omitempty"`
	Events     []AffectedEvent `json:"events"`
}

// An AffectedEvent has exactly one of its fields, as OSV has them.
type AffectedEvent struct {
	Introduced   string `json:"introduced,omitempty"`
	Fixed        string `json:"fixed,omitempty"`
	LastAffected string `json:"lastAffected,omitempty"`
	Limit        string `json:"limit,omitempty"`
}

// A FeedList says how old the advisories are that versions are compared with.
type FeedList struct {
	Items []AdvisoryFeed `json:"items"`

	// Behind is whether some change is still to be compared with what is stored.
	Behind bool `json:"behind,omitempty"`
}

// An AdvisoryFeed is where advisories come from.
type AdvisoryFeed struct {
	// Source and Problem, which says why the last import failed, are for
	// administrators alone.
	Source  string `json:"source,omitempty"`
	Problem string `json:"problem,omitempty"`

	// Advisories is how many it held when it was imported last.
	Advisories int64 `json:"advisories"`

	// Imported is when an import succeeded last, Attempted when one last began.
	Imported  time.Time `json:"imported,omitzero"`
	Attempted time.Time `json:"attempted,omitzero"`
	Failed    bool      `json:"failed,omitempty"`
}
