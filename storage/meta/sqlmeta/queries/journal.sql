-- name: journal_sequence
SELECT COALESCE((SELECT max(sequence) FROM outbox), value), value FROM state WHERE name = 'journal_done';

-- name: set_journal_done
UPDATE state SET value = ?1 WHERE name = 'journal_done';

-- name: insert_entry
INSERT INTO outbox (sequence, time, records)
SELECT 1 + COALESCE((SELECT max(sequence) FROM outbox), value), ?1, ?2 FROM state WHERE name = 'journal_done';

-- name: journal_after
SELECT sequence, time, records FROM outbox WHERE sequence > ?1 ORDER BY sequence LIMIT ?2;

-- name: delete_entries
DELETE FROM outbox WHERE sequence <= ?1;

-- name: has_rows
SELECT 1 WHERE EXISTS (SELECT 1 FROM repositories) OR EXISTS (SELECT 1 FROM blobs)
    OR EXISTS (SELECT 1 FROM tombstones) OR EXISTS (SELECT 1 FROM policies) OR EXISTS (SELECT 1 FROM approvals)
    OR EXISTS (SELECT 1 FROM trust) OR EXISTS (SELECT 1 FROM outbox);

-- name: has_entries
SELECT 1 FROM outbox LIMIT 1;
