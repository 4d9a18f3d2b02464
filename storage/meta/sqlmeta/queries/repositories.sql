-- name: repository_id
SELECT id FROM repositories WHERE name = ?1;

-- name: repository
SELECT created FROM repositories WHERE name = ?1;

-- name: insert_repository
INSERT INTO repositories (name, created, updated) VALUES (?1, ?2, ?2) RETURNING id;

-- name: touch_repository
UPDATE repositories
SET tags = tags + ?2, updated = CASE WHEN updated < ?3 THEN ?3 ELSE updated END
WHERE id = ?1;

-- name: delete_repository
DELETE FROM repositories WHERE id = ?1;

-- name: repositories
SELECT name FROM repositories WHERE name >= ?1 AND name < ?2 ORDER BY name LIMIT ?3;

-- name: packages
SELECT r.name, r.tags, r.updated, COALESCE(t.name, ''), COALESCE(m.digest, ''), COALESCE(t.updated, 0)
FROM (SELECT id, name, tags, updated FROM repositories WHERE name >= ?1 AND name < ?2 ORDER BY name LIMIT ?3) r
LEFT JOIN tags t ON t.repository = r.id AND t.name = (
    SELECT l.name FROM tags l WHERE l.repository = r.id AND l.notice < 2 ORDER BY l.updated DESC, l.name DESC LIMIT 1)
LEFT JOIN manifests m ON m.id = t.manifest
ORDER BY r.name;

-- name: miscounted
SELECT r.name FROM repositories r WHERE r.tags <> (SELECT count(*) FROM tags t WHERE t.repository = r.id) LIMIT 1;
