-- name: advisory_revision
SELECT value FROM state WHERE name = 'advisory_revision';

-- name: set_advisory_revision
UPDATE state SET value = ?1 WHERE name = 'advisory_revision';

-- name: advisories_matched
SELECT value FROM state WHERE name = 'advisories_matched';

-- name: set_advisories_matched
UPDATE state SET value = ?1 WHERE name = 'advisories_matched' AND value < ?1;

-- name: advisories_since
SELECT id, name, modified, withdrawn, removed, revision, aliases, packages, body FROM advisories
WHERE revision > ?1 ORDER BY revision LIMIT ?2;

-- name: advisory_row
SELECT id, name, modified, withdrawn, removed, revision, aliases, packages, body FROM advisories WHERE name = ?1;

-- name: advisories_by_name
SELECT id, name, modified, withdrawn, removed, revision, aliases, packages, body FROM advisories WHERE name IN (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27,
    ?28, ?29, ?30, ?31, ?32);

-- name: advisories_by_alias
SELECT a.id, a.name, a.modified, a.withdrawn, a.removed, a.revision, a.aliases, a.packages, a.body
FROM advisory_aliases x JOIN advisories a ON a.id = x.advisory
WHERE x.alias = ?1 ORDER BY a.name LIMIT ?2;

-- name: advisory_refs
WITH wanted (ecosystem, name) AS (VALUES
    (CAST(?1 AS TEXT), CAST(?2 AS TEXT)), (?3, ?4), (?5, ?6), (?7, ?8), (?9, ?10), (?11, ?12), (?13, ?14), (?15, ?16), (?17, ?18),
    (?19, ?20), (?21, ?22), (?23, ?24), (?25, ?26), (?27, ?28), (?29, ?30), (?31, ?32))
SELECT p.ecosystem, p.name, a.name, a.revision
FROM wanted w CROSS JOIN advisory_packages p CROSS JOIN advisories a
WHERE p.ecosystem = w.ecosystem AND p.name = w.name AND a.id = p.advisory;

-- name: advisory_id
SELECT id FROM advisories WHERE name = ?1 AND removed = 0;

-- name: insert_advisory
INSERT INTO advisories (name, modified, withdrawn, removed, revision, aliases, packages, body)
VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7) RETURNING id;

-- name: update_advisory
UPDATE advisories SET modified = ?2, withdrawn = ?3, removed = 0, revision = ?4, aliases = ?5, packages = ?6, body = ?7 WHERE id = ?1;

-- name: set_advisory_removed
UPDATE advisories SET removed = 1, revision = ?2 WHERE id = ?1;

-- name: advisories_to_forget
SELECT id, name, modified, withdrawn, removed, revision, aliases, packages, body FROM advisories
WHERE removed = 1 AND revision <= (SELECT value FROM state WHERE name = 'advisories_matched') ORDER BY revision LIMIT ?1;

-- name: delete_advisory
DELETE FROM advisories WHERE id = ?1;

-- name: insert_alias
INSERT INTO advisory_aliases (advisory, alias) VALUES (?1, ?2);

-- name: delete_alias
DELETE FROM advisory_aliases WHERE advisory = ?1 AND alias = ?2;

-- name: insert_advisory_package
INSERT INTO advisory_packages (advisory, ecosystem, name) VALUES (?1, ?2, ?3);

-- name: delete_advisory_package
DELETE FROM advisory_packages WHERE advisory = ?1 AND ecosystem = ?2 AND name = ?3;

-- name: feeds
SELECT source, etag, digest, attempted, imported, advisories, refused, newest, error FROM feeds ORDER BY source;

-- name: feed_id
SELECT id FROM feeds WHERE source = ?1;

-- name: put_feed
INSERT INTO feeds (source, etag, digest, attempted, imported, advisories, refused, newest, error)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (source) DO UPDATE SET etag = excluded.etag, digest = excluded.digest, attempted = excluded.attempted,
    imported = excluded.imported, advisories = excluded.advisories, refused = excluded.refused, newest = excluded.newest,
    error = excluded.error
RETURNING id;

-- name: delete_feed
DELETE FROM feeds WHERE id = ?1;

-- name: feed_advisories
SELECT a.name, a.digest FROM feeds f JOIN feed_advisories a ON a.feed = f.id
WHERE f.source = ?1 AND a.name > ?2 ORDER BY a.name LIMIT ?3;

-- name: has_feed_advisories
SELECT 1 FROM feed_advisories WHERE feed = ?1 LIMIT 1;

-- name: put_feed_advisory
INSERT INTO feed_advisories (feed, name, digest) VALUES (?1, ?2, ?3)
ON CONFLICT (feed, name) DO UPDATE SET digest = excluded.digest WHERE excluded.digest <> feed_advisories.digest;

-- name: delete_feed_advisory
DELETE FROM feed_advisories WHERE feed = ?1 AND name = ?2;

-- name: advisory_held
SELECT 1 FROM feed_advisories WHERE name = ?1 LIMIT 1;
