-- name: component_file
SELECT id, version, coordinates FROM component_files WHERE digest = ?1;

-- name: insert_component_file
INSERT INTO component_files (digest, version, coordinates) VALUES (?1, ?2, ?3) RETURNING id;

-- name: update_component_file
UPDATE component_files SET version = ?2, coordinates = ?3 WHERE id = ?1;

-- name: delete_component_file
DELETE FROM component_files WHERE id = ?1;

-- name: component_files_to_forget
SELECT f.digest FROM component_files f
WHERE f.version < ?1 AND NOT EXISTS (
    SELECT 1 FROM repository_blobs l JOIN manifest_blobs p ON p.repository = l.repository AND p.digest = l.digest
    WHERE l.digest = f.digest)
ORDER BY f.version, f.digest LIMIT ?2;

-- name: coordinates_by_hash
SELECT id, hash FROM coordinates WHERE hash IN (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27,
    ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47, ?48, ?49, ?50, ?51, ?52,
    ?53, ?54, ?55, ?56, ?57, ?58, ?59, ?60, ?61, ?62, ?63, ?64);

-- name: coordinates_by_id
SELECT id, ecosystem, name, version, class, part, key FROM coordinates WHERE id IN (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27,
    ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47, ?48, ?49, ?50, ?51, ?52,
    ?53, ?54, ?55, ?56, ?57, ?58, ?59, ?60, ?61, ?62, ?63, ?64);

-- name: insert_coordinate
INSERT INTO coordinates (hash, ecosystem, name, version, class, part, key) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- name: insert_coordinates
INSERT INTO coordinates (hash, ecosystem, name, version, class, part, key) VALUES
    (?1, ?2, ?3, ?4, ?5, ?6, ?7), (?8, ?9, ?10, ?11, ?12, ?13, ?14), (?15, ?16, ?17, ?18, ?19, ?20, ?21),
    (?22, ?23, ?24, ?25, ?26, ?27, ?28), (?29, ?30, ?31, ?32, ?33, ?34, ?35), (?36, ?37, ?38, ?39, ?40, ?41, ?42),
    (?43, ?44, ?45, ?46, ?47, ?48, ?49), (?50, ?51, ?52, ?53, ?54, ?55, ?56);

-- name: delete_unused_coordinates
DELETE FROM coordinates WHERE id IN (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27,
    ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47, ?48, ?49, ?50, ?51, ?52,
    ?53, ?54, ?55, ?56, ?57, ?58, ?59, ?60, ?61, ?62, ?63, ?64)
  AND NOT EXISTS (SELECT 1 FROM component_postings p WHERE p.coordinate = coordinates.id);

-- name: coordinates_in_range
SELECT id, version, class, part, key FROM coordinates
WHERE ecosystem = ?1 AND name = ?2 AND key >= ?3 AND key < ?4 AND (?5 = '' OR class = ?5);

-- name: component_postings_in
SELECT coordinate, files FROM component_postings WHERE segment = ?1 AND coordinate IN (
    ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28,
    ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47, ?48, ?49, ?50, ?51, ?52, ?53,
    ?54, ?55, ?56, ?57, ?58, ?59, ?60, ?61, ?62, ?63, ?64, ?65);

-- name: component_postings_of
SELECT coordinate, segment, files FROM component_postings WHERE segment >= ?1 AND coordinate IN (
    ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28,
    ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47, ?48, ?49, ?50, ?51, ?52, ?53,
    ?54, ?55, ?56, ?57, ?58, ?59, ?60, ?61, ?62, ?63, ?64, ?65);

-- name: put_component_posting
INSERT INTO component_postings (segment, coordinate, files) VALUES (?1, ?2, ?3)
ON CONFLICT (coordinate, segment) DO UPDATE SET files = excluded.files;

-- name: put_component_postings
INSERT INTO component_postings (segment, coordinate, files) VALUES
    (?1, ?2, ?3), (?1, ?4, ?5), (?1, ?6, ?7), (?1, ?8, ?9), (?1, ?10, ?11), (?1, ?12, ?13), (?1, ?14, ?15), (?1, ?16, ?17),
    (?1, ?18, ?19), (?1, ?20, ?21), (?1, ?22, ?23), (?1, ?24, ?25), (?1, ?26, ?27), (?1, ?28, ?29), (?1, ?30, ?31), (?1, ?32, ?33)
ON CONFLICT (coordinate, segment) DO UPDATE SET files = excluded.files;

