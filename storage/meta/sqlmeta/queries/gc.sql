-- name: untagged_manifests
SELECT m.digest FROM manifests m
WHERE m.repository = (SELECT id FROM repositories WHERE name = ?1)
  AND m.subject IS NULL AND m.digest > ?2 AND m.created < ?3
  AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest = m.id)
  AND NOT EXISTS (SELECT 1 FROM manifest_children c WHERE c.repository = m.repository AND c.digest = m.digest)
ORDER BY m.digest LIMIT ?4;

-- name: manifest_references
SELECT r.id, m.id, m.blobs, m.children
FROM repositories r JOIN manifests m ON m.repository = r.id
WHERE r.name = ?1 AND m.digest = ?2;

-- name: manifest_pins
-- Here and below, by what the manifest lists: an index by manifest would cost each
-- push, and be used by fsck alone.
SELECT digest FROM manifest_blobs WHERE repository = ?1 AND manifest = ?2 AND digest IN (?3, ?4, ?5, ?6);

-- name: manifest_names
SELECT digest FROM manifest_children WHERE repository = ?1 AND manifest = ?2 AND digest IN (?3, ?4, ?5, ?6);
