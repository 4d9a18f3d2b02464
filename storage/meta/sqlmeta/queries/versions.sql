-- name: version
SELECT t.name, m.digest, t.updated, m.media_type, m.artifact_type, COALESCE(m.subject, ''), m.annotations, m.size, m.created,
    m.verdict, m.ingested, t.notice, t.notice_reason, t.notice_by, t.notice_time, COALESCE(d.count, 0)
FROM repositories r JOIN tags t ON t.repository = r.id JOIN manifests m ON m.id = t.manifest
LEFT JOIN download_totals d ON d.manifest = m.id
WHERE r.name = ?1 AND t.name = ?2;

-- name: versions
SELECT t.name, m.digest, t.updated, m.media_type, m.artifact_type, COALESCE(m.subject, ''), m.annotations, m.size, m.created,
    m.verdict, m.ingested, t.notice, t.notice_reason, t.notice_by, t.notice_time, COALESCE(d.count, 0)
FROM tags t JOIN manifests m ON m.id = t.manifest
LEFT JOIN download_totals d ON d.manifest = m.id
WHERE t.repository = (SELECT id FROM repositories WHERE name = ?1) AND t.name > CAST(?2 AS TEXT)
ORDER BY t.name LIMIT CAST(?3 AS BIGINT);

-- name: tag_notices
SELECT t.name, t.notice FROM tags t
WHERE t.repository = (SELECT id FROM repositories WHERE name = ?1) AND t.name > CAST(?2 AS TEXT)
ORDER BY t.name LIMIT CAST(?3 AS BIGINT);

-- name: set_notice
UPDATE tags SET notice = ?3, notice_reason = ?4, notice_by = ?5, notice_time = ?6 WHERE repository = ?1 AND name = ?2;

-- name: downloads
SELECT m.digest, d.day, d.count
FROM repositories r JOIN manifests m ON m.repository = r.id JOIN downloads d ON d.manifest = m.id
WHERE r.name = ?1 AND d.day >= ?2
ORDER BY d.day, m.digest;

-- name: downloads_of_digest
SELECT m.digest, d.day, d.count
FROM repositories r JOIN manifests m ON m.repository = r.id JOIN downloads d ON d.manifest = m.id
WHERE r.name = ?1 AND d.day >= ?2 AND m.digest = ?3
ORDER BY d.day;

-- name: find_manifest
SELECT m.id FROM repositories r JOIN manifests m ON m.repository = r.id WHERE r.name = ?1 AND m.digest = ?2;

-- name: add_downloads
INSERT INTO downloads (manifest, day, count) VALUES (?1, ?2, ?3)
ON CONFLICT (manifest, day) DO UPDATE SET count = downloads.count + excluded.count;

-- name: add_download_total
INSERT INTO download_totals (manifest, count) VALUES (?1, ?2)
ON CONFLICT (manifest) DO UPDATE SET count = download_totals.count + excluded.count;
