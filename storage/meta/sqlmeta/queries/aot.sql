-- name: aot_job
-- What a job is of is looked up for each row that is returned, so that no plan
-- begins with all manifests. Here and below.
SELECT j.id, (SELECT r.name FROM repositories r WHERE r.id = j.repository), (SELECT m.digest FROM manifests m WHERE m.id = j.manifest),
       j.source, j.size, j.target, j.runtime, j.profile, j.requester, j.due, j.state, j.attempts,
       COALESCE(j.lease, ''), j.principal, j.worker, j.since, j.until, j.failure,
       COALESCE((SELECT o.digest FROM manifests o WHERE o.id = j.result), ''), j.created, j.updated
FROM aot_jobs j
WHERE j.id = ?1;

-- name: aot_jobs_in
-- A page begins where the index says: for PostgreSQL by the row of state and id, for
-- SQLite by the id. The cast and the list of one state keep PostgreSQL from reading
-- the table in its own order, and all jobs to find the few that failed.
SELECT j.id, (SELECT r.name FROM repositories r WHERE r.id = j.repository), (SELECT m.digest FROM manifests m WHERE m.id = j.manifest),
       j.source, j.size, j.target, j.runtime, j.profile, j.requester, j.due, j.state, j.attempts,
       COALESCE(j.lease, ''), j.principal, j.worker, j.since, j.until, j.failure,
       COALESCE((SELECT o.digest FROM manifests o WHERE o.id = j.result), ''), j.created, j.updated
FROM aot_jobs j
WHERE (j.state, j.id) > (?1, ?2) AND j.state IN (?1, ?1) AND j.id > CAST(?2 AS NUMERIC)
ORDER BY j.state, j.id LIMIT ?3;

-- name: aot_jobs_for_target
SELECT j.id, (SELECT r.name FROM repositories r WHERE r.id = j.repository), (SELECT m.digest FROM manifests m WHERE m.id = j.manifest),
       j.source, j.size, j.target, j.runtime, j.profile, j.requester, j.due, j.state, j.attempts,
       COALESCE(j.lease, ''), j.principal, j.worker, j.since, j.until, j.failure,
       COALESCE((SELECT o.digest FROM manifests o WHERE o.id = j.result), ''), j.created, j.updated
FROM aot_jobs j
WHERE j.target = ?4 AND (j.state, j.id) > (?1, ?2) AND j.state = ?1 AND j.id > CAST(?2 AS NUMERIC)
ORDER BY j.id LIMIT ?3;

-- name: aot_jobs_of_repository
-- The targets of one manifest are few, and so are the jobs that ?5 leaves out.
SELECT j.id, (SELECT r.name FROM repositories r WHERE r.id = j.repository), (SELECT m.digest FROM manifests m WHERE m.id = j.manifest),
       j.source, j.size, j.target, j.runtime, j.profile, j.requester, j.due, j.state, j.attempts,
       COALESCE(j.lease, ''), j.principal, j.worker, j.since, j.until, j.failure,
       COALESCE((SELECT o.digest FROM manifests o WHERE o.id = j.result), ''), j.created, j.updated
FROM aot_jobs j
WHERE j.repository = (SELECT id FROM repositories WHERE name = ?4) AND (?5 = '' OR j.target = ?5)
  AND (j.state, j.id) > (?1, ?2) AND j.state = ?1 AND j.id > CAST(?2 AS NUMERIC)
ORDER BY j.id LIMIT ?3;

-- name: aot_jobs_of
SELECT j.id, (SELECT r.name FROM repositories r WHERE r.id = j.repository), (SELECT m.digest FROM manifests m WHERE m.id = j.manifest),
       j.source, j.size, j.target, j.runtime, j.profile, j.requester, j.due, j.state, j.attempts,
       COALESCE(j.lease, ''), j.principal, j.worker, j.since, j.until, j.failure,
       COALESCE((SELECT o.digest FROM manifests o WHERE o.id = j.result), ''), j.created, j.updated
FROM aot_jobs j
WHERE j.manifest = (SELECT m.id FROM repositories r JOIN manifests m ON m.repository = r.id WHERE r.name = ?1 AND m.digest = ?2)
ORDER BY j.runtime, j.target, j.profile;

-- name: aot_lease
SELECT j.id, (SELECT r.name FROM repositories r WHERE r.id = j.repository), (SELECT m.digest FROM manifests m WHERE m.id = j.manifest),
       j.source, j.size, j.target, j.runtime, j.profile, j.requester, j.due, j.state, j.attempts,
       COALESCE(j.lease, ''), j.principal, j.worker, j.since, j.until, j.failure,
       COALESCE((SELECT o.digest FROM manifests o WHERE o.id = j.result), ''), j.created, j.updated
FROM aot_jobs j
WHERE j.lease = ?1;

-- name: aot_expired
SELECT j.id, (SELECT r.name FROM repositories r WHERE r.id = j.repository), (SELECT m.digest FROM manifests m WHERE m.id = j.manifest),
       j.source, j.size, j.target, j.runtime, j.profile, j.requester, j.due, j.state, j.attempts,
       COALESCE(j.lease, ''), j.principal, j.worker, j.since, j.until, j.failure,
       COALESCE((SELECT o.digest FROM manifests o WHERE o.id = j.result), ''), j.created, j.updated
FROM aot_jobs j
WHERE j.state = 1 AND j.until < ?1
ORDER BY j.until, j.id LIMIT ?2;

-- name: aot_leased_to
SELECT 1 FROM aot_jobs
WHERE state = 1 AND principal = ?1 AND repository = (SELECT id FROM repositories WHERE name = ?2) AND until >= ?3
LIMIT 1;

