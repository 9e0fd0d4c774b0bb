-- Take back what one tenant left where it keeps roles from being dropped. For psql, in the database where it is, as a work
-- login of that tenant (droplet/work_login.py): the administrator runs none of this.
--
-- Variables: owner (the tenant's owner role), logins (regular expression: its login roles and work logins), ours (every role
-- of ours), own (1 in the tenant's own database). Prints `cleared|owner|role` and at its end `done`.

\set QUIET on
\pset format unaligned
\pset tuples_only on
\pset fieldsep '|'
SET search_path = '';
SET client_min_messages = error;
SET statement_timeout = '20s';
-- What a session of the tenant's holds is tried again in the next run; the watch ends sessions that hold it on purpose.
SET lock_timeout = '2s';

SELECT DISTINCT format('cleared|%s|%s', :'owner', rolname)
FROM pg_catalog.pg_shdepend JOIN pg_catalog.pg_roles AS r ON r.oid = refobjid
WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
AND refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND rolname ~ :'ours'
AND (rolname <> :'owner' OR NOT :'own'::boolean);

-- 1. What login roles own goes to the owner role; in another database, everything of the tenant's goes. Where no one may
-- act as a login role, it stays and is a finding.
SELECT format('REASSIGN OWNED BY %I TO %I', rolname, :'owner')
FROM pg_catalog.pg_roles WHERE :'own'::boolean AND rolname ~ :'logins' AND pg_has_role(oid, 'USAGE') \gexec
SELECT format('DROP OWNED BY %I', rolname)
FROM pg_catalog.pg_roles
WHERE (rolname ~ :'logins' OR rolname = :'owner' AND NOT :'own'::boolean)
AND rolname <> session_user AND pg_has_role(oid, 'USAGE') \gexec

-- 2. What the owner role granted to others of our roles: on objects, by default privileges, in policies.
SET ROLE :"owner";
\ir held.sql
\ir granted_on.sql
SELECT DISTINCT format('REVOKE ALL %s FROM %I CASCADE', what, rolname)
FROM pg_temp.held JOIN pg_catalog.pg_roles AS r ON r.oid = grantee
WHERE rolname ~ :'ours' AND rolname <> :'owner'
AND owner = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = :'owner') \gexec

SELECT DISTINCT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE ALL ON %s FROM %I',
    :'owner', ' IN SCHEMA ' || quote_ident(nspname),
    CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES' WHEN 'T' THEN 'TYPES'
        WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END, rolname)
FROM pg_catalog.pg_default_acl LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = defaclnamespace,
LATERAL pg_catalog.aclexplode(defaclacl) AS one
JOIN pg_catalog.pg_roles AS other ON other.oid = one.grantee AND other.rolname ~ :'ours' AND other.rolname <> :'owner'
WHERE defaclrole = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = :'owner') \gexec

SELECT format('ALTER POLICY %I ON %s TO %s', polname, polrelid::regclass, coalesce((
    SELECT string_agg(quote_ident(rolname), ', ') FROM pg_catalog.pg_roles
    WHERE oid = ANY (polroles) AND (rolname !~ :'ours' OR rolname = :'owner')), quote_ident(:'owner')))
FROM pg_catalog.pg_policy JOIN pg_catalog.pg_class AS c ON c.oid = polrelid
WHERE relowner = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = :'owner')
AND EXISTS (
    SELECT FROM pg_catalog.pg_roles WHERE oid = ANY (polroles) AND rolname ~ :'ours' AND rolname <> :'owner') \gexec
\echo done
