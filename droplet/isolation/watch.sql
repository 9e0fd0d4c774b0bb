-- What the watch does every two seconds (watch.py). For psql, in a session that has run settings.sql and views.sql once.
--
-- Variables beside theirs: most_locks.

-- 1. Before anything else, and without a catalog: where the lock table is full, no statement gets a lock on a table that
-- it does not hold in its own fast path. What remains in the table is of the session that filled it.
SELECT format('note|%s|%s locks', CASE WHEN pg_terminate_backend(pid) THEN 'ended' ELSE 'gone' END, number)
FROM (
    SELECT pid, count(*) AS number FROM pg_lock_status() WHERE NOT fastpath AND pid <> pg_backend_pid() GROUP BY pid
) AS holder
WHERE number > :most_locks;

-- 2. The rights that it takes to end a session, in advance: a GRANT needs locks too.
SELECT 'GRANT pg_signal_backend TO CURRENT_USER'
WHERE NOT pg_has_role('pg_signal_backend', 'USAGE')
AND (NOT :'by_membership' OR pg_has_role('pg_signal_backend', 'USAGE WITH ADMIN OPTION')) \gexec
SELECT format('GRANT %I TO CURRENT_USER WITH INHERIT TRUE, SET FALSE', role) FROM kin
WHERE logs_in AND :'by_membership' AND administered AND NOT rights AND NOT pg_has_role('pg_signal_backend', 'USAGE') \gexec
