-- One tenant's credentials reach that tenant's database and nothing else. For psql, in any database of the cluster.
-- Idempotent. Does all that is in catalogs which databases share; a database's schema is left to database.sql.
--
-- Variables: those of settings.sql. Prints lines: `busy` if another run holds the lock, `finding|role|database|what` for
-- what is wrong, `note|kind|value`, `clear|tenant|database` for what a tenant has to take back there (clear.sql),
-- `reader|database|role` for a reader whose time is over and which still holds something there, `open|database|role` for one
-- whose time is not over,
-- `visit|database|owner|mark` for a database whose schema is to be visited, and at its end `done`.

\ir settings.sql

-- 1. One run at a time: two would alter the same rows of the shared catalogs.
SELECT pg_try_advisory_lock(:lock) AS alone \gset
\if :alone
\else
\echo busy
\quit
\endif

\ir views.sql

-- From here on an error concerns one statement, such as a role that Terraform has just dropped. The others are still run,
-- and section 4 looks at the result.
\set ON_ERROR_STOP off

-- 2. Grants come first, so that no run ever locks a tenant out of its own database.
-- On 15 creating a role does not give ADMIN OPTION on it, and after an upgrade to 16 nobody could grant it any more.
SELECT format('CREATE ROLE %I NOLOGIN%s', role, CASE WHEN :'by_membership' THEN '' ELSE ' ADMIN CURRENT_USER' END)
FROM place, LATERAL (VALUES (access), (owner)) AS wanted(role)
WHERE ours AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.role)
ORDER BY role \gexec

SELECT format('GRANT %s ON DATABASE %I TO %I', wanted.privilege, database, wanted.role)
FROM place, LATERAL (VALUES ('CONNECT', access), ('TEMPORARY', owner)) AS wanted(privilege, role)
JOIN pg_roles ON rolname = wanted.role
WHERE ours AND NOT EXISTS (
    SELECT FROM granted WHERE granted.database_oid = place.database_oid AND grantee = pg_roles.oid
    AND granted.privilege = wanted.privilege
) ORDER BY database \gexec

SELECT format(
    'GRANT %I TO %I%s', wanted.role, login.role,
    CASE WHEN :'by_membership' THEN format(' WITH INHERIT %s, SET %s', wanted.inherits::text, wanted.sets::text) ELSE '' END)
FROM login, LATERAL (VALUES (access, true, false), (owner, false, true)) AS wanted(role, inherits, sets)
JOIN pg_roles ON rolname = wanted.role
WHERE ours AND NOT EXISTS (
    SELECT FROM member WHERE roleid = pg_roles.oid AND member.member = role_oid
    AND (member.inherits, member.sets) IS NOT DISTINCT FROM
        (CASE WHEN :'by_membership' THEN wanted.inherits END, CASE WHEN :'by_membership' THEN wanted.sets END)
) ORDER BY login.role \gexec

-- The role that a login role acts as from its first statement, and how many connections it may hold.
SELECT format('ALTER ROLE %I SET role TO %L', role, owner)
FROM login
WHERE alterable AND ours AND NOT EXISTS (
    SELECT FROM pg_db_role_setting WHERE setrole = role_oid AND setdatabase = 0 AND 'role=' || owner = ANY (setconfig)
) ORDER BY role \gexec

SELECT format('ALTER ROLE %I CONNECTION LIMIT %s', role, connections)
FROM login WHERE alterable AND ours AND rolconnlimit <> connections ORDER BY role \gexec

-- The database's limit holds for doadmin too: two connections are for this script and a person. A second generation's
-- share is included from the start, because its first connections come before this script has seen it. A reader's
-- connections are beside those.
SELECT format('ALTER DATABASE %I CONNECTION LIMIT %s', database, wanted)
FROM (
    SELECT place.database, datconnlimit, place.connections * greatest(2, count(role_oid)) + 2 + :read_connections * (
        SELECT count(*) FROM kin WHERE open AND home = place.database
    ) AS wanted
    FROM place JOIN pg_database ON oid = place.database_oid LEFT JOIN login ON login.database_oid = oid
    WHERE place.ours
    GROUP BY place.database, datconnlimit, place.connections
) AS place
WHERE datconnlimit <> wanted ORDER BY database \gexec

-- Defaults, which a migration may raise for its own session: they end statements and transactions that were forgotten.
SELECT format('ALTER DATABASE %I SET %I TO %L', database, setting.name, setting.value)
FROM place, LATERAL (VALUES
    ('statement_timeout', :'statement_timeout'), ('idle_in_transaction_session_timeout', :'idle_timeout')
) AS setting(name, value)
WHERE ours AND NOT EXISTS (
    SELECT FROM pg_db_role_setting WHERE setdatabase = database_oid AND setrole = 0
    AND format('%s=%s', setting.name, setting.value) = ANY (setconfig)
) ORDER BY database \gexec

SELECT format('ALTER DATABASE %I SET search_path TO "$user", public, %I', database, :'extensions_schema')
FROM place
WHERE ours AND NOT EXISTS (
    SELECT FROM pg_db_role_setting WHERE setdatabase = database_oid AND setrole = 0
    AND 'search_path="$user", public, ' || :'extensions_schema' = ANY (setconfig)
) ORDER BY database \gexec

-- 3. Revokes, and an end to the sessions that had no right to be where they are.
\ir sweep.sql

SELECT format('REVOKE %s ON DATABASE %I FROM %I', privilege, database, role) FROM stray WHERE ours ORDER BY 1 \gexec

-- 4. What is true now.
\ir findings.sql

-- 5. Databases to visit: the shared catalog does not show the owner role in the ACLs of both schemas there, or the mark in
-- the database's record (droplet/record.py) is of another revision or of an owner role that was dropped and created again.
SELECT format('visit|%s|%s|%s', database, owner, mark)
FROM (
    SELECT place.*, r.oid AS owner_oid, format('%s %s', :'revision', r.oid) AS mark
    FROM place JOIN pg_roles AS r ON r.rolname = owner
) AS place
WHERE ours AND (
    :'full'::boolean
    OR 0 = strpos(coalesce(shobj_description(database_oid, 'pg_database'), ''), format('"%s": "%s"', :'mark_name', mark))
    -- Of `public` and of the extensions' schema.
    OR 2 > (
        SELECT count(*) FROM pg_shdepend
        WHERE dbid = database_oid AND classid = 'pg_namespace'::regclass AND refclassid = 'pg_authid'::regclass
        AND refobjid = owner_oid AND deptype = 'a'
    )
) ORDER BY database;

-- 6. Readers whose rights are to be looked at: their church may have granted them more.
SELECT format('open|%s|%s', home, role) FROM kin WHERE open ORDER BY 1;

\echo done
