-- Whose connections there are, and how many the cluster takes. Prints `connections|role|state|count` and `limit|count`.
--
-- A tenant's login roles, of all generations of its credentials and of its database, and its work logins count together. Without pg_monitor the states of other
-- roles' sessions are hidden.

\set QUIET on
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
\pset fieldsep '|'
\pset pager off
SET search_path = '';
SET statement_timeout = '10s';

SELECT 'connections', role, state, count(*)
FROM (
    SELECT
        CASE
            WHEN usename ~ '^tenant_[0-9a-f-]{36}' THEN substr(usename, 1, 43)
            WHEN usename ~ '^control_plane' THEN 'control_plane'
            WHEN usename = current_user THEN 'administrator'
            ELSE 'other'
        END AS role,
        coalesce(state, 'hidden') AS state
    FROM pg_catalog.pg_stat_activity
    -- Sessions of clients: other processes have no role, or a leader.
    WHERE usename IS NOT NULL AND datname IS NOT NULL AND leader_pid IS NULL
) AS session
GROUP BY role, state
ORDER BY role, state;

SELECT 'limit', current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    -- Since 16.
    - coalesce(nullif(current_setting('reserved_connections', true), '')::int, 0);
