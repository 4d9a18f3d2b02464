package wire

import (
	"encoding/json"
	"time"

	"github.com/opencontainers/go-digest"
)

// A JobState says where a job is. Jobs that are done are gone.
type JobState string

// The states.
const (
	JobWaiting JobState = "waiting"
	JobLeased  JobState = "leased"
	JobDead    JobState = "dead" // until somebody retries or drops it
)

// A Job is work that follows a write.
type Job struct {
	ID int64 `json:"id"`

	// Kind says who works on it, Key what it is about.
	Kind       string   `json:"kind"`
	Key        string   `json:"key"`
	Repository string   `json:"repository,omitempty"`
	State      JobState `json:"state"`

	// Attempts counts those begun so far; Failure is why the last one failed.
	Attempts int    `json:"attempts"`
	Failure  string `json:"failure,omitempty"`

	// Due is when it may be begun, Until when its lease runs out.
	Due     time.Time `json:"due"`
	Until   time.Time `json:"until,omitzero"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// A JobList is one page of jobs with counts of all.
type JobList struct {
	List[Job]

	Counts []JobCount `json:"counts"`
}

// A JobCount counts the jobs of one kind.
type JobCount struct {
	Kind    string `json:"kind"`
	Waiting int    `json:"waiting"`
	Leased  int    `json:"leased"`
	Dead    int    `json:"dead"`

	// Oldest is when the one that waits longest became due.
	Oldest time.Time `json:"oldest,omitzero"`
}

// A ReindexRequest says what to inspect and index again; without a package,
// everything.
type ReindexRequest struct {
	Package string `json:"package,omitempty" jsonschema:"format=package"`

	// Digest is of one manifest of the package.
	Digest digest.Digest `json:"digest,omitempty"`
}

// A Reindexed says how many jobs were made.
type Reindexed struct {
	Enqueued int `json:"enqueued"`
}

// An Event is one thing that happened.
type Event struct {
	ID   int64     `json:"id"`
	Time time.Time `json:"time"`

	// Kind is "push", "tag", "delete", "ingested", "verdict", "yank" or another
	// word: readers skip those they do not know.
	Kind       string        `json:"kind"`
	Package    string        `json:"package,omitempty"`
	Repository string        `json:"repository,omitempty"`
	Digest     digest.Digest `json:"digest,omitempty"`
	Tag        string        `json:"tag,omitempty"`

	// Actor is whose doing it is. Callers who have not logged in are not told.
	Actor string `json:"actor,omitempty"`

	// Detail is an object whose fields depend on Kind.
	Detail json.RawMessage `json:"detail,omitempty"`
}
