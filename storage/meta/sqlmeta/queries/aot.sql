-- name: aot_job
SELECT j.id, r.name, m.digest, j.source, j.size, j.target, j.runtime, j.profile, j.requester, j.due, j.state, j.attempts,
       COALESCE(j.lease, ''), j.principal, j.worker, j.since, j.until, j.failure, COALESCE(o.digest, ''), j.created, j.updated
FROM aot_jobs j JOIN manifests m ON m.id = j.manifest JOIN repositories r ON r.id = m.repository LEFT JOIN manifests o ON o.id = j.result
WHERE j.id = ?1;

-- name: aot_jobs
SELECT j.id, r.name, m.digest, j.source, j.size, j.target, j.runtime, j.profile, j.requester, j.due, j.state, j.attempts,
       COALESCE(j.lease, ''), j.principal, j.worker, j.since, j.until, j.failure, COALESCE(o.digest, ''), j.created, j.updated
FROM aot_jobs j JOIN manifests m ON m.id = j.manifest JOIN repositories r ON r.id = m.repository LEFT JOIN manifests o ON o.id = j.result
WHERE j.id > ?1 AND (?2 = '' OR r.name = ?2) AND (?3 = '' OR j.target = ?3) AND j.state IN (?4, ?5, ?6, ?7)
ORDER BY j.id LIMIT ?8;

-- name: aot_jobs_of
SELECT j.id, r.name, m.digest, j.source, j.size, j.target, j.runtime, j.profile, j.requester, j.due, j.state, j.attempts,
       COALESCE(j.lease, ''), j.principal, j.worker, j.since, j.until, j.failure, COALESCE(o.digest, ''), j.created, j.updated
FROM repositories r JOIN manifests m ON m.repository = r.id JOIN aot_jobs j ON j.manifest = m.id LEFT JOIN manifests o ON o.id = j.result
WHERE r.name = ?1 AND m.digest = ?2
ORDER BY j.runtime, j.target, j.profile;

-- name: aot_lease
SELECT j.id, r.name, m.digest, j.source, j.size, j.target, j.runtime, j.profile, j.requester, j.due, j.state, j.attempts,
       COALESCE(j.lease, ''), j.principal, j.worker, j.since, j.until, j.failure, COALESCE(o.digest, ''), j.created, j.updated
FROM aot_jobs j JOIN manifests m ON m.id = j.manifest JOIN repositories r ON r.id = m.repository LEFT JOIN manifests o ON o.id = j.result
WHERE j.lease = ?1;

-- name: aot_expired
SELECT j.id, r.name, m.digest, j.source, j.size, j.target, j.runtime, j.profile, j.requester, j.due, j.state, j.attempts,
       COALESCE(j.lease, ''), j.principal, j.worker, j.since, j.until, j.failure, COALESCE(o.digest, ''), j.created, j.updated
FROM aot_jobs j JOIN manifests m ON m.id = j.manifest JOIN repositories r ON r.id = m.repository LEFT JOIN manifests o ON o.id = j.result
WHERE j.state = 1 AND j.until < ?1
ORDER BY j.until, j.id LIMIT ?2;

-- name: aot_leased_to
-- The leases in force are few: no more than there are workers.
SELECT 1 FROM aot_jobs j JOIN manifests m ON m.id = j.manifest JOIN repositories r ON r.id = m.repository
WHERE j.state = 1 AND j.until >= ?3 AND j.principal = ?1 AND (?2 = '' OR r.name = ?2)
LIMIT 1;

-- name: aot_turn
-- The namespace whose turn it is, of those with a job that is due.
SELECT q.namespace, q.turn FROM aot_queues q
WHERE q.runtime = ?1 AND q.target = ?2 AND EXISTS (
    SELECT 1 FROM aot_jobs j
    WHERE j.state = 0 AND j.runtime = q.runtime AND j.target = q.target AND j.namespace = q.namespace AND j.profile = ?3 AND j.due <= ?4)
ORDER BY q.turn, q.namespace LIMIT 1;

