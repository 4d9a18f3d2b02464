-- Who signed manifests. All rows of a manifest were verified against the same
-- material; problem is empty for those that prove something.
CREATE TABLE signatures (
    manifest       INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    position       INTEGER NOT NULL,
    material       TEXT NOT NULL,
    carrier        TEXT NOT NULL,
    layer          TEXT NOT NULL,
    form           TEXT NOT NULL,
    predicate_type TEXT NOT NULL,
    key_id         TEXT NOT NULL,
    key_name       TEXT NOT NULL,
    identity       TEXT NOT NULL,
    issuer         TEXT NOT NULL,
    logged         INTEGER NOT NULL, -- 1 for yes
    time           INTEGER NOT NULL, -- 0 for none
    problem        TEXT NOT NULL,
    predicate_size INTEGER NOT NULL,
    proof          BLOB NOT NULL, -- JSON, or empty
    predicate      BLOB NOT NULL, -- likewise
    UNIQUE (manifest, position)
) STRICT;

CREATE INDEX signatures_by_material ON signatures (material, manifest);

-- Keys and roots that were added over the API.
CREATE TABLE trust (
    name       TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    not_before INTEGER NOT NULL, -- 0 for always
    not_after  INTEGER NOT NULL, -- likewise
    author     TEXT NOT NULL,
    created    INTEGER NOT NULL,
    content    TEXT NOT NULL
) STRICT;

INSERT INTO state (name, value) VALUES ('trust_revision', 0);
