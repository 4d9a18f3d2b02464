-- Native code that workers make, leased to them over HTTP.

-- state: 0 queued, 1 leased, 2 done, 3 failed. A leased job has a lease that no
-- other has, and a done one that by which it was finished; principal and worker
-- stay when it ends. result is the manifest of what was made. An id is never used
-- twice.
CREATE TABLE aot_jobs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    manifest   INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    repository INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE, -- of the manifest, for lists
    namespace  TEXT NOT NULL, -- the first part of the repository's name
    source     TEXT NOT NULL,
    size       INTEGER NOT NULL,
    target     TEXT NOT NULL,
    runtime    TEXT NOT NULL,
    profile    TEXT NOT NULL,
    requester  TEXT NOT NULL,
    state      INTEGER NOT NULL,
    due        INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    lease      TEXT, -- NULL for none
    principal  TEXT NOT NULL,
    worker     TEXT NOT NULL,
    since      INTEGER NOT NULL, -- when the lease began, 0 without one
    until      INTEGER NOT NULL, -- 0 without a lease
    failure    TEXT NOT NULL,
    result     INTEGER REFERENCES manifests (id) ON DELETE CASCADE,
    created    INTEGER NOT NULL,
    updated    INTEGER NOT NULL,
    UNIQUE (manifest, runtime, target, profile),
    UNIQUE (lease)
) STRICT;

CREATE INDEX aot_jobs_queued ON aot_jobs (runtime, target, profile, namespace, due, id) WHERE state = 0;
CREATE INDEX aot_jobs_due ON aot_jobs (runtime, target, profile, due) WHERE state = 0;
CREATE INDEX aot_jobs_leased ON aot_jobs (state, until, id) WHERE state = 1;
CREATE INDEX aot_jobs_leased_to ON aot_jobs (principal, repository, until) WHERE state = 1;
CREATE INDEX aot_jobs_open ON aot_jobs (runtime, target, state, created) WHERE state <> 2;
CREATE INDEX aot_jobs_by_state ON aot_jobs (state, id);
CREATE INDEX aot_jobs_by_target ON aot_jobs (target, state, id);
CREATE INDEX aot_jobs_by_repository ON aot_jobs (repository, state, id);
CREATE INDEX aot_jobs_by_result ON aot_jobs (result) WHERE result IS NOT NULL;

-- Which namespace was served last in which queue: the least turn is the next. A
-- namespace is passed over until due, before which no job of it is; 0 is one that
-- may have a job now.
CREATE TABLE aot_queues (
    runtime   TEXT NOT NULL,
    target    TEXT NOT NULL,
    profile   TEXT NOT NULL,
    namespace TEXT NOT NULL,
    turn      INTEGER NOT NULL,
    due       INTEGER NOT NULL,
    PRIMARY KEY (runtime, target, profile, namespace)
) STRICT, WITHOUT ROWID;

CREATE INDEX aot_queues_next ON aot_queues (runtime, target, profile, turn, namespace) WHERE due = 0;
CREATE INDEX aot_queues_later ON aot_queues (runtime, target, profile, due) WHERE due > 0;
CREATE INDEX aot_queues_by_turn ON aot_queues (turn);

-- offers is a JSON array.
CREATE TABLE aot_workers (
    principal TEXT NOT NULL,
    name      TEXT NOT NULL,
    runtime   TEXT NOT NULL,
    version   TEXT NOT NULL,
    profile   TEXT NOT NULL,
    offers    BLOB NOT NULL,
    seen      INTEGER NOT NULL,
    PRIMARY KEY (principal, name)
) STRICT, WITHOUT ROWID;

-- One row: by which rules jobs were last enqueued for everything.
CREATE TABLE aot_rules (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    text TEXT NOT NULL
) STRICT;

INSERT INTO aot_rules (id, text) VALUES (1, '');
