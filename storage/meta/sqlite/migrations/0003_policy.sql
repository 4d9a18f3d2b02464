-- Notices live with their tag: they stay when it moves and end with it. notice:
-- 0 none, 1 deprecated, 2 yanked.
ALTER TABLE tags ADD COLUMN notice INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tags ADD COLUMN notice_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE tags ADD COLUMN notice_by TEXT NOT NULL DEFAULT '';
ALTER TABLE tags ADD COLUMN notice_time INTEGER NOT NULL DEFAULT 0;

-- A yanked tag is nobody's latest.
DROP INDEX tags_by_time;
CREATE INDEX tags_by_time ON tags (repository, updated, name) WHERE notice < 2;

-- The version of a tag that is a release, so that versions sort; else empty.
ALTER TABLE tags ADD COLUMN release TEXT NOT NULL DEFAULT '';

CREATE INDEX tags_by_release ON tags (repository, release DESC, name) WHERE release <> '' AND notice < 2;

-- day: midnight UTC
CREATE TABLE downloads (
    manifest INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    day      INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (manifest, day)
) STRICT, WITHOUT ROWID;

-- The sums of downloads, apart from manifests, whose rows hold their content.
CREATE TABLE download_totals (
    manifest INTEGER PRIMARY KEY REFERENCES manifests (id) ON DELETE CASCADE,
    count    INTEGER NOT NULL
) STRICT;

INSERT INTO state (name, value) VALUES ('policy_revision', 0), ('last_decision', 0), ('last_event', 0);

-- All versions. The last one of a name is current unless it is deleted.
CREATE TABLE policies (
    name     TEXT NOT NULL,
    version  INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    author   TEXT NOT NULL,
    created  INTEGER NOT NULL,
    deleted  INTEGER NOT NULL, -- 1 for yes
    source   TEXT NOT NULL,
    PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;

-- In approvals, decisions, quarantine and events repositories go by name: what
-- was refused may be the first that anyone pushed to one.
CREATE TABLE approvals (
    repository TEXT NOT NULL,
    digest     TEXT NOT NULL,
    rule       TEXT NOT NULL,
    revision   INTEGER NOT NULL,
    approver   TEXT NOT NULL,
    reason     TEXT NOT NULL,
    time       INTEGER NOT NULL,
    PRIMARY KEY (repository, digest, rule)
) STRICT, WITHOUT ROWID;

CREATE TABLE decisions (
    id         INTEGER PRIMARY KEY,
    time       INTEGER NOT NULL,
    repository TEXT NOT NULL,
    digest     TEXT NOT NULL,
    tags       TEXT NOT NULL, -- with a space between
    action     TEXT NOT NULL,
    principal  TEXT NOT NULL,
    outcome    INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    violations BLOB NOT NULL -- a JSON array, or empty
) STRICT;

CREATE INDEX decisions_by_repository ON decisions (repository, id);
CREATE INDEX decisions_by_digest ON decisions (digest, id);

CREATE TABLE quarantine (
    repository TEXT NOT NULL,
    digest     TEXT NOT NULL,
    media_type TEXT NOT NULL,
    blobs      TEXT NOT NULL, -- digests with a space between
    tags       TEXT NOT NULL, -- likewise
    uploader   TEXT NOT NULL,
    decision   INTEGER NOT NULL,
    created    INTEGER NOT NULL,
    until      INTEGER NOT NULL,
    content    BLOB NOT NULL,
    UNIQUE (repository, digest)
) STRICT;

CREATE INDEX quarantine_by_time ON quarantine (until);

-- The lists in quarantine turned round. While a row is here, no collection
-- takes the blob from the repository.
CREATE TABLE quarantine_blobs (
    repository TEXT NOT NULL,
    manifest   TEXT NOT NULL,
    digest     TEXT NOT NULL,
    PRIMARY KEY (repository, manifest, digest),
    FOREIGN KEY (repository, manifest) REFERENCES quarantine (repository, digest) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX quarantine_blobs_by_digest ON quarantine_blobs (repository, digest);

CREATE TABLE events (
    id         INTEGER PRIMARY KEY,
    time       INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    repository TEXT NOT NULL, -- may be empty
    digest     TEXT NOT NULL, -- likewise
    tag        TEXT NOT NULL, -- likewise
    actor      TEXT NOT NULL,
    detail     BLOB NOT NULL -- JSON, or empty
) STRICT;
