-- name: blob
SELECT b.generation, b.size, b.since, l.uploader
FROM repositories r JOIN repository_blobs l ON l.repository = r.id JOIN blobs b ON b.digest = l.digest
WHERE r.name = ?1 AND l.digest = ?2 AND b.state = 0;

-- name: find_blob
SELECT generation, size, state, since FROM blobs WHERE digest = ?1;

-- name: blob_holder
SELECT r.name
FROM blobs b JOIN repository_blobs l ON l.digest = b.digest JOIN repositories r ON r.id = l.repository
WHERE b.digest = ?1 AND b.state = 0 AND r.name >= ?2 AND r.name < ?3
LIMIT 1;

-- name: blob_sizes
SELECT l.digest, b.size FROM repository_blobs l JOIN blobs b ON b.digest = l.digest
WHERE l.repository = (SELECT id FROM repositories WHERE name = ?1) AND b.state = 0
  AND l.digest IN (?2, ?3, ?4, ?5);

-- name: blobs
SELECT digest, generation, size, state, since FROM blobs WHERE digest > ?1 ORDER BY digest LIMIT ?2;

-- name: unheld_blobs
SELECT b.digest, b.generation, b.size, b.state, b.since FROM blobs b
WHERE b.digest > ?1 AND b.state = 0
  AND NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.digest = b.digest)
ORDER BY b.digest LIMIT ?2;

-- name: unused_blobs
SELECT l.digest FROM repository_blobs l
WHERE l.repository = (SELECT id FROM repositories WHERE name = ?1) AND l.digest > ?2 AND l.created < ?3
  AND NOT EXISTS (SELECT 1 FROM manifest_blobs p WHERE p.repository = l.repository AND p.digest = l.digest)
  AND NOT EXISTS (SELECT 1 FROM quarantine_blobs q WHERE q.repository = ?1 AND q.digest = l.digest)
ORDER BY l.digest LIMIT ?4;

-- name: put_blob
INSERT INTO blobs (digest, generation, size, state, since) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (digest) DO UPDATE
SET generation = excluded.generation, size = excluded.size, state = excluded.state, since = excluded.since;

-- name: link_blob
INSERT INTO repository_blobs (repository, digest, created, uploader) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (repository, digest) DO UPDATE SET uploader = excluded.uploader,
    created = CASE WHEN excluded.created > repository_blobs.created THEN excluded.created ELSE repository_blobs.created END
WHERE excluded.created > repository_blobs.created OR excluded.uploader <> repository_blobs.uploader;

-- name: blob_pinned
SELECT 1 FROM manifest_blobs WHERE repository = ?1 AND digest = ?2 LIMIT 1;

-- name: blob_quarantined
SELECT 1 FROM quarantine_blobs WHERE repository = ?1 AND digest = ?2 LIMIT 1;

-- name: blob_pins
-- CROSS JOIN keeps SQLite at this order of the tables.
SELECT r.name, m.digest
FROM repository_blobs l CROSS JOIN manifest_blobs p CROSS JOIN repositories r CROSS JOIN manifests m
WHERE l.digest = ?1 AND p.repository = l.repository AND p.digest = l.digest AND r.id = p.repository AND m.id = p.manifest
  AND (r.name, m.digest) > (?2, ?3)
ORDER BY r.name, m.digest LIMIT ?4;

-- name: unlink_blob
DELETE FROM repository_blobs WHERE repository = ?1 AND digest = ?2;

-- name: blob_held
SELECT 1 FROM repository_blobs WHERE digest = ?1 LIMIT 1;

-- name: set_blob_state
UPDATE blobs SET state = ?4, since = ?5 WHERE digest = ?1 AND generation = ?2 AND state = ?3;

-- name: delete_blob
DELETE FROM blobs WHERE digest = ?1 AND generation = ?2 AND state = ?3;
