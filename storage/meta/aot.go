package meta

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"
)

// AOTJobs are native code that is to be made, is being made or was made of the
// Wasm of manifests, by workers elsewhere that lease the jobs over HTTP. Targets,
// runtimes and profiles are texts that are compared and not looked into.
type AOTJobs interface {
	// AOTJob returns one job.
	AOTJob(ctx context.Context, id int64) (AOTJob, error)
	// AOTJobs lists jobs in order of id, behind the given one. A limit below one is
	// no limit.
	AOTJobs(ctx context.Context, f AOTFilter, after int64, limit int) ([]AOTJob, error)
	// AOTJobsOf are the jobs of one manifest, in order of runtime, target and
	// profile; none if there is no such manifest.
	AOTJobsOf(ctx context.Context, repo string, d digest.Digest) ([]AOTJob, error)
	// AOTLease is the job that is leased by a token, or that was finished by it and
	// not asked for again since. ErrNotFound says that there is none: it was given
	// back, or taken back.
	AOTLease(ctx context.Context, token string) (AOTJob, error)
	// AOTExpired lists at most limit leased jobs whose lease ran out before now, the
	// one that did first first.
	AOTExpired(ctx context.Context, now time.Time, limit int) ([]AOTJob, error)
	// AOTLeasedTo reports whether principal holds a lease, not run out before now, of
	// a job in repo.
	AOTLeasedTo(ctx context.Context, principal, repo string, now time.Time) (bool, error)
	// AOTDue reports whether LeaseAOT would find a job.
	AOTDue(ctx context.Context, q AOTQuery, now time.Time) (bool, error)
	// AOTCounts counts the jobs that are not done, in order of runtime and target: of
	// each state at most most, which bounds what it costs. Below one is no bound.
	AOTCounts(ctx context.Context, most int) ([]AOTCount, error)
	// AOTRules is the text last given to SetAOTRules, "" before.
	AOTRules(ctx context.Context) (string, error)
	// AOTWorkers lists workers in order of principal and name, behind the given one.
	// A limit below one is no limit.
	AOTWorkers(ctx context.Context, after AOTWorkerKey, limit int) ([]AOTWorker, error)
}

// AOTWriter writes them. They are neither journaled nor dumped: which are needed
// follows from the manifests, and a rebuilt database has them enqueued again when
// those are ingested. A job goes with the manifest that it is of, and with the one
// that is its result.
//
// A lease is known by its token, which is made anew for each. A job is leased
// until it is finished, retried or failed by that token, even if its time is over:
// whoever leases sees to those that expired first.
type AOTWriter interface {
	// EnqueueAOT asks for native code, of which there is one job for each manifest,
	// target, runtime and profile. One that waits or is leased stays as it is. One
	// that is done or failed stays unless j.Again; then it waits with no attempts
	// counted, and keeps its result until there is another. ErrNotFound if the
	// manifest is gone. It returns whether a job waits that did not before.
	EnqueueAOT(ctx context.Context, j NewAOTJob) (id int64, added bool, err error)
	// LeaseAOT hands out a due job, as an attempt at it: of those targets of q the
	// oldest job of the namespace, which is the first part of a repository's name,
	// whose turn it is. Namespaces take turns in the queue of a target, whatever the
	// number of their jobs, and so do the targets of q: next is the one that was served
	// longest ago, and one that comes is behind all others. ErrNotFound if none is due.
	LeaseAOT(ctx context.Context, q AOTQuery, l AOTLease, now time.Time) (AOTJob, error)
	// ExtendAOT prolongs a lease. Here and below, ErrConflict says that no job is
	// leased by the token any more.
	ExtendAOT(ctx context.Context, token string, now, until time.Time) error
	// FinishAOT makes a job done, with the manifest of its repository that is the
	// result. ErrNotFound if that is not there.
	FinishAOT(ctx context.Context, token string, result digest.Digest, now time.Time) error
	// RetryAOT lets a job wait until due, and keeps why it failed.
	RetryAOT(ctx context.Context, token string, due time.Time, reason string, now time.Time) error
	// FailAOT makes a job failed, which it stays until it is asked for again.
	FailAOT(ctx context.Context, token, reason string, now time.Time) error
	// DropAOT removes a job that waits or failed, unless it has a result. ErrConflict
	// if it is leased or has one, ErrNotFound if it is gone.
	DropAOT(ctx context.Context, id int64) error
	// SetAOTRules notes by which rules jobs were last enqueued for everything.
	SetAOTRules(ctx context.Context, text string) error
	// PutAOTWorker notes that a worker was seen, in place of what was noted before.
	// ErrConflict if there are MaxAOTWorkers others already.
	PutAOTWorker(ctx context.Context, w AOTWorker) error
	// ForgetAOT forgets the workers that were last seen before the given time, and
	// when namespaces of which no job waits were served.
	ForgetAOT(ctx context.Context, before time.Time) error
}

// Bounds of AOT jobs and workers. What is beyond them is refused.
const (
	MaxAOTText    = 128     // bytes of a target, runtime, profile, version, name or token
	MaxAOTWorkers = 1000    // that are known at a time
	MaxAOTOffers  = 64      // targets of one worker, and of one query
	MaxAOTFailure = 4 << 10 // bytes that are kept of why a job failed
)

// NewAOTJob is native code that is asked for.
type NewAOTJob struct {
	Repo      string
	Subject   digest.Digest // the manifest
	Source    digest.Digest // its layer that is compiled
	Size      int64         // bytes of that
	Target    string        // "linux/amd64/v3"
	Runtime   string        // "wasmtime"
	Profile   string        // "wreg-v1"
	Requester string        // who asked for it, "" for a rule
	Again     bool          // even if it was made or failed before
	Due       time.Time
}

// AOTState says where a job is.
type AOTState int

// The states.
const (
	AOTQueued AOTState = iota
	AOTLeased
	AOTDone
	AOTFailed
)

// AOTJob is a row of its kind.
type AOTJob struct {
	ID int64 // never used twice
	NewAOTJob
	State    AOTState
	Attempts int // begun since it was enqueued
	Lease    AOTLease
	Failure  string        // of the last attempt, "" if none failed
	Result   digest.Digest // of the native code that was made, "" if none was
	Created  time.Time
	Updated  time.Time
}

// AOTLease is who is at a job. Of a job that is not leased only Principal and
// Worker are kept, of who was at it last, and the Token by which it was finished.
type AOTLease struct {
	Token     string
	Principal string
	Worker    string    // its name among the workers of the principal
	Since     time.Time // LeaseAOT sets it
	Until     time.Time
}

// AOTQuery says what a worker can do.
type AOTQuery struct {
	Runtime string
	Profile string
	Targets []string
}

// AOTFilter chooses jobs; the zero value chooses all.
type AOTFilter struct {
	Repo   string
	Target string
	States []AOTState
}

// AOTCount counts the jobs of a runtime and target that are not done.
type AOTCount struct {
	Runtime, Target        string
	Queued, Leased, Failed int
	Oldest                 time.Time // when the first of those that wait was enqueued; zero for none
}

// AOTWorkerKey tells workers apart.
type AOTWorkerKey struct {
	Principal string
	Name      string // chosen by the worker
}

// AOTWorker is a program that compiles, as it describes itself.
type AOTWorker struct {
	AOTWorkerKey
	Runtime string
	Version string // of the runtime, in full
	Profile string
	Offers  []AOTOffer
	Seen    time.Time
}

// AOTOffer is a target that a worker compiles for.
type AOTOffer struct {
	Target   string `json:"target"`
	CompatID string `json:"compatId,omitempty"` // that its code will have, "" if it does not say
}
