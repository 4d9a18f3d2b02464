package meta

import (
	"context"
	"time"
)

// Jobs answers questions about work that is to be done after a write.
type Jobs interface {
	// Job describes one job.
	Job(ctx context.Context, id int64) (Job, error)
	// Jobs lists jobs with an id above after, in order of id. A limit below one is
	// no limit.
	Jobs(ctx context.Context, f JobFilter, after int64, limit int) ([]Job, error)
	// JobCounts counts jobs by kind and state. Kinds without jobs are absent. It
	// reads an index row for each: a million take some 0.2 s.
	JobCounts(ctx context.Context) (map[string]JobCount, error)
}

// JobWriter adds jobs in the transaction that makes them necessary, and moves
// them on in the one that keeps their results. Jobs are not journaled: what they
// are to do follows from the rows they are about, and the start of a server
// enqueues what is missing.
//
// A holder is a worker, or a server that knows which of its workers is at which
// job; no two have the same name. A job is its holder's until it is leased to
// another, even if the time of the lease is over.
type JobWriter interface {
	// Enqueue adds a job. One job waits for each kind and key: if there is one
	// that waits, it stays, due at the earlier of the two times; if it is leased,
	// it will wait again once it is finished, because what it read may have
	// changed; if it is dead, it waits again with no attempts counted. Repo and
	// Payload are those given last.
	Enqueue(ctx context.Context, j NewJob) (id int64, err error)
	// Lease hands at most n due jobs of the given kinds to holder until the given
	// time, in order of due time. A job whose lease ran out before now is due,
	// and what it was enqueued for meanwhile is part of the new attempt. Each
	// counts as an attempt.
	Lease(ctx context.Context, kinds []string, n int, holder string, now, until time.Time) ([]Job, error)
	// EndLeases ends all leases on jobs that were begun at most that often, and
	// returns how many: their jobs are due. It is for a server that has the database
	// for itself, before it leases any.
	EndLeases(ctx context.Context, attempts int) (int64, error)
	// ExtendLease prolongs a lease. Here and below, ErrConflict says that holder
	// does not hold the job any more: somebody else may be at it.
	ExtendLease(ctx context.Context, id int64, holder string, until time.Time) error
	// FinishJob removes a job that is done, or lets it wait once more, with no
	// attempts counted, if it was enqueued again meanwhile.
	FinishJob(ctx context.Context, id int64, holder string, now time.Time) error
	// RetryJob lets a job wait until due, or until the earlier time for which it
	// was enqueued meanwhile, and keeps why it failed.
	RetryJob(ctx context.Context, id int64, holder string, due time.Time, reason string) error
	// BuryJob makes a job a dead letter, which stays until somebody acts. If it
	// was enqueued again meanwhile, somebody has: it waits.
	BuryJob(ctx context.Context, id int64, holder string, at time.Time, reason string) error
	// ReviveJob lets a dead or waiting job be due now, with no attempts counted.
	// ErrConflict if it is leased, ErrNotFound if it is gone.
	ReviveJob(ctx context.Context, id int64, now time.Time) error
	// DropJob removes a dead or waiting job. ErrConflict if it is leased,
	// ErrNotFound if it is gone.
	DropJob(ctx context.Context, id int64) error
}

// NewJob is a job to be enqueued.
type NewJob struct {
	Kind    string // who works on it: "ingest"
	Key     string // what it is about, unique within its kind: "team/app@sha256:…"
	Repo    string // whose readers may see it; "" for the installation's own
	Payload []byte // JSON for the worker
	Due     time.Time
}

// JobState says where a job is.
type JobState int

// The states. A job that is done is gone.
const (
	JobWaiting JobState = iota
	JobLeased
	JobDead
)

// Job is a row of its kind.
type Job struct {
	ID int64 // never used twice
	NewJob
	State    JobState
	Attempts int       // begun so far
	Holder   string    // of the lease, "" without one
	Until    time.Time // when the lease runs out, zero without one
	Failure  string    // of the last attempt, "" if none failed
	Created  time.Time
	Updated  time.Time
}

// JobFilter chooses jobs; the zero value chooses all.
type JobFilter struct {
	Kind   string
	States []JobState
}

// JobCount counts the jobs of one kind.
type JobCount struct {
	Waiting, Leased, Dead int
	Oldest                time.Time // when the first of those that wait became or becomes due; zero for none
}
