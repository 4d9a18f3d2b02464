-- name: verdict
SELECT m.verdict, m.verdict_revision, m.verdict_reasons
FROM repositories r JOIN manifests m ON m.repository = r.id
WHERE r.name = ?1 AND m.digest = ?2;

-- name: set_verdict
UPDATE manifests SET verdict = ?3, verdict_revision = ?4, verdict_reasons = ?5
WHERE repository = (SELECT id FROM repositories WHERE name = ?1) AND digest = ?2;

-- name: set_ingested
UPDATE manifests SET ingested = ?3 WHERE repository = (SELECT id FROM repositories WHERE name = ?1) AND digest = ?2;

-- name: blob_admitted
SELECT 1 FROM repositories r JOIN manifest_blobs p ON p.repository = r.id JOIN manifests m ON m.id = p.manifest
WHERE r.name = ?1 AND p.digest = ?2 AND m.verdict <> 3
LIMIT 1;

-- name: unindexed_in
-- Here and below, a plus keeps a column from choosing the index: those by number
-- find repositories, whose rows are then taken in order of digest, unsorted.
SELECT m.digest FROM manifests m
WHERE m.repository = (SELECT id FROM repositories WHERE name = ?1) AND m.digest > ?2 AND +m.ingested < ?3
ORDER BY m.digest LIMIT ?4;

-- name: unindexed_behind
-- CROSS JOIN keeps SQLite at this order of the tables.
SELECT r.name, m.digest FROM repositories r CROSS JOIN manifests m
WHERE m.repository = r.id AND r.name > ?1 AND +m.ingested < ?2
  AND (SELECT min(x.ingested) FROM manifests x WHERE x.repository = r.id) < ?2
ORDER BY r.name, m.digest LIMIT ?3;

-- name: stale_in
SELECT m.digest FROM manifests m
WHERE m.repository = (SELECT id FROM repositories WHERE name = ?1) AND m.digest > ?2 AND +m.verdict_revision < ?3
ORDER BY m.digest LIMIT ?4;

-- name: stale_behind
SELECT r.name, m.digest FROM repositories r CROSS JOIN manifests m
WHERE m.repository = r.id AND r.name > ?1 AND +m.verdict_revision < ?2
  AND (SELECT min(x.verdict_revision) FROM manifests x WHERE x.repository = r.id) < ?2
ORDER BY r.name, m.digest LIMIT ?3;
