package wire

import (
	"time"

	"github.com/opencontainers/go-digest"
)

// VariantList is the native code of a version, and what is being made of it.
type VariantList struct {
	Digest digest.Digest `json:"digest"` // of the version's manifest

	// Items are what hangs on the version as native code, in order of digest.
	Items []Variant `json:"items"`

	// Refused says that it is native code and is not as docs/spec/aot.md describes it.
	Refused []RefusedVariant `json:"refused"`

	// Jobs are what was asked for, done ones too.
	Jobs []AOTJob `json:"jobs"`
}

// A Variant is native code of a version for one target.
type Variant struct {
	Digest digest.Digest `json:"digest"` // of its manifest

	// Target is what it runs on, "linux/amd64/v3"; Runtime and Version are what loads
	// it, Profile the settings of that, and CompatID what the runtime compares.
	Target   string `json:"target"`
	Runtime  string `json:"runtime"`
	Version  string `json:"version"`
	Profile  string `json:"profile,omitempty"`
	CompatID string `json:"compatId,omitempty"`

	// Tier is "optimising", or "fast" for what was too much for that.
	Tier string `json:"tier"`

	// Source is the layer of WebAssembly that it was made of.
	Source digest.Digest `json:"source"`

	// Size is that of the code, and Compressed that of its layer, in bytes.
	Size       int64 `json:"size"`
	Compressed int64 `json:"compressed"`

	// Builder is who made it, by its own word, and Emulated whether it was made on a
	// machine that another one imitated.
	Builder  string `json:"builder,omitempty"`
	Emulated bool   `json:"emulated,omitempty"`

	// Made is whether a worker made it by a job of this registry, and Attested who of
	// the compilers that the registry trusts has signed that it was made of Source. If
	// neither holds it is foreign: whoever pushes to the package may have pushed it.
	Made     bool     `json:"made"`
	Attested []string `json:"attested"`
	Foreign  bool     `json:"foreign"`
}

// A RefusedVariant is no native code, though it says so.
type RefusedVariant struct {
	Digest  digest.Digest `json:"digest"`
	Problem string        `json:"problem"`
}

// A VariantRequest asks for native code.
type VariantRequest struct {
	// Targets are what the code is for: "linux/amd64/v3", "linux/arm64", "pulley64".
	Targets []string `json:"targets"`

	// Again makes what was made or failed before once more.
	Again bool `json:"again,omitempty"`
}

// AOTJobs are jobs to make native code.
type AOTJobs struct {
	Items []AOTJob `json:"items"`
}

// An AOTState says where a job to make native code is.
type AOTState string

// The states.
const (
	AOTQueued AOTState = "queued"
	AOTLeased AOTState = "leased"
	AOTDone   AOTState = "done"
	AOTFailed AOTState = "failed" // until somebody asks for it again
)

// An AOTJob is native code to be made.
type AOTJob struct {
	ID         int64  `json:"id"`
	Package    string `json:"package"`
	Repository string `json:"repository"`

	// Digest is that of the version's manifest, Source that of its layer, which has
	// SourceSize bytes.
	Digest     digest.Digest `json:"digest"`
	Source     digest.Digest `json:"source"`
	SourceSize int64         `json:"sourceSize"`

	Target  string `json:"target"`
	Runtime string `json:"runtime"`
	Profile string `json:"profile,omitempty"`

	State AOTState `json:"state"`

	// Requester is who asked for it. It is absent if a rule did.
	Requester string `json:"requester,omitempty"`

	// Attempts counts those begun since it was asked for; Failure is why the last one
	// failed.
	Attempts int    `json:"attempts"`
	Failure  string `json:"failure,omitempty"`

	// Worker is who is at it, or was last.
	Worker string `json:"worker,omitempty"`

	// Result is the manifest of the code that was made.
	Result digest.Digest `json:"result,omitempty"`

	// Due is when it may be begun, Until when its lease runs out.
	Due     time.Time `json:"due"`
	Until   time.Time `json:"until,omitzero"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// AOTJobList is one page of jobs with counts of all that are not done.
type AOTJobList struct {
	List[AOTJob]

	Counts []AOTCount `json:"counts"`
}

// An AOTCount counts the jobs for one target that are not done.
type AOTCount struct {
	Runtime string `json:"runtime"`
	Target  string `json:"target"`

	// Queued, Leased and Failed are exact to 1,000. CountIsLeast says that there are
	// more where it says 1,000.
	Queued       int  `json:"queued"`
	Leased       int  `json:"leased"`
	Failed       int  `json:"failed"`
	CountIsLeast bool `json:"countIsLeast,omitempty"`

	// Oldest is when the one that waits longest was asked for.
	Oldest time.Time `json:"oldest,omitzero"`
}

// An AOTLeaseRequest says who asks for a job, and what it can compile.
type AOTLeaseRequest struct {
	// Worker is a name by which the worker knows itself, different from those of the
	// caller's other workers.
	Worker string `json:"worker" jsonschema:"minLength=1,maxLength=64"`

	// Runtime is what it compiles for, and Version that in full.
	Runtime string `json:"runtime" jsonschema:"minLength=1,maxLength=32"`
	Version string `json:"version" jsonschema:"minLength=1,maxLength=32"`
	Profile string `json:"profile,omitempty" jsonschema:"maxLength=32"`

	// Targets are those that it compiles for.
	Targets []AOTOffer `json:"targets"`

	// WaitSeconds is how long to wait for a job if there is none.
	WaitSeconds int `json:"waitSeconds,omitempty" jsonschema:"minimum=0,maximum=30"`
}

// An AOTOffer is a target that a worker compiles for.
type AOTOffer struct {
	Target string `json:"target" jsonschema:"minLength=1,maxLength=32"`

	// CompatID is what code for it will say that the runtime compares. A result that
	// says something else is refused.
	CompatID string `json:"compatId,omitempty" jsonschema:"maxLength=128"`
}

// An AOTLease is a job that a worker is at.
type AOTLease struct {
	// Lease names it in addresses. It is of use only to who took the job.
	Lease string `json:"lease"`

	// Deadline is when it runs out unless it is prolonged, and Seconds how long that
	// is from now.
	Deadline time.Time `json:"deadline"`
	Seconds  int       `json:"seconds"`

	Job AOTJob `json:"job"`
}

// An AOTResult names what was made.
type AOTResult struct {
	// Digest is that of the manifest of the code, which the worker has pushed.
	Digest digest.Digest `json:"digest"`
}

// An AOTFailure says why nothing was made.
type AOTFailure struct {
	// Kind is "input" or "limit" if no repetition would mend it: the compiler refuses
	// the module, or it is too much for it. "unsupported", "crash" and "other" are
	// tried again, by this worker or another.
	Kind string `json:"kind" jsonschema:"enum=input,enum=limit,enum=unsupported,enum=crash,enum=other"`

	Reason string `json:"reason" jsonschema:"minLength=1,maxLength=4096"`
}

// An AOTWorker is a program that takes jobs, as it described itself last.
type AOTWorker struct {
	Name      string      `json:"name"`
	Principal string      `json:"principal,omitempty"`
	Runtime   string      `json:"runtime"`
	Version   string      `json:"version"`
	Profile   string      `json:"profile,omitempty"`
	Targets   []AOTTarget `json:"targets"`

	// Seen is when it asked for a job last. One that was not seen for an hour is
	// forgotten.
	Seen time.Time `json:"seen"`
}

// An AOTTarget is one that a worker said it compiles for.
type AOTTarget struct {
	Target   string `json:"target"`
	CompatID string `json:"compatId,omitempty"`
}
