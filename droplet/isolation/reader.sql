-- Take back what a reader holds in its church's database (droplet/sql). For psql, there, as a work login of that church that
-- has the rights of its readers as well (late.py): the administrator runs none of this.
--
-- Variables: owner (the church's owner role), reader (the role), readers (regular expression: this database's readers), over
-- (1: its time is over, and all is taken back; 0: all but what it may hold). Prints at its end `done`.

\set QUIET on
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
SET search_path = '';
SET client_min_messages = error;
SET statement_timeout = '20s';
-- What the church holds is tried again in the next run. At the first error it ends, so that a church with a thousand locks
-- delays it no longer than one with a single lock does.
SET lock_timeout = '2s';

-- 1. A view's function runs as the reader who reads it, and may have made something. That goes to the church, whose code it
-- was, with all that depends on it.
SELECT pg_catalog.format('REASSIGN OWNED BY %I TO %I', rolname, :'owner')
FROM pg_catalog.pg_roles WHERE rolname ~ :'readers' AND pg_catalog.pg_has_role(oid, 'USAGE') \gexec

-- 2. What was granted by others than the owner role.
SET ROLE :"owner";
\ir held.sql
\ir granted_on.sql

-- 3. What the owner role granted.
\if :over
RESET ROLE;
SELECT pg_catalog.format('DROP OWNED BY %I', :'reader') \gexec
\else
SELECT DISTINCT pg_catalog.format('REVOKE %s%s %s FROM %I CASCADE',
    CASE WHEN reads THEN 'GRANT OPTION FOR ' ELSE '' END, privilege, what, :'reader')
FROM pg_temp.held JOIN pg_catalog.pg_roles AS r ON r.oid = grantee
WHERE rolname = :'reader' AND (grantable OR NOT reads)
AND owner = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = :'owner') \gexec
\endif
\echo done
