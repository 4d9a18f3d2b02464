-- Each of these lists one kind of row in an order that depends on nothing but
-- the rows.

-- name: dump_repositories
SELECT name, created, updated FROM repositories ORDER BY name;

-- name: dump_blobs
SELECT digest, generation, size, state, since FROM blobs ORDER BY digest;

-- name: dump_links
SELECT r.name, l.digest, l.created, l.uploader
FROM repositories r JOIN repository_blobs l ON l.repository = r.id
ORDER BY r.name, l.digest;

-- name: dump_manifests
SELECT r.name, m.digest, m.created, m.media_type, m.artifact_type, m.content, m.annotations, COALESCE(m.subject, ''),
    m.blobs, m.children
FROM repositories r JOIN manifests m ON m.repository = r.id
ORDER BY r.name, m.digest;

-- name: dump_tags
SELECT r.name, t.name, m.digest, t.updated, t.notice, t.notice_reason, t.notice_by, t.notice_time
FROM repositories r JOIN tags t ON t.repository = r.id JOIN manifests m ON m.id = t.manifest
ORDER BY r.name, t.name;

-- name: dump_tombstones
SELECT repository, name, digest, deleted FROM tombstones ORDER BY repository, name;

-- name: dump_policies
SELECT name, version, revision, source, author, created, deleted FROM policies ORDER BY name, version;

-- name: dump_approvals
SELECT repository, digest, rule, approver, reason, time, revision FROM approvals ORDER BY repository, digest, rule;

-- name: dump_revision
SELECT value FROM state WHERE name = 'policy_revision' AND value > 0;

-- name: load_repository
INSERT INTO repositories (name, created, updated) VALUES (?1, ?2, ?3);

-- name: load_link
INSERT INTO repository_blobs (repository, digest, created, uploader)
VALUES ((SELECT id FROM repositories WHERE name = ?1), ?2, ?3, ?4);