-- name: aot_due
SELECT 1 FROM aot_jobs WHERE state = 0 AND runtime = ?1 AND target = ?2 AND profile = ?3 AND due <= ?4 LIMIT 1;

-- name: aot_wake
-- Namespaces of which a job may be due by now take turns again.
UPDATE aot_queues SET due = 0 WHERE runtime = ?1 AND target = ?2 AND profile = ?3 AND due > 0 AND due <= ?4;

-- name: aot_turn
SELECT namespace, turn FROM aot_queues
WHERE runtime = ?1 AND target = ?2 AND profile = ?3 AND due = 0
ORDER BY turn, namespace LIMIT 1;

-- name: aot_next
SELECT id FROM aot_jobs
WHERE state = 0 AND runtime = ?1 AND target = ?2 AND profile = ?3 AND namespace = ?4 AND due <= ?5
ORDER BY due, id LIMIT 1;

-- name: aot_sleep
-- A namespace with no job that is due is passed over until the first is. Without
-- any, a job that comes wakes it.
UPDATE aot_queues SET due = COALESCE((
    SELECT j.due FROM aot_jobs j
    WHERE j.state = 0 AND j.runtime = ?1 AND j.target = ?2 AND j.profile = ?3 AND j.namespace = ?4
    ORDER BY j.due LIMIT 1), 9223372036854775807)
WHERE runtime = ?1 AND target = ?2 AND profile = ?3 AND namespace = ?4;

-- name: aot_take_turn
UPDATE aot_queues SET turn = (SELECT max(turn) + 1 FROM aot_queues)
WHERE runtime = ?1 AND target = ?2 AND profile = ?3 AND namespace = ?4;

-- name: lease_aot
UPDATE aot_jobs SET state = 1, attempts = attempts + 1, lease = ?2, principal = ?3, worker = ?4, until = ?5, since = ?6,
                    updated = ?6
WHERE id = ?1;

-- name: aot_counts
-- Steps from each runtime, target and state to the next, of which there are few, and
-- counts no more than ?1 jobs of each. SQLite goes to a place in the index by columns
-- behind the first only if they are compared with what is no column, and on from there
-- row by row: therefore the place behind the last of a kind.
WITH RECURSIVE kinds (id) AS (
    SELECT f.id FROM (SELECT id FROM aot_jobs WHERE state <> 2 ORDER BY runtime, target, state LIMIT 1) f
    UNION ALL
    SELECT (SELECT n.id FROM aot_jobs n
            WHERE n.state <> 2
              AND (n.runtime, n.target, n.state, n.created) > (c.runtime || '', c.target || '', c.state + 0, 9223372036854775807)
            ORDER BY n.runtime, n.target, n.state, n.created LIMIT 1)
    FROM kinds k JOIN aot_jobs c ON c.id = k.id)
SELECT c.runtime, c.target, c.state,
       (SELECT count(*) FROM (
           SELECT 1 FROM aot_jobs j
           WHERE j.state <> 2 AND j.runtime = c.runtime AND j.target = c.target AND j.state = c.state LIMIT ?1) few),
       (SELECT j.created FROM aot_jobs j
        WHERE j.state <> 2 AND j.runtime = c.runtime AND j.target = c.target AND j.state = c.state ORDER BY j.created LIMIT 1)
FROM kinds k JOIN aot_jobs c ON c.id = k.id
ORDER BY c.runtime, c.target, c.state;

-- name: aot_id
SELECT id, state FROM aot_jobs WHERE manifest = ?1 AND runtime = ?2 AND target = ?3 AND profile = ?4;

-- name: insert_aot
INSERT INTO aot_jobs (manifest, repository, namespace, source, size, target, runtime, profile, requester, state, due, attempts, lease, principal,
                      worker, since, until, failure, created, updated)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, ?10, 0, NULL, '', '', 0, 0, '', ?11, ?11)
RETURNING id;

-- name: enqueue_aot
UPDATE aot_jobs SET state = 0, lease = NULL, due = ?2, requester = ?3, attempts = 0, failure = '', created = ?4, updated = ?4 WHERE id = ?1;

-- name: aot_queue
-- Has the namespace of a job take turns from the time on that it is due. One that is
-- not known, or not any more, stands behind all others, as if it had been served just
-- now: to come back gains nothing.
INSERT INTO aot_queues (runtime, target, profile, namespace, turn, due)
SELECT runtime, target, profile, namespace, COALESCE((SELECT max(turn) + 1 FROM aot_queues), 0), CASE WHEN due > 0 THEN due ELSE 0 END FROM aot_jobs WHERE id = ?1
ON CONFLICT (runtime, target, profile, namespace) DO UPDATE SET due = excluded.due WHERE aot_queues.due > excluded.due;

-- name: extend_aot
UPDATE aot_jobs SET until = ?2, updated = ?3 WHERE lease = ?1 AND state = 1;

-- name: finish_aot
UPDATE aot_jobs SET state = 2, since = 0, until = 0, failure = '', result = ?2, updated = ?3 WHERE lease = ?1 AND state = 1;

-- name: retry_aot
UPDATE aot_jobs SET state = 0, lease = NULL, since = 0, until = 0, due = ?2, failure = ?3, updated = ?4
WHERE lease = ?1 AND state = 1 RETURNING id;

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
DELETE FROM aot_queues WHERE NOT EXISTS (
    SELECT 1 FROM aot_jobs j
    WHERE j.state = 0 AND j.runtime = aot_queues.runtime AND j.target = aot_queues.target AND j.profile = aot_queues.profile
      AND j.namespace = aot_queues.namespace);
