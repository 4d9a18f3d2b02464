-- name: manifest
SELECT m.media_type, m.content, m.created, m.verdict, m.ingested
FROM repositories r JOIN manifests m ON m.repository = r.id
WHERE r.name = ?1 AND m.digest = ?2;

-- name: tagged_manifest
SELECT m.digest, m.media_type, m.content, m.created, m.verdict, m.ingested
FROM repositories r JOIN tags t ON t.repository = r.id JOIN manifests m ON m.id = t.manifest
WHERE r.name = ?1 AND t.name = ?2;

-- name: manifest_id
SELECT id FROM manifests WHERE repository = ?1 AND digest = ?2;

-- name: manifest_lists
SELECT id, blobs, children FROM manifests WHERE repository = ?1 AND digest = ?2;

-- name: manifests
SELECT m.digest FROM manifests m
WHERE m.repository = (SELECT id FROM repositories WHERE name = ?1) AND m.digest > ?2
ORDER BY m.digest LIMIT ?3;

-- name: referrers
SELECT m.digest, m.media_type, m.size, m.artifact_type, m.annotations FROM manifests m
WHERE m.repository = (SELECT id FROM repositories WHERE name = ?1)
  AND m.subject = ?2 AND m.digest > ?4 AND (?3 = '' OR m.artifact_type = ?3)
ORDER BY m.digest LIMIT ?5;

-- name: orphan_referrers
SELECT m.digest FROM manifests m
WHERE m.repository = (SELECT id FROM repositories WHERE name = ?1)
  AND m.subject IS NOT NULL AND m.digest > ?2 AND m.created < ?3
  AND NOT EXISTS (SELECT 1 FROM manifests s WHERE s.repository = m.repository AND s.digest = m.subject)
ORDER BY m.digest LIMIT ?4;

-- name: held_manifests
SELECT m.digest FROM manifests m
WHERE m.repository = (SELECT id FROM repositories WHERE name = ?1)
  AND m.digest IN (?2, ?3, ?4, ?5);

-- name: insert_manifest
INSERT INTO manifests
    (repository, digest, media_type, artifact_type, subject, annotations, size, blobs, children, created, content)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
ON CONFLICT (repository, digest) DO NOTHING RETURNING id;

-- name: pin_blobs
INSERT INTO manifest_blobs (repository, manifest, digest) VALUES (?1, ?2, ?3), (?1, ?2, ?4), (?1, ?2, ?5), (?1, ?2, ?6)
ON CONFLICT DO NOTHING;

-- name: unpin_blobs
DELETE FROM manifest_blobs WHERE repository = ?1 AND manifest = ?2 AND digest IN (?3, ?4, ?5, ?6);

-- name: insert_children
INSERT INTO manifest_children (repository, manifest, digest) VALUES (?1, ?2, ?3), (?1, ?2, ?4), (?1, ?2, ?5), (?1, ?2, ?6)
ON CONFLICT DO NOTHING;

-- name: delete_children
DELETE FROM manifest_children WHERE repository = ?1 AND manifest = ?2 AND digest IN (?3, ?4, ?5, ?6);

-- name: delete_manifest
DELETE FROM manifests WHERE id = ?1;
