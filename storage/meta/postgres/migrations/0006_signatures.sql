-- Who signed manifests. All rows of a manifest were verified against the same
-- material; problem is empty for those that prove something.
CREATE TABLE signatures (
    manifest       BIGINT NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    position       BIGINT NOT NULL,
    material       TEXT COLLATE "C" NOT NULL,
    carrier        TEXT COLLATE "C" NOT NULL,
    layer          TEXT COLLATE "C" NOT NULL,
    form           TEXT COLLATE "C" NOT NULL,
    predicate_type TEXT COLLATE "C" NOT NULL,
    key_id         TEXT COLLATE "C" NOT NULL,
    key_name       TEXT COLLATE "C" NOT NULL,
    identity       TEXT COLLATE "C" NOT NULL,
    issuer         TEXT COLLATE "C" NOT NULL,
    logged         BIGINT NOT NULL, -- 1 for yes
    time           BIGINT NOT NULL, -- 0 for none
    problem        TEXT COLLATE "C" NOT NULL,
    predicate_size BIGINT NOT NULL,
    proof          BYTEA NOT NULL, -- JSON, or empty
    predicate      BYTEA NOT NULL, -- likewise
    PRIMARY KEY (manifest, position)
);

CREATE INDEX signatures_by_material ON signatures (material, manifest);

-- Keys and roots that were added over the API.
CREATE TABLE trust (
    name       TEXT COLLATE "C" PRIMARY KEY,
    kind       TEXT COLLATE "C" NOT NULL,
    not_before BIGINT NOT NULL, -- 0 for always
    not_after  BIGINT NOT NULL, -- likewise
    author     TEXT COLLATE "C" NOT NULL,
    created    BIGINT NOT NULL,
    content    TEXT COLLATE "C" NOT NULL
);

INSERT INTO state (name, value) VALUES ('trust_revision', 0);
