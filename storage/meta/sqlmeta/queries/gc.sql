-- name: untagged_manifests
SELECT m.digest FROM manifests m
WHERE m.repository = (SELECT id FROM repositories WHERE name = ?1)
  AND m.subject IS NULL AND m.digest > ?2 AND m.created < ?3
  AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest = m.id)
  AND m.digest NOT IN (
    SELECT c.digest FROM manifests p JOIN manifest_children c ON c.manifest = p.id WHERE p.repository = m.repository)
ORDER BY m.digest LIMIT ?4;

-- name: manifest_pins
SELECT b.digest
FROM repositories r JOIN manifests m ON m.repository = r.id JOIN manifest_blobs b ON b.repository = r.id AND b.manifest = m.id
WHERE r.name = ?1 AND m.digest = ?2
ORDER BY b.digest;

-- name: manifest_names
SELECT c.digest
FROM repositories r JOIN manifests m ON m.repository = r.id JOIN manifest_children c ON c.repository = r.id AND c.manifest = m.id
WHERE r.name = ?1 AND m.digest = ?2
ORDER BY c.digest;
