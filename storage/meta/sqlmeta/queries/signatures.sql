-- name: signatures
SELECT s.material, s.carrier, s.layer, s.form, s.predicate_type, s.key_id, s.key_name, s.identity, s.issuer, s.logged, s.time, s.problem,
       s.predicate_size, s.proof, s.predicate
FROM repositories r JOIN manifests m ON m.repository = r.id JOIN signatures s ON s.manifest = m.id
WHERE r.name = ?1 AND m.digest = ?2
ORDER BY s.position;

-- name: has_manifest
SELECT 1 FROM repositories r JOIN manifests m ON m.repository = r.id WHERE r.name = ?1 AND m.digest = ?2;

-- name: delete_signatures
DELETE FROM signatures WHERE manifest = ?1;

-- name: insert_signature
INSERT INTO signatures (manifest, position, material, carrier, layer, form, predicate_type, key_id, key_name, identity, issuer, logged, time,
                        problem, predicate_size, proof, predicate)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17);

-- name: stale_signatures
-- All rows of a manifest are of one material. The two ranges leave out those of
-- the current one, which are nearly all.
SELECT r.name, m.digest FROM repositories r JOIN manifests m ON m.repository = r.id
WHERE (r.name > ?2 OR r.name = ?2 AND m.digest > ?3)
  AND m.id IN (SELECT manifest FROM signatures WHERE material < ?1 UNION SELECT manifest FROM signatures WHERE material > ?1)
ORDER BY r.name, m.digest LIMIT ?4;
