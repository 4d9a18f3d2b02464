-- Components of files, advisories, and what these have to do with each other.
-- Read storage/meta/sqlmeta/components.go first.

-- What tells components apart. The hash is that of all of it.
CREATE TABLE coordinates (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    hash      BLOB NOT NULL,
    ecosystem TEXT NOT NULL,
    name      TEXT NOT NULL,
    key       BLOB NOT NULL, -- sorts as the version does, or empty
    version   TEXT NOT NULL,
    class     TEXT NOT NULL,
    part      TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX coordinates_by_hash ON coordinates (hash);
CREATE INDEX coordinates_by_name ON coordinates (ecosystem, name, key);

-- A number is never used again.
CREATE TABLE component_files (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    digest      TEXT NOT NULL UNIQUE,
    version     INTEGER NOT NULL,
    coordinates BLOB NOT NULL -- ids, ascending
) STRICT;

CREATE INDEX component_files_by_version ON component_files (version, digest);

-- Which files of a segment have a coordinate, as in postings: component_files turned
-- round.
CREATE TABLE component_postings (
    coordinate INTEGER NOT NULL,
    segment    INTEGER NOT NULL,
    files      BLOB NOT NULL,
    PRIMARY KEY (coordinate, segment)
) STRICT, WITHOUT ROWID;

-- packages is a JSON array of ecosystem, name, ecosystem, name, ...
CREATE TABLE advisories (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    name      TEXT NOT NULL UNIQUE,
    modified  INTEGER NOT NULL,
    withdrawn INTEGER NOT NULL, -- 0 if it is not
    removed   INTEGER NOT NULL, -- 1 if no feed has it, and then it has no advisory_packages
    revision  INTEGER NOT NULL UNIQUE,
    aliases   TEXT NOT NULL, -- a JSON array
    packages  TEXT NOT NULL,
    body      BLOB NOT NULL
) STRICT;

CREATE INDEX advisories_removed ON advisories (revision) WHERE removed = 1;

CREATE TABLE advisory_aliases (
    alias    TEXT NOT NULL,
    advisory INTEGER NOT NULL,
    PRIMARY KEY (alias, advisory)
) STRICT, WITHOUT ROWID;

CREATE TABLE advisory_packages (
    ecosystem TEXT NOT NULL,
    name      TEXT NOT NULL,
    advisory  INTEGER NOT NULL,
    PRIMARY KEY (ecosystem, name, advisory)
) STRICT, WITHOUT ROWID;

CREATE TABLE feeds (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    source     TEXT NOT NULL UNIQUE,
    etag       TEXT NOT NULL,
    digest     TEXT NOT NULL,
    attempted  INTEGER NOT NULL,
    imported   INTEGER NOT NULL, -- 0 for never
    advisories INTEGER NOT NULL,
    refused    INTEGER NOT NULL,
    newest     INTEGER NOT NULL, -- 0 for none
    error      TEXT NOT NULL
) STRICT;

-- What each feed has. digest is that of its record.
CREATE TABLE feed_advisories (
    feed   INTEGER NOT NULL REFERENCES feeds (id),
    name   TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (feed, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX feed_advisories_by_name ON feed_advisories (name);

-- reach is that of package meta; ruled_out is 0 or 1.
CREATE TABLE findings (
    file       INTEGER NOT NULL REFERENCES component_files (id) ON DELETE CASCADE,
    advisory   INTEGER NOT NULL REFERENCES advisories (id) ON DELETE CASCADE,
    coordinate INTEGER NOT NULL,
    reach      INTEGER NOT NULL,
    severity   INTEGER NOT NULL,
    ruled_out  INTEGER NOT NULL,
    seen       INTEGER NOT NULL,
    PRIMARY KEY (file, advisory, coordinate)
) STRICT, WITHOUT ROWID;

CREATE INDEX findings_by_advisory ON findings (advisory, file);

INSERT INTO state (name, value) VALUES ('advisory_revision', 0), ('advisories_matched', 0);
