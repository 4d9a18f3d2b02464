-- name: tag
SELECT m.digest, t.updated
FROM repositories r JOIN tags t ON t.repository = r.id JOIN manifests m ON m.id = t.manifest
WHERE r.name = ?1 AND t.name = ?2;

-- name: tags
-- The casts keep SQLite from planning anew for each pair of values that is bound.
SELECT t.name FROM tags t
WHERE t.repository = (SELECT id FROM repositories WHERE name = ?1) AND t.name > CAST(?2 AS TEXT) AND t.notice < 2
ORDER BY t.name LIMIT CAST(?3 AS BIGINT);

-- name: releases
SELECT t.name, m.digest, t.updated FROM tags t JOIN manifests m ON m.id = t.manifest
WHERE t.repository = (SELECT id FROM repositories WHERE name = ?1) AND t.release <> '' AND t.notice < 2
ORDER BY t.release DESC, t.name LIMIT CAST(?2 AS BIGINT);

-- name: manifest_tags
SELECT t.name
FROM repositories r JOIN manifests m ON m.repository = r.id JOIN tags t ON t.manifest = m.id
WHERE r.name = ?1 AND m.digest = ?2
ORDER BY t.name;

-- name: tombstone
SELECT digest FROM tombstones WHERE repository = ?1 AND name = ?2;

-- name: insert_tag
INSERT INTO tags (repository, name, manifest, updated, release) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING;

-- name: move_tag
UPDATE tags SET manifest = ?3, updated = ?4 WHERE repository = ?1 AND name = ?2;

-- name: delete_tag
DELETE FROM tags WHERE repository = ?1 AND name = ?2;

-- name: put_tombstone
INSERT INTO tombstones (repository, name, digest, deleted) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (repository, name) DO UPDATE SET digest = excluded.digest, deleted = excluded.deleted;
