-- One database's schemas: its extensions, which the administrator makes in a schema of its own; and `public`, in which its
-- owner role may create and which nobody else may use. For psql, in that database. Only catalogs are read: what is in
-- the database is its tenant's. All or nothing for `public`. Idempotent.
--
-- Variables beside those of settings.sql: database, owner (its owner role), mark (not used here: cluster.py records it).
-- Prints `finding|role|database|what` for what is still wrong, `right` if nothing is, and at its end `done`.

\ir settings.sql
-- A tenant that holds a lock delays its own visit alone, and not for long.
SET lock_timeout = '5s';

-- 1. Before the owner role may create anything. The scripts of extensions run with this role's rights or a superuser's and
-- find what is in their schema, so it has to be this role's own, with nothing of anybody else's in it.
SELECT format('CREATE SCHEMA %I', :'extensions_schema')
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = :'extensions_schema') \gexec

CREATE TEMP VIEW foreign_object AS
SELECT pg_catalog.pg_describe_object(o.classid, o.oid, 0) AS what
FROM pg_catalog.pg_namespace AS n JOIN (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS classid, oid, relnamespace AS schema FROM pg_catalog.pg_class
    UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, oid, pronamespace FROM pg_catalog.pg_proc
    UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, oid, typnamespace FROM pg_catalog.pg_type
    UNION ALL SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, oid, oprnamespace FROM pg_catalog.pg_operator
    UNION ALL SELECT 'pg_catalog.pg_opclass'::pg_catalog.regclass, oid, opcnamespace FROM pg_catalog.pg_opclass
    UNION ALL SELECT 'pg_catalog.pg_opfamily'::pg_catalog.regclass, oid, opfnamespace FROM pg_catalog.pg_opfamily
    UNION ALL SELECT 'pg_catalog.pg_collation'::pg_catalog.regclass, oid, collnamespace FROM pg_catalog.pg_collation
    UNION ALL SELECT 'pg_catalog.pg_conversion'::pg_catalog.regclass, oid, connamespace FROM pg_catalog.pg_conversion
    UNION ALL SELECT 'pg_catalog.pg_ts_config'::pg_catalog.regclass, oid, cfgnamespace FROM pg_catalog.pg_ts_config
    UNION ALL SELECT 'pg_catalog.pg_ts_dict'::pg_catalog.regclass, oid, dictnamespace FROM pg_catalog.pg_ts_dict
) AS o ON o.schema = n.oid
WHERE nspname = :'extensions_schema'
-- A member of an extension, or made for one: an array's type, a table's row type.
AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = o.classid AND d.objid = o.oid AND d.deptype IN ('e', 'i'));

SELECT coalesce((
    SELECT CASE
        WHEN nspowner <> current_user::pg_catalog.regrole
            THEN format('schema %s belongs to %s: no extension is made', nspname, pg_catalog.pg_get_userbyid(nspowner))
        WHEN EXISTS (
            SELECT FROM pg_catalog.aclexplode(nspacl) WHERE grantee <> nspowner AND privilege_type = 'CREATE')
            THEN format('schema %s lets others create: no extension is made', nspname)
        ELSE (
            SELECT format('%s is in schema %s and of no extension: no extension is made', what, nspname)
            FROM pg_temp.foreign_object ORDER BY what LIMIT 1)
    END
    FROM pg_catalog.pg_namespace WHERE nspname = :'extensions_schema'), '') AS trouble \gset
SELECT :'trouble' = '' AS good \gset
\if :good
-- One statement's error is that extension's; what is missing then is a finding.
\set ON_ERROR_STOP off
SELECT format('CREATE EXTENSION %I WITH SCHEMA %I', wanted, :'extensions_schema')
FROM pg_catalog.unnest(pg_catalog.string_to_array(nullif(:'extensions', ''), ',')) AS wanted
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = wanted) \gexec
\set ON_ERROR_STOP on
SELECT format('GRANT USAGE ON SCHEMA %I TO %I', :'extensions_schema', :'owner') \gexec
\else
SELECT format('finding|%s|%s|%s', :'owner', :'database', :'trouble');
\endif

-- 2. The schema of the tenant's own.
BEGIN;
GRANT USAGE, CREATE ON SCHEMA public TO :"owner";
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE TEMP VIEW finding AS
SELECT problem.role, problem.what
FROM pg_catalog.pg_namespace, LATERAL (VALUES
    (:'owner', 'cannot create in schema public', NOT pg_catalog.has_schema_privilege(:'owner', oid, 'USAGE')
        OR NOT pg_catalog.has_schema_privilege(:'owner', oid, 'CREATE')),
    ('PUBLIC', 'may use schema public', EXISTS (SELECT FROM pg_catalog.aclexplode(nspacl) WHERE grantee = 0))
) AS problem(role, what, found)
WHERE nspname = 'public' AND problem.found
UNION ALL
SELECT :'owner', format('has no extension %s in schema %s', wanted, :'extensions_schema')
FROM pg_catalog.unnest(pg_catalog.string_to_array(nullif(:'extensions', ''), ',')) AS wanted
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_extension JOIN pg_catalog.pg_namespace AS n ON n.oid = extnamespace
    WHERE extname = wanted AND nspname = :'extensions_schema');
SELECT format('finding|%s|%s|%s', role, :'database', what) FROM pg_temp.finding;
SELECT NOT EXISTS (SELECT FROM pg_temp.finding) AND :'good'::boolean AS right \gset
COMMIT;
\if :right
\echo right
\endif
\echo done
