package meta

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"
)

// Components say what analysed files are made of, and where a component is. They
// know no package manager: ecosystems, names and versions are texts, and a
// version sorts by a key that the caller made. Components are derived from the
// bytes and are neither journaled nor dumped.
//
// Everything that tells two components apart, a [Coordinate], is stored once and
// has a number; a file is a list of numbers, and a number a packed set of files.
type Components interface {
	// FileComponents is the list of one file, in no order to rely on. ErrNotFound if
	// none was put.
	FileComponents(ctx context.Context, d digest.Digest) (FileComponents, error)
	// Coordinates lists those in any of the ranges that some file has, each once:
	// those of the given class, or of every class if it is "". Who may see a file
	// plays no part in it.
	Coordinates(ctx context.Context, ranges []PackageRange, class string) ([]StoredCoordinate, error)
	// ComponentFiles lists files that have any of the coordinates, by number above
	// after, in order, at most limit unless that is below one.
	ComponentFiles(ctx context.Context, coordinates []int64, after int64, limit int) ([]ComponentFile, error)
	// AllComponentFiles lists every file that has a list, as ComponentFiles does.
	AllComponentFiles(ctx context.Context, after int64, limit int) ([]ComponentFile, error)
	// CountComponentFiles counts them, up to most.
	CountComponentFiles(ctx context.Context, most int) (int, error)
	// ComponentUses lists the manifests that v may see and that pin a file which has
	// any of the coordinates, in the order of Position behind after, at most limit
	// unless that is below one. It looks at a bounded number of files: a page may
	// have fewer, or none, and still have a Next.
	ComponentUses(ctx context.Context, v Visibility, coordinates []int64, after UsePosition, limit int) (ComponentPage, error)
}

// ComponentWriter writes them.
type ComponentWriter interface {
	// PutComponents stores the list of a file in place of an earlier one. Findings
	// of components that it no longer has go; the others stay until PutFindings.
	// Texts beyond the bounds below are refused, and so are those that are not UTF-8
	// or have zero bytes.
	PutComponents(ctx context.Context, f FileComponents) error
	// ForgetComponents removes lists of versions below the given one that belong to
	// no stored manifest, with their findings, the oldest versions first, and returns
	// how many. It removes MaxForgottenFiles at most: until it returns none there
	// are more. The list of a blob also goes with its row.
	ForgetComponents(ctx context.Context, below int) (int64, error)
}

// Bounds of components, in bytes or entries. What is beyond them is refused.
const (
	MaxFileComponents = 1 << 16
	MaxEcosystem      = 64
	MaxPackageName    = 1024 // also of advisories
	MaxVersion        = 256
	MaxClass          = 32
	MaxPart           = 64
	MaxVersionKey     = 512
)

// MaxForgottenFiles is how many lists one call of ForgetComponents removes, as
// other writers wait for it.
const MaxForgottenFiles = 100

// Coordinate is a component without its place.
type Coordinate struct {
	Ecosystem string
	Name      string
	Version   string // "" if it is not known
	Class     string // how it is known
	Part      string // of what, if it has no releases of its own
	// Key sorts as the version does among those of its ecosystem and name, byte
	// by byte; empty if the version has no place in an order.
	Key []byte
}

// StoredCoordinate is a coordinate with its number, which is good as long as a
// file has it and never used again.
type StoredCoordinate struct {
	ID int64
	Coordinate
}

// FileComponents is the list of one file.
type FileComponents struct {
	Digest     digest.Digest // of a blob
	Version    int           // of the pipeline that made it
	Components []Coordinate  // one that is there twice counts once
}

// EcosystemPackage is a name in an ecosystem.
type EcosystemPackage struct {
	Ecosystem string
	Name      string
}

// PackageRange is the versions of a package from Low to before High, by their
// keys; an empty bound is none. Versions without a key are in every range.
type PackageRange struct {
	EcosystemPackage
	Low, High []byte
}

// ComponentFile is a file that has components.
type ComponentFile struct {
	ID     int64 // rises with the time at which the file first had some
	Digest digest.Digest
}

// UsePosition is where a use stands in a listing: by the file's number, then by
// repository, then by manifest. The zero value is before all.
type UsePosition struct {
	File     int64
	Repo     string
	Manifest digest.Digest
}

// ComponentUse is a manifest that pins a file with components of interest.
type ComponentUse struct {
	UsePosition
	Digest      digest.Digest // of the file
	Coordinates []int64       // those asked for that it has, ascending
}

// ComponentPage is a part of a listing.
type ComponentPage struct {
	Uses []ComponentUse
	Next *UsePosition // behind what to go on; nil at the end
}

// Findings say which advisories apply to which components of a file. What people
// say about them (VEX) is no part of it. Like what they follow from they are
// neither journaled nor dumped: in a database made again FirstSeen begins anew.
type Findings interface {
	// FileFindings are those of one file, in order of advisory and coordinate; none
	// if nothing is known of it.
	FileFindings(ctx context.Context, d digest.Digest) ([]Finding, error)
	// ManifestFindings are those of all files that a manifest pins, in order of
	// file, advisory and coordinate. ErrNotFound if there is no such manifest.
	ManifestFindings(ctx context.Context, repo string, d digest.Digest) ([]FileFinding, error)
	// FindingCounts summarises ManifestFindings.
	FindingCounts(ctx context.Context, repo string, d digest.Digest) ([]FindingCount, error)
	// FindingFiles lists files with a finding of an advisory that has any of the names
	// as its id or as an alias, as ComponentFiles does.
	FindingFiles(ctx context.Context, names []string, after int64, limit int) ([]ComponentFile, error)
	// FindingUses lists manifests with a finding of the advisory, as ComponentUses
	// does.
	FindingUses(ctx context.Context, v Visibility, advisory string, after UsePosition, limit int) (FindingPage, error)
}

// FindingWriter writes them.
type FindingWriter interface {
	// PutFindings stores the findings of a file in place of all earlier ones, or of
	// the earlier ones of one advisory if that is not "". One that was there already
	// keeps its FirstSeen if that is earlier. ErrNotFound if the file has no list, or
	// not that component, or if there is no such advisory.
	PutFindings(ctx context.Context, d digest.Digest, advisory string, fs []Finding) error
}

// Reach says how close a finding comes to being executed.
type Reach int

// The states. The greater, the closer, but that ReachUnknown says nothing.
const (
	ReachUnknown      Reach = iota // what is affected leaves no traces that could be looked for
	ReachPresent                   // the component is in the list
	ReachLinked                    // code of the affected package is in the file
	ReachSymbolLinked              // code of an affected symbol is in the file
	ReachReachable                 // an affected symbol can be reached from an export
)

// Finding is an advisory that applies to a component.
type Finding struct {
	Advisory  string // id
	Component Coordinate
	Reach     Reach
	RuledOut  bool // it is certain that no affected symbol can be reached
	Severity  int  // tenths of a CVSS base score, 0 to 100; 0 also if there is none
	FirstSeen time.Time
}

// FileFinding is a finding with its file.
type FileFinding struct {
	Digest digest.Digest
	Finding
}

// FindingCount says how many findings are alike.
type FindingCount struct {
	Reach    Reach
	RuledOut bool
	Severity int
	Count    int64
}

// FindingUse is a manifest that pins a file with findings of an advisory.
type FindingUse struct {
	UsePosition
	Digest   digest.Digest // of the file
	Findings []Finding
}

// FindingPage is a part of a listing.
type FindingPage struct {
	Uses []FindingUse
	Next *UsePosition // behind what to go on; nil at the end
}
