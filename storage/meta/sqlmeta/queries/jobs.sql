-- name: job
SELECT id, kind, key, repo, payload, due, state, attempts, holder, until, failure, created, updated FROM jobs WHERE id = ?1;

-- name: jobs
SELECT id, kind, key, repo, payload, due, state, attempts, holder, until, failure, created, updated FROM jobs
WHERE id > ?1 AND (?2 = '' OR kind = ?2) AND state IN (?3, ?4, ?5)
ORDER BY id LIMIT ?6;

-- name: jobs_begun
-- The few that are leased or dead, found without reading those that wait.
SELECT id, kind, key, repo, payload, due, state, attempts, holder, until, failure, created, updated FROM jobs
WHERE state > 0 AND state = ?3 AND id > ?1 AND (?2 = '' OR kind = ?2)
ORDER BY id LIMIT ?4;

-- name: job_counts
SELECT kind, state, count(*), min(due) FROM jobs GROUP BY kind, state;

-- name: enqueue
INSERT INTO jobs (kind, key, repo, payload, due, state, attempts, holder, until, failure, created, updated)
VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, '', 0, '', ?6, ?6)
ON CONFLICT (kind, key) DO UPDATE SET
    repo = excluded.repo,
    payload = excluded.payload,
    due = CASE WHEN jobs.state = 2 OR jobs.state = 0 AND jobs.due > excluded.due THEN excluded.due ELSE jobs.due END,
    again = CASE
        WHEN jobs.state <> 1 THEN NULL
        WHEN jobs.again < excluded.due THEN jobs.again
        ELSE excluded.due END,
    attempts = CASE WHEN jobs.state = 2 THEN 0 ELSE jobs.attempts END,
    state = CASE WHEN jobs.state = 2 THEN 0 ELSE jobs.state END,
    updated = excluded.updated
RETURNING id;

-- name: jobs_due
-- Each half reads no more rows than it yields, but for the leases in force.
SELECT id, kind, key, repo, payload, due, state, attempts, holder, until, failure, created, updated FROM (
    SELECT * FROM (
        SELECT * FROM jobs WHERE kind = ?1 AND state = 0 AND due <= CAST(?2 AS BIGINT) ORDER BY due, id LIMIT CAST(?3 AS BIGINT)) w
    UNION ALL
    SELECT * FROM (
        SELECT * FROM jobs WHERE kind = ?1 AND state = 1 AND until < CAST(?2 AS BIGINT) ORDER BY due, id LIMIT CAST(?3 AS BIGINT)) l
    ) j
ORDER BY due, id LIMIT CAST(?3 AS BIGINT);

-- name: lease_jobs
UPDATE jobs SET state = 1, attempts = attempts + 1, holder = ?1, until = ?2, again = NULL, updated = ?3
WHERE id IN (?4, ?5, ?6, ?7);

-- name: end_leases
-- The index has what does not wait.
UPDATE jobs SET until = 0, updated = ?2 WHERE state > 0 AND state = 1 AND until > 0 AND attempts <= ?1;

-- name: extend_lease
UPDATE jobs SET until = ?3, updated = ?4 WHERE id = ?1 AND state = 1 AND holder = ?2;

-- name: finish_job
DELETE FROM jobs WHERE id = ?1 AND state = 1 AND holder = ?2 AND again IS NULL;

-- name: finish_again
UPDATE jobs SET state = 0, due = again, again = NULL, attempts = 0, holder = '', until = 0, failure = '', updated = ?3
WHERE id = ?1 AND state = 1 AND holder = ?2;

-- name: retry_job
UPDATE jobs SET state = 0, due = CASE WHEN again < ?3 THEN again ELSE ?3 END, again = NULL,
    holder = '', until = 0, failure = ?4, updated = ?5
WHERE id = ?1 AND state = 1 AND holder = ?2;

-- name: bury_job
UPDATE jobs SET state = CASE WHEN again IS NULL THEN 2 ELSE 0 END, due = COALESCE(again, due),
    attempts = CASE WHEN again IS NULL THEN attempts ELSE 0 END, again = NULL, holder = '', until = 0, failure = ?4, updated = ?3
WHERE id = ?1 AND state = 1 AND holder = ?2;

-- name: revive_job
UPDATE jobs SET state = 0, due = ?2, attempts = 0, updated = ?2 WHERE id = ?1 AND state <> 1;

-- name: drop_job
DELETE FROM jobs WHERE id = ?1 AND state <> 1;
