-- Who linked a blob last, '' for nobody known.
ALTER TABLE repository_blobs ADD COLUMN uploader TEXT NOT NULL DEFAULT '';

-- ingested is the version of the pipeline, 0 for not yet. verdict: 0 none,
-- 1 allow, 2 warn, 3 deny, given by the policies of verdict_revision.
ALTER TABLE manifests ADD COLUMN ingested INTEGER NOT NULL DEFAULT 0;
ALTER TABLE manifests ADD COLUMN verdict INTEGER NOT NULL DEFAULT 0;
ALTER TABLE manifests ADD COLUMN verdict_revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE manifests ADD COLUMN verdict_reasons BLOB NOT NULL DEFAULT x''; -- JSON, or empty

-- These tell which repositories have rows below a number, of which there are few.
-- They hold no digests, so that a push writes next to the one before.
CREATE INDEX manifests_by_ingested ON manifests (repository, ingested);
CREATE INDEX manifests_by_revision ON manifests (repository, verdict_revision);

-- state: 0 waiting, 1 leased, 2 dead. A leased job has a holder, and in again
-- the due time if it was enqueued meanwhile. An id is never used twice: it is
-- what a worker names that may have lost its lease.
CREATE TABLE jobs (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    kind     TEXT NOT NULL,
    key      TEXT NOT NULL,
    state    INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    repo     TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    holder   TEXT NOT NULL,
    until    INTEGER NOT NULL,
    again    INTEGER,
    failure  TEXT NOT NULL,
    created  INTEGER NOT NULL,
    updated  INTEGER NOT NULL,
    payload  BLOB NOT NULL,
    UNIQUE (kind, key)
) STRICT;

CREATE INDEX jobs_by_due ON jobs (kind, state, due, id);
CREATE INDEX jobs_begun ON jobs (state, id) WHERE state > 0;

CREATE TABLE analyses (
    id      INTEGER PRIMARY KEY,
    digest  TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    created INTEGER NOT NULL,
    facts   BLOB NOT NULL
) STRICT;

CREATE INDEX analyses_by_version ON analyses (version, digest);