-- name: aot_next
SELECT id FROM aot_jobs
WHERE state = 0 AND runtime = ?1 AND target = ?2 AND namespace = ?3 AND profile = ?4 AND due <= ?5
ORDER BY due, id LIMIT 1;

-- name: aot_take_turn
UPDATE aot_queues SET turn = (SELECT max(turn) + 1 FROM aot_queues) WHERE runtime = ?1 AND target = ?2 AND namespace = ?3;

-- name: lease_aot
UPDATE aot_jobs SET state = 1, attempts = attempts + 1, lease = ?2, principal = ?3, worker = ?4, until = ?5, since = ?6,
                    updated = ?6
WHERE id = ?1;

-- name: aot_counts
SELECT runtime, target, state, count(*), min(created) FROM aot_jobs WHERE state <> 2
GROUP BY runtime, target, state ORDER BY runtime, target, state;

-- name: aot_id
SELECT id, state FROM aot_jobs WHERE manifest = ?1 AND runtime = ?2 AND target = ?3 AND profile = ?4;

-- name: insert_aot
INSERT INTO aot_jobs (manifest, namespace, source, size, target, runtime, profile, requester, state, due, attempts, lease, principal, worker,
                      since, until, failure, created, updated)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, 0, NULL, '', '', 0, 0, '', ?10, ?10)
RETURNING id;

-- name: enqueue_aot
UPDATE aot_jobs SET state = 0, lease = NULL, due = ?2, requester = ?3, attempts = 0, failure = '', created = ?4, updated = ?4 WHERE id = ?1;

-- name: insert_aot_queue
INSERT INTO aot_queues (runtime, target, namespace, turn) VALUES (?1, ?2, ?3, 0) ON CONFLICT (runtime, target, namespace) DO NOTHING;

-- name: extend_aot
UPDATE aot_jobs SET until = ?2, updated = ?3 WHERE lease = ?1 AND state = 1;

-- name: finish_aot
UPDATE aot_jobs SET state = 2, since = 0, until = 0, failure = '', result = ?2, updated = ?3 WHERE lease = ?1 AND state = 1;

-- name: retry_aot
UPDATE aot_jobs SET state = 0, lease = NULL, since = 0, until = 0, due = ?2, failure = ?3, updated = ?4 WHERE lease = ?1 AND state = 1;

-- name: fail_aot
UPDATE aot_jobs SET state = 3, lease = NULL, since = 0, until = 0, failure = ?2, updated = ?3 WHERE lease = ?1 AND state = 1;

-- name: drop_aot
DELETE FROM aot_jobs WHERE id = ?1 AND state IN (0, 3) AND result IS NULL;

-- name: aot_rules
SELECT text FROM aot_rules;

-- name: set_aot_rules
UPDATE aot_rules SET text = ?1;

-- name: aot_workers
SELECT principal, name, runtime, version, profile, offers, seen FROM aot_workers
WHERE principal > ?1 OR principal = ?1 AND name > ?2
ORDER BY principal, name LIMIT ?3;

-- name: count_other_aot_workers
SELECT count(*) FROM aot_workers WHERE NOT (principal = ?1 AND name = ?2);

-- name: put_aot_worker
INSERT INTO aot_workers (principal, name, runtime, version, profile, offers, seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT (principal, name) DO UPDATE SET
    runtime = excluded.runtime, version = excluded.version, profile = excluded.profile, offers = excluded.offers, seen = excluded.seen;

-- name: forget_aot_workers
DELETE FROM aot_workers WHERE seen < ?1;

-- name: forget_aot_queues
-- Two questions, so that each has its index. What failed enters the queue anew.
DELETE FROM aot_queues WHERE NOT EXISTS (
    SELECT 1 FROM aot_jobs j
    WHERE j.state = 0 AND j.runtime = aot_queues.runtime AND j.target = aot_queues.target AND j.namespace = aot_queues.namespace)
AND NOT EXISTS (
    SELECT 1 FROM aot_jobs j
    WHERE j.state = 1 AND j.runtime = aot_queues.runtime AND j.target = aot_queues.target AND j.namespace = aot_queues.namespace);
