-- name: policy_revision
SELECT value FROM state WHERE name = 'policy_revision';

-- name: set_policy_revision
UPDATE state SET value = CASE WHEN value < ?1 THEN ?1 ELSE value END WHERE name = 'policy_revision';

-- name: policies
SELECT name, version, revision, source, author, created, deleted FROM policies p
WHERE deleted = 0 AND version = (SELECT max(l.version) FROM policies l WHERE l.name = p.name)
ORDER BY name;

-- name: policy_versions
SELECT name, version, revision, source, author, created, deleted FROM policies
WHERE name = ?1 ORDER BY version DESC;

-- name: last_policy
SELECT name, version, revision, source, author, created, deleted FROM policies
WHERE name = ?1 ORDER BY version DESC LIMIT 1;

-- name: insert_policy
INSERT INTO policies (name, version, revision, source, author, created, deleted) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- name: approvals
SELECT repository, digest, rule, approver, reason, time, revision FROM approvals
WHERE repository >= ?1 AND repository < ?2
ORDER BY revision DESC;

-- name: approvals_of_digest
SELECT repository, digest, rule, approver, reason, time, revision FROM approvals
WHERE repository >= ?1 AND repository < ?2 AND digest = ?3
ORDER BY revision DESC;

-- name: put_approval
INSERT INTO approvals (repository, digest, rule, approver, reason, time, revision) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT (repository, digest, rule) DO UPDATE
SET approver = excluded.approver, reason = excluded.reason, time = excluded.time, revision = excluded.revision;

-- name: delete_approval
DELETE FROM approvals WHERE repository = ?1 AND digest = ?2 AND rule = ?3;

-- name: insert_decision
INSERT INTO decisions (id, time, repository, digest, tags, action, principal, outcome, revision, violations)
SELECT 1 + COALESCE((SELECT max(id) FROM decisions), value), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
FROM state WHERE name = 'last_decision'
RETURNING id;

-- name: decisions
-- What is wanted is near the end of the table, which is walked backwards. The
-- concatenation keeps the index by repository out, whose order is another.
SELECT id, time, repository, digest, tags, action, principal, outcome, revision, violations FROM decisions
WHERE id < ?1 AND outcome >= ?2 AND repository || '' >= ?3 AND repository || '' < ?4
ORDER BY id DESC LIMIT ?5;

-- name: decisions_of_repository
SELECT id, time, repository, digest, tags, action, principal, outcome, revision, violations FROM decisions
WHERE id < ?1 AND outcome >= ?2 AND repository = ?3
ORDER BY id DESC LIMIT ?4;

-- name: decisions_of_digest
SELECT id, time, repository, digest, tags, action, principal, outcome, revision, violations FROM decisions
WHERE id < ?1 AND outcome >= ?2 AND repository || '' >= ?3 AND repository || '' < ?4 AND digest = ?5
ORDER BY id DESC LIMIT ?6;

-- name: last_decision
SELECT COALESCE((SELECT max(id) FROM decisions), value) FROM state WHERE name = 'last_decision';

-- name: set_last_decision
UPDATE state SET value = ?1 WHERE name = 'last_decision';

-- name: oldest_decision
SELECT id FROM decisions ORDER BY id LIMIT 1;

-- name: first_decision_since
SELECT id FROM decisions WHERE time >= ?1 ORDER BY id LIMIT 1;

-- name: delete_decisions
DELETE FROM decisions WHERE id < ?1;

-- name: quarantined
SELECT media_type, blobs, tags, uploader, decision, created, until, content FROM quarantine
WHERE repository = ?1 AND digest = ?2 AND until > ?3;

-- name: quarantine
SELECT repository, digest, media_type, blobs, tags, uploader, decision, created, until FROM quarantine
WHERE repository >= ?1 AND repository < ?2 AND (repository, digest) > (?3, ?4) AND until > ?5
ORDER BY repository, digest LIMIT ?6;

-- name: quarantine_holds
SELECT 1 FROM quarantine_blobs b
JOIN quarantine q ON q.repository = b.repository AND q.digest = b.manifest
WHERE b.repository = ?1 AND b.digest = ?2 AND q.until > ?3
LIMIT 1;

-- name: insert_quarantine
INSERT INTO quarantine (repository, digest, media_type, blobs, tags, uploader, decision, created, until, content)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10);

-- name: insert_quarantine_blobs
INSERT INTO quarantine_blobs (repository, manifest, digest)
VALUES (?1, ?2, ?3), (?1, ?2, ?4), (?1, ?2, ?5), (?1, ?2, ?6)
ON CONFLICT DO NOTHING;

-- name: delete_quarantine
DELETE FROM quarantine WHERE repository = ?1 AND digest = ?2;

-- name: delete_quarantine_of_repository
DELETE FROM quarantine WHERE repository = ?1;

-- name: expire_quarantine
DELETE FROM quarantine WHERE until <= ?1;
