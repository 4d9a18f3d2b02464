-- Notices live with their tag: they stay when it moves and end with it. notice:
-- 0 none, 1 deprecated, 2 yanked.
ALTER TABLE tags ADD COLUMN notice BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tags ADD COLUMN notice_reason TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE tags ADD COLUMN notice_by TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE tags ADD COLUMN notice_time BIGINT NOT NULL DEFAULT 0;

-- A yanked tag is nobody's latest.
DROP INDEX tags_by_time;
CREATE INDEX tags_by_time ON tags (repository, updated, name) WHERE notice < 2;

-- The version of a tag that is a release, so that versions sort; else empty.
ALTER TABLE tags ADD COLUMN release TEXT COLLATE "C" NOT NULL DEFAULT '';

CREATE INDEX tags_by_release ON tags (repository, release DESC, name) WHERE release <> '' AND notice < 2;

-- day: midnight UTC
CREATE TABLE downloads (
    manifest BIGINT NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    day      BIGINT NOT NULL,
    count    BIGINT NOT NULL,
    PRIMARY KEY (manifest, day)
);

-- The sums of downloads, apart from manifests, whose rows hold their content.
CREATE TABLE download_totals (
    manifest BIGINT PRIMARY KEY REFERENCES manifests (id) ON DELETE CASCADE,
    count    BIGINT NOT NULL
);

INSERT INTO state (name, value) VALUES ('policy_revision', 0), ('last_decision', 0), ('last_event', 0);

-- All versions. The last one of a name is current unless it is deleted.
CREATE TABLE policies (
    name     TEXT COLLATE "C" NOT NULL,
    version  BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    author   TEXT COLLATE "C" NOT NULL,
    created  BIGINT NOT NULL,
    deleted  BIGINT NOT NULL, -- 1 for yes
    source   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (name, version)
);

-- In approvals, decisions, quarantine and events repositories go by name: what
-- was refused may be the first that anyone pushed to one.
CREATE TABLE approvals (
    repository TEXT COLLATE "C" NOT NULL,
    digest     TEXT COLLATE "C" NOT NULL,
    rule       TEXT COLLATE "C" NOT NULL,
    revision   BIGINT NOT NULL,
    approver   TEXT COLLATE "C" NOT NULL,
    reason     TEXT COLLATE "C" NOT NULL,
    time       BIGINT NOT NULL,
    PRIMARY KEY (repository, digest, rule)
);

CREATE TABLE decisions (
    id         BIGINT PRIMARY KEY,
    time       BIGINT NOT NULL,
    repository TEXT COLLATE "C" NOT NULL,
    digest     TEXT COLLATE "C" NOT NULL,
    tags       TEXT COLLATE "C" NOT NULL, -- with a space between
    action     TEXT COLLATE "C" NOT NULL,
    principal  TEXT COLLATE "C" NOT NULL,
    outcome    BIGINT NOT NULL,
    revision   BIGINT NOT NULL,
    violations BYTEA NOT NULL -- a JSON array, or empty
);

CREATE INDEX decisions_by_repository ON decisions (repository, id);
CREATE INDEX decisions_by_digest ON decisions (digest, id);

CREATE TABLE quarantine (
    repository TEXT COLLATE "C" NOT NULL,
    digest     TEXT COLLATE "C" NOT NULL,
    media_type TEXT COLLATE "C" NOT NULL,
    blobs      TEXT COLLATE "C" NOT NULL, -- digests with a space between
    tags       TEXT COLLATE "C" NOT NULL, -- likewise
    uploader   TEXT COLLATE "C" NOT NULL,
    decision   BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    until      BIGINT NOT NULL,
    content    BYTEA NOT NULL,
    UNIQUE (repository, digest)
);

CREATE INDEX quarantine_by_time ON quarantine (until);

-- The lists in quarantine turned round. While a row is here, no collection
-- takes the blob from the repository.
CREATE TABLE quarantine_blobs (
    repository TEXT COLLATE "C" NOT NULL,
    manifest   TEXT COLLATE "C" NOT NULL,
    digest     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (repository, manifest, digest),
    FOREIGN KEY (repository, manifest) REFERENCES quarantine (repository, digest) ON DELETE CASCADE
);

CREATE INDEX quarantine_blobs_by_digest ON quarantine_blobs (repository, digest);

CREATE TABLE events (
    id         BIGINT PRIMARY KEY,
    time       BIGINT NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    repository TEXT COLLATE "C" NOT NULL, -- may be empty
    digest     TEXT COLLATE "C" NOT NULL, -- likewise
    tag        TEXT COLLATE "C" NOT NULL, -- likewise
    actor      TEXT COLLATE "C" NOT NULL,
    detail     BYTEA NOT NULL -- JSON, or empty
);
