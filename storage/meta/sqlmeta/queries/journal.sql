-- name: next_sequence
UPDATE state SET value = value + 1 WHERE name = 'journal_written' RETURNING value;

-- name: set_state
UPDATE state SET value = ?2 WHERE name = ?1;

-- name: journal_sequence
SELECT w.value, d.value FROM state w, state d WHERE w.name = 'journal_written' AND d.name = 'journal_done';

-- name: insert_entry
INSERT INTO outbox (sequence, time, records) VALUES (?1, ?2, ?3);

-- name: journal_after
SELECT sequence, time, records FROM outbox WHERE sequence > ?1 ORDER BY sequence LIMIT ?2;

-- name: delete_entries
DELETE FROM outbox WHERE sequence <= ?1;

-- name: has_rows
SELECT 1 WHERE EXISTS (SELECT 1 FROM repositories) OR EXISTS (SELECT 1 FROM blobs)
    OR EXISTS (SELECT 1 FROM tombstones) OR EXISTS (SELECT 1 FROM outbox);

-- name: has_entries
SELECT 1 FROM outbox LIMIT 1;