-- name: delete_component_postings
DELETE FROM component_postings WHERE segment = ?1 AND coordinate IN (
    ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28,
    ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47, ?48, ?49, ?50, ?51, ?52, ?53,
    ?54, ?55, ?56, ?57, ?58, ?59, ?60, ?61, ?62, ?63, ?64, ?65);

-- name: component_files_by_id
SELECT id, digest, coordinates FROM component_files WHERE id IN (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27,
    ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47, ?48, ?49, ?50, ?51, ?52,
    ?53, ?54, ?55, ?56, ?57, ?58, ?59, ?60, ?61, ?62, ?63, ?64);

-- name: file_uses
-- The first part is by itself, so that PostgreSQL does not begin with all that the
-- repositories hold, of whose names it thinks that few are in the span. CROSS JOIN
-- keeps SQLite at this order of the tables.
WITH pins (file, digest, repository, manifest) AS MATERIALIZED (
    SELECT f.id, f.digest, p.repository, p.manifest
    FROM component_files f CROSS JOIN repository_blobs l CROSS JOIN manifest_blobs p
    WHERE f.id IN (
    ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32,
    ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47, ?48, ?49, ?50, ?51, ?52, ?53, ?54, ?55, ?56, ?57,
    ?58, ?59, ?60, ?61, ?62, ?63, ?64, ?65, ?66, ?67, ?68, ?69, ?70)
      AND l.digest = f.digest AND p.repository = l.repository AND p.digest = l.digest)
SELECT p.file, r.name, m.digest, p.digest
FROM pins p CROSS JOIN repositories r CROSS JOIN manifests m
WHERE r.id = p.repository AND r.name >= ?1 AND r.name < ?2 AND m.id = p.manifest
  AND (p.file, r.name, m.digest) > (?3, ?4, ?5)
ORDER BY p.file, r.name, m.digest LIMIT ?6;

-- name: file_findings
SELECT a.name, a.id, d.coordinate, d.reach, d.severity, d.ruled_out, d.seen
FROM component_files f JOIN findings d ON d.file = f.id JOIN advisories a ON a.id = d.advisory
WHERE f.digest = ?1;

-- name: file_findings_of_advisory
SELECT a.name, a.id, d.coordinate, d.reach, d.severity, d.ruled_out, d.seen
FROM component_files f JOIN findings d ON d.file = f.id JOIN advisories a ON a.id = d.advisory
WHERE f.digest = ?1 AND a.name = ?2;

-- name: all_component_files
SELECT id, digest FROM component_files WHERE id > ?1 ORDER BY id LIMIT ?2;

-- name: count_component_files
SELECT count(*) FROM (SELECT 1 FROM component_files LIMIT ?1) AS listed;

-- name: named_finding_files
WITH named (id) AS (
    SELECT id FROM advisories WHERE name IN (
        ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28,
        ?29, ?30, ?31, ?32, ?33, ?34)
    UNION SELECT advisory FROM advisory_aliases WHERE alias IN (
        ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28,
        ?29, ?30, ?31, ?32, ?33, ?34))
SELECT DISTINCT d.file, f.digest
FROM named a CROSS JOIN findings d CROSS JOIN component_files f
WHERE d.advisory = a.id AND d.file > ?1 AND f.id = d.file ORDER BY d.file LIMIT ?2;

-- name: finding_files
SELECT DISTINCT d.file, f.digest
FROM advisories a JOIN findings d ON d.advisory = a.id JOIN component_files f ON f.id = d.file
WHERE a.name = ?1 AND d.file > ?2 ORDER BY d.file LIMIT ?3;

-- name: finding_counts
SELECT d.reach, d.ruled_out, d.severity, count(*)
FROM component_files f JOIN findings d ON d.file = f.id
WHERE f.digest IN (?1, ?2, ?3, ?4) GROUP BY d.reach, d.ruled_out, d.severity;

-- name: put_finding
INSERT INTO findings (file, advisory, coordinate, reach, severity, ruled_out, seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT (file, advisory, coordinate) DO UPDATE
SET reach = excluded.reach, severity = excluded.severity, ruled_out = excluded.ruled_out, seen = excluded.seen;

-- name: delete_finding
DELETE FROM findings WHERE file = ?1 AND advisory = ?2 AND coordinate = ?3;

-- name: delete_component_findings
DELETE FROM findings WHERE file = ?1 AND coordinate IN (
    ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28,
    ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47, ?48, ?49, ?50, ?51, ?52, ?53,
    ?54, ?55, ?56, ?57, ?58, ?59, ?60, ?61, ?62, ?63, ?64, ?65);
