-- One database's schema: its owner role may create in `public`, and nobody else may use it. For psql, in that database.
-- All or nothing, and the mark with it. Idempotent.
--
-- Variables beside those of settings.sql: database, owner (its owner role), mark (the comment that a visited database
-- gets). Prints `finding|role|database|what` for what is still wrong, and then exits with 3.

\ir settings.sql

BEGIN;
SELECT pg_advisory_xact_lock(:lock) IS NULL AS ignored \gset
GRANT USAGE, CREATE ON SCHEMA public TO :"owner";
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE TEMP VIEW finding AS
SELECT problem.role, problem.what
FROM pg_namespace, LATERAL (VALUES
    (:'owner', 'cannot create in schema public', NOT has_schema_privilege(:'owner', oid, 'USAGE')
        OR NOT has_schema_privilege(:'owner', oid, 'CREATE')),
    ('PUBLIC', 'may use schema public', EXISTS (SELECT FROM aclexplode(nspacl) WHERE grantee = 0))
) AS problem(role, what, found)
WHERE nspname = 'public' AND problem.found;
SELECT format('finding|%s|%s|%s', role, :'database', what) FROM finding;
SELECT NOT EXISTS (SELECT FROM finding) AS good \gset
\if :good
COMMENT ON DATABASE :"database" IS :'mark';
COMMIT;
\else
ROLLBACK;
DO $$ BEGIN RAISE EXCEPTION 'the privileges on schema public of % are wrong', current_database(); END $$;
\endif
