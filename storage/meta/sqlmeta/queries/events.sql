-- name: insert_event
INSERT INTO events (id, time, kind, repository, digest, tag, actor, detail)
SELECT 1 + COALESCE((SELECT max(id) FROM events), value), ?1, ?2, ?3, ?4, ?5, ?6, ?7
FROM state WHERE name = 'last_event';

-- name: events_after
SELECT id, time, kind, repository, digest, tag, actor, detail FROM events
WHERE id > ?1 AND repository >= ?2 AND repository < ?3
ORDER BY id LIMIT ?4;

-- name: last_event
SELECT COALESCE((SELECT max(id) FROM events), value) FROM state WHERE name = 'last_event';

-- name: set_last_event
UPDATE state SET value = ?1 WHERE name = 'last_event';

-- name: oldest_event
SELECT id FROM events ORDER BY id LIMIT 1;

-- name: first_event_since
SELECT id FROM events WHERE time >= ?1 ORDER BY id LIMIT 1;

-- name: delete_events
DELETE FROM events WHERE id < ?1;
