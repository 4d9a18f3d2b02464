-- Times are microseconds since 1970 in UTC. Text compares bytewise.

CREATE TABLE state (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO state (name, value) VALUES ('journal_done', 0);

CREATE TABLE repositories (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    tags    INTEGER NOT NULL DEFAULT 0 -- how many rows of tags are its own
) STRICT;

-- state: 0 live, 1 condemned, 2 deleted
CREATE TABLE blobs (
    digest     TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,
    size       INTEGER NOT NULL,
    state      INTEGER NOT NULL,
    since      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE repository_blobs (
    repository INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest     TEXT NOT NULL REFERENCES blobs (digest),
    created    INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;

CREATE INDEX repository_blobs_by_digest ON repository_blobs (digest, repository);

-- content is the last column, so that listings never read its overflow pages.
CREATE TABLE manifests (
    id            INTEGER PRIMARY KEY,
    repository    INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest        TEXT NOT NULL,
    media_type    TEXT NOT NULL,
    artifact_type TEXT NOT NULL,
    subject       TEXT,
    annotations   TEXT NOT NULL, -- a JSON object, or empty
    size          INTEGER NOT NULL,
    blobs         TEXT NOT NULL, -- digests with a space between
    children      TEXT NOT NULL, -- likewise
    created       INTEGER NOT NULL,
    content       BLOB NOT NULL,
    UNIQUE (repository, digest)
) STRICT;

CREATE INDEX manifests_by_subject ON manifests (repository, subject, digest) WHERE subject IS NOT NULL;

-- The lists in manifests turned round: who needs this digest?
CREATE TABLE manifest_blobs (
    repository INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest     TEXT NOT NULL,
    manifest   INTEGER NOT NULL,
    PRIMARY KEY (repository, digest, manifest)
) STRICT, WITHOUT ROWID;

CREATE TABLE manifest_children (
    repository INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest     TEXT NOT NULL,
    manifest   INTEGER NOT NULL,
    PRIMARY KEY (repository, digest, manifest)
) STRICT, WITHOUT ROWID;

CREATE TABLE tags (
    repository INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    manifest   INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    updated    INTEGER NOT NULL,
    PRIMARY KEY (repository, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_by_manifest ON tags (manifest, name);
CREATE INDEX tags_by_time ON tags (repository, updated, name);

-- The repository goes by name: tombstones outlive it.
CREATE TABLE tombstones (
    repository TEXT NOT NULL,
    name       TEXT NOT NULL,
    digest     TEXT NOT NULL,
    deleted    INTEGER NOT NULL,
    PRIMARY KEY (repository, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY,
    time     INTEGER NOT NULL,
    records  BLOB NOT NULL
) STRICT;
