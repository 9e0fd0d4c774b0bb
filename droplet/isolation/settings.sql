-- Settings of psql and of the session, and names that cluster.sql and database.sql use. Both include this file first.
--
-- DigitalOcean's API makes databases and roles, not isolation: PUBLIC may connect to every database, and a role can
-- create nothing in its own. The scripts find both by their names (model/naming.py) and do the rest, as the cluster's
-- `doadmin`: no superuser, but with CREATEROLE, and owner of the databases that the API made.
--
--   tenant_<uuid>          the database, owned by doadmin; what follows holds for `control_plane` as well, and for a later
--                          generation of the database, tenant_<uuid>_r<n>, which has roles of its own
--   tenant_<uuid>_g<n>     logs in (the API makes it); owns nothing and holds no privilege itself, so that it can be dropped
--   tenant_<uuid>_access   no login; may connect; login roles inherit it
--   tenant_<uuid>_work_*   logs in for one piece of work with the tenant's rights (droplet/work_login.py)
--   tenant_<uuid>_read_*   logs in for a person who asked for it, reads that one database, and ends by itself (droplet/sql)
--   tenant_<uuid>_owner    no login; creates and owns the tables; login roles act as it, so that after a rotation the
--                          next one finds them
--
-- Rights that the scripts need, as tried on 15, 16 and 17:
--   15      CREATEROLE may alter and grant any role that is no superuser: nothing is missing. Inheritance belongs to the
--           role, not to the membership, so after `SET ROLE NONE` a login role could still own a table: a finding.
--   16, 17  Altering a role takes ADMIN OPTION on it, which only the role's creator gets. Where doadmin lacks it, a
--           login role's own connection limit and its role at connection cannot be set (`note`). The database's
--           limit replaces the first; for the second, clients name the role (`options` in their credentials). One
--           that does not cannot create anything, because it inherits `access` alone. Without pg_signal_backend, the
--           sessions of dropped roles cannot be ended (`note`).
--
-- Variables of every run (droplet/isolation/cluster.py): connections (limit of a login role), overrides (JSON: limit by
-- database), statement_timeout and idle_timeout (ms, defaults of the databases), revision (of these scripts; another one
-- makes every database due for a visit), full (1: visit every database), and from droplet/names.py database_key (regular
-- expression), lock, mark_name, membership_version, work (regular expression: the end of a work login's name), work_lock,
-- watch_lock, read (regular expression: the end of a reader's name), read_seconds (how long one may be there),
-- read_connections, read_settings (`name=value`, separated by commas), extensions_schema; run_timeout (ms, of one statement of the scripts), extensions (names, separated by commas).

\set QUIET on
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
\pset fieldsep '|'
\pset pager off

-- As the connection begins, too (droplet/postgres.py): a database of a tenant may hold functions and operators of its own,
-- and with an empty path only pg_catalog's are found.
SET search_path = '';

\set given :{?connections}:{?overrides}:{?statement_timeout}:{?idle_timeout}:{?revision}:{?full}
\set given :given:{?database_key}:{?lock}:{?mark_name}:{?membership_version}:{?run_timeout}
\set given :given:{?work}:{?work_lock}:{?watch_lock}:{?extensions}:{?extensions_schema}
\set given :given:{?read}:{?read_seconds}:{?read_connections}:{?read_settings}
SELECT :'given' = repeat('TRUE', 20) AS ready \gset
\if :ready
\else
DO $$ BEGIN RAISE EXCEPTION 'a variable is not set; settings.sql lists all of them'; END $$;
\endif

SET client_min_messages = warning;
SET statement_timeout = :run_timeout;
SET lock_timeout = '30s';
SET idle_in_transaction_session_timeout = :run_timeout;
-- The catalogs' statistics do not cover names cut by a pattern. Left alone, the planner compares every role with every
-- database where it could hash (3.1 s instead of 0.6 for 150 tenants, Postgres 17).
SET enable_nestloop = off;
SET jit = off;

SELECT
    '^(tenant_' || :'database_key' || '|control_plane)$' AS databases,
    '^(tenant_' || :'database_key' || '_g[1-9][0-9]*|control_plane)$' AS logins,
    '^(tenant_' || :'database_key' || '(_g[1-9][0-9]*|_access|_owner|' || :'work' || '|' || :'read'
        || ')|control_plane(_access|_owner|' || :'work' || '|' || :'read' || ')?)$' AS ours,
    '^(tenant_' || :'database_key' || '|control_plane)' || :'work' || '$' AS work_logins,
    '^(tenant_' || :'database_key' || '|control_plane)' || :'read' || '$' AS readers,
    '(_g[1-9][0-9]*|_access|_owner|' || :'work' || '|' || :'read' || ')$' AS suffixes,
    current_setting('server_version_num')::int >= :membership_version AS by_membership \gset
