-- name: trust_revision
SELECT value FROM state WHERE name = 'trust_revision';

-- name: raise_trust_revision
UPDATE state SET value = value + 1 WHERE name = 'trust_revision';

-- name: trust_entries
SELECT name, kind, content, not_before, not_after, author, created FROM trust ORDER BY name;

-- name: count_other_trust
SELECT count(*) FROM trust WHERE name <> ?1;

-- name: put_trust
INSERT INTO trust (name, kind, content, not_before, not_after, author, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT (name) DO UPDATE
SET kind = excluded.kind, content = excluded.content, not_before = excluded.not_before, not_after = excluded.not_after,
    author = excluded.author, created = excluded.created;

-- name: delete_trust
DELETE FROM trust WHERE name = ?1;
