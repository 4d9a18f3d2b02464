-- name: analysis
SELECT facts, created FROM analyses WHERE digest = ?1 AND version = ?2;

-- name: put_analysis
INSERT INTO analyses (digest, version, facts, created) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (digest) DO UPDATE SET version = excluded.version, facts = excluded.facts, created = excluded.created;

-- name: forget_analyses
DELETE FROM analyses WHERE id IN (
    SELECT a.id FROM analyses a
    WHERE a.version < ?1 AND NOT EXISTS (
        SELECT 1 FROM repository_blobs l JOIN manifest_blobs p ON p.repository = l.repository AND p.digest = l.digest
        WHERE l.digest = a.digest)
    ORDER BY a.version, a.digest LIMIT ?2);
