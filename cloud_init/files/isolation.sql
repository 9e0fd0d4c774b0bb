-- One tenant's credentials reach that tenant's database and nothing else. Idempotent; for psql.
--
-- DigitalOcean's API makes databases and roles, not isolation: PUBLIC may connect to every database, and a role can
-- create nothing in its own. This script finds both by their names (model/naming.py) and does the rest, as the cluster's
-- `doadmin`: no superuser, but CREATEROLE, and owner of the databases that the API made.
--
--   tenant_<uuid>          the database, doadmin's; what is said of it here holds for `control_plane` as well
--   tenant_<uuid>_g<n>     logs in (the API makes it); owns nothing and holds no privilege itself, or it could not be dropped
--   tenant_<uuid>_access   no login; may connect; what a login role inherits
--   tenant_<uuid>_owner    no login; creates and owns the tables; what a login role acts as, so that after a rotation the
--                          next one finds them
--
-- Without `database`, in any database: everything that the shared catalogs hold, which is all but the schema. It prints
-- lines of `kind|...`: `visit|database|owner|mark` for a database whose schema is to be looked at, `finding|...` for what is
-- not as it should be, `note|...` for what this role cannot have and can do without, `busy` if another run is at work.
-- With `-v database=... -v owner=... -v mark=...`, in that database: its schema.
--
-- Variables: connections (a login role's limit), overrides (JSON: limit by database), statement_timeout and
-- idle_timeout (milliseconds), revision (of this script; another one visits every database again), full (1: visit
-- every database). Exit code 3 when something failed or a finding was printed.
--
-- Which rights it needs, as tried on 15, 16 and 17:
--   15      CREATEROLE may alter and grant any role that is no superuser: nothing is missing. Inheritance belongs to the
--           role, not to the membership, so after `SET ROLE NONE` a login role could still own a table: a finding.
--   16, 17  To alter a role takes ADMIN OPTION on it, which only the role's creator gets. Where doadmin lacks it, a
--           login role's own connection limit and its role at connection cannot be had (`note`). The database's
--           limit stands in for the first; for the second, clients name the role (`options` in their credentials). One
--           that does not is refused to create, since it inherits `access` alone. Without pg_signal_backend, the sessions
--           of dropped roles cannot be ended (`note`).

\set QUIET on
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
\pset fieldsep '|'
\pset pager off
SET client_min_messages = warning;
SET statement_timeout = '10min';
SET lock_timeout = '30s';
SET idle_in_transaction_session_timeout = '10min';
SET search_path = pg_catalog;
-- The catalogs' own statistics know nothing of names cut by a pattern: left to itself, the planner compares every role
-- with every database where it could hash (3.1 s instead of 0.6 for 150 tenants, Postgres 17).
SET enable_nestloop = off;
SET jit = off;
SELECT
    '^(tenant_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|control_plane)$' AS databases,
    '^(tenant_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}_g[1-9][0-9]*|control_plane)$' AS logins,
    '^(tenant_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(_g[1-9][0-9]*|_access|_owner)|control_plane(_access|_owner)?)$' AS ours,
    7360360 AS lock,
    current_setting('server_version_num')::int >= 160000 AS by_membership \gset

\set given :{?connections}:{?overrides}:{?statement_timeout}:{?idle_timeout}:{?revision}:{?full}
SELECT :'given' = repeat('TRUE', 6) AS ready \gset
\if :ready
\else
DO $$ BEGIN RAISE EXCEPTION 'not all variables are set; the head of this file says which there are'; END $$;
\endif

\if :{?database}
-- 1. One database's schema. All or nothing, and the mark with it.
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
\quit
\endif
ROLLBACK;
DO $$ BEGIN RAISE EXCEPTION 'the schema of % is not as it should be', current_database(); END $$;
\endif

-- 2. The cluster. One run at a time: two would alter the same rows of the shared catalogs.
SELECT pg_try_advisory_lock(:lock) AS alone \gset
\if :alone
\else
\echo busy
\quit
\endif

CREATE TEMP VIEW place AS
SELECT
    oid AS database_oid,
    datname AS database,
    datname || '_access' AS access,
    datname || '_owner' AS owner,
    coalesce((:'overrides'::jsonb ->> datname)::int, :connections) AS connections,
    pg_has_role(datdba, 'USAGE') AS ours
FROM pg_database
WHERE datname ~ :'databases';

-- A role counts by its name even if its database is not there (yet): it must not reach another one meanwhile.
CREATE TEMP VIEW login AS
SELECT
    role.oid AS role_oid,
    role.rolname AS role,
    role.rolconnlimit,
    place.*,
    CASE WHEN :'by_membership' THEN pg_has_role(role.oid, 'USAGE WITH ADMIN OPTION') ELSE true END AS alterable
FROM pg_roles AS role
LEFT JOIN place ON place.database = CASE role.rolname
    WHEN 'control_plane' THEN role.rolname ELSE regexp_replace(role.rolname, '_g[1-9][0-9]*$', '') END
WHERE role.rolname ~ :'logins';

-- A NULL acl is the default one, which is what lets PUBLIC in.
CREATE TEMP VIEW granted AS
SELECT
    d.oid AS database_oid, d.datname AS database, acl.grantee, acl.privilege_type AS privilege,
    pg_has_role(d.datdba, 'USAGE') AS ours
FROM pg_database AS d, LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS acl;

-- What a role of ours holds beyond what section 3 gives.
CREATE TEMP VIEW stray AS
SELECT granted.database, granted.privilege, granted.ours, rolname AS role
FROM granted JOIN pg_roles ON pg_roles.oid = grantee LEFT JOIN place USING (database_oid)
WHERE rolname ~ :'ours'
AND (rolname = access AND privilege = 'CONNECT' OR rolname = owner AND privilege = 'TEMPORARY') IS NOT TRUE;

CREATE TEMP VIEW member AS
SELECT
    m.roleid, m.member, m.grantor, m.admin_option,
    -- Columns since 16. Before, a member inherits and may act as the role, always.
    (to_jsonb(m) ->> 'inherit_option')::boolean AS inherits,
    (to_jsonb(m) ->> 'set_option')::boolean AS sets
FROM pg_auth_members AS m;

-- From here on an error is one statement's, such as of a role that Terraform has just dropped. The rest is done, and what is
-- true in the end is looked up in the end.
\set ON_ERROR_STOP off

-- 3. What lets the tenant in comes first, so that no run ever shuts one out of its own database.
-- On 15 nobody becomes admin of a role by creating it, and after an upgrade to 16 nobody could grant it any more.
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

-- What a login role acts as from its first statement, and how often it may connect.
SELECT format('ALTER ROLE %I SET role TO %L', role, owner)
FROM login
WHERE alterable AND ours AND NOT EXISTS (
    SELECT FROM pg_db_role_setting WHERE setrole = role_oid AND setdatabase = 0 AND 'role=' || owner = ANY (setconfig)
) ORDER BY role \gexec

SELECT format('ALTER ROLE %I CONNECTION LIMIT %s', role, connections)
FROM login WHERE alterable AND ours AND rolconnlimit <> connections ORDER BY role \gexec

-- The limit of the database holds for doadmin too: two are for this script and a person. A second generation's share is
-- there from the start, because its first connections come before this script has seen it.
SELECT format('ALTER DATABASE %I CONNECTION LIMIT %s', database, wanted)
FROM (
    SELECT place.database, datconnlimit, place.connections * greatest(2, count(role_oid)) + 2 AS wanted
    FROM place JOIN pg_database ON oid = place.database_oid LEFT JOIN login ON login.database_oid = oid
    WHERE place.ours
    GROUP BY place.database, datconnlimit, place.connections
) AS place
WHERE datconnlimit <> wanted ORDER BY database \gexec

-- Defaults, which a migration may raise for its own session: they end what was forgotten, not what was meant.
SELECT format('ALTER DATABASE %I SET %I TO %L', database, setting.name, setting.value)
FROM place, LATERAL (VALUES
    ('statement_timeout', :'statement_timeout'), ('idle_in_transaction_session_timeout', :'idle_timeout')
) AS setting(name, value)
WHERE ours AND NOT EXISTS (
    SELECT FROM pg_db_role_setting WHERE setdatabase = database_oid AND setrole = 0
    AND format('%s=%s', setting.name, setting.value) = ANY (setconfig)
) ORDER BY database \gexec

-- 4. What lets others in goes, on every database that is ours to close: defaultdb, and more where doadmin owns them.
SELECT DISTINCT format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', database)
FROM granted WHERE ours AND grantee = 0 ORDER BY 1 \gexec

SELECT format('REVOKE %s ON DATABASE %I FROM %I', privilege, database, role) FROM stray WHERE ours ORDER BY 1 \gexec

-- A session outlives its role: acting as the owner role, it works on until it disconnects. Noted first and ended by a
-- statement of its own, whose snapshot knows every role that a session seen before can have.
CREATE TEMP TABLE orphan AS
SELECT pid, backend.usesysid, datid FROM pg_stat_activity AS backend JOIN place ON database_oid = datid
WHERE backend.usesysid IS NOT NULL;
DELETE FROM orphan WHERE EXISTS (SELECT FROM pg_roles WHERE oid = orphan.usesysid);

-- To end it takes pg_signal_backend. On 15 whoever may create roles may have it, and from 16 on whoever administers it.
SELECT 'GRANT pg_signal_backend TO CURRENT_USER'
WHERE EXISTS (SELECT FROM orphan) AND NOT pg_has_role('pg_signal_backend', 'USAGE')
AND (NOT :'by_membership' OR pg_has_role('pg_signal_backend', 'USAGE WITH ADMIN OPTION')) \gexec

SELECT format('note|ended|%s', count(pg_terminate_backend(pid)))
FROM orphan JOIN pg_stat_activity AS backend USING (pid, usesysid, datid)
WHERE pg_has_role('pg_signal_backend', 'USAGE');
SELECT format('note|orphans|%s', count(*)) FROM orphan WHERE NOT pg_has_role('pg_signal_backend', 'USAGE');

-- 5. What is true now. Every login role against every database: nothing is concluded from what was done above.
CREATE TEMP TABLE finding (role text, database text, what text);

INSERT INTO finding
SELECT role, d.datname, 'may connect, or create in it'
FROM login, pg_database AS d
WHERE d.datallowconn AND d.oid IS DISTINCT FROM login.database_oid
AND has_database_privilege(role_oid, d.oid, 'CONNECT, TEMPORARY, CREATE')
AND (pg_has_role(d.datdba, 'USAGE') OR EXISTS (SELECT FROM place WHERE place.database_oid = d.oid)
    OR EXISTS (SELECT FROM granted WHERE granted.database_oid = d.oid AND grantee = role_oid));

-- What a login role acts as counts too; on 16 and 17 it is not inherited, so that the question above does not cover it.
INSERT INTO finding
SELECT role, database, 'holds ' || lower(privilege) FROM stray;

INSERT INTO finding
SELECT role, database, problem.what
FROM login, LATERAL (VALUES
    (NOT has_database_privilege(role_oid, database_oid, 'CONNECT'), 'cannot connect to its own database'),
    (has_database_privilege(role_oid, database_oid, 'CREATE'), 'may create schemas in its own database'),
    (NOT EXISTS (SELECT FROM pg_roles WHERE rolname = owner AND pg_has_role(role_oid, oid, 'MEMBER')), 'cannot act as its owner role'),
    (alterable AND rolconnlimit <> connections, 'has another connection limit')
) AS problem(found, what)
WHERE problem.found AND database_oid IS NOT NULL;

INSERT INTO finding
SELECT 'PUBLIC', database, 'may use its ' || lower(privilege)
FROM granted WHERE grantee = 0 AND (ours OR EXISTS (SELECT FROM place WHERE place.database_oid = granted.database_oid));

INSERT INTO finding
SELECT pg_get_userbyid(datdba), database, 'owns it, so that ' || current_user || ' cannot close it'
FROM place JOIN pg_database ON oid = database_oid WHERE NOT ours;

-- A login role is a member of its own two roles and of nothing else; they have no other members, and are members of nothing.
INSERT INTO finding
SELECT m.rolname, place.database, 'is a member of ' || r.rolname
FROM member
JOIN pg_roles AS r ON r.oid = roleid
JOIN pg_roles AS m ON m.oid = member.member
LEFT JOIN place ON place.database = substring(r.rolname FROM '^(.*)_(?:access|owner)$')
LEFT JOIN login ON login.role_oid = member.member
WHERE (r.rolname ~ :'ours' OR m.rolname ~ :'ours')
AND (login.database_oid = place.database_oid) IS NOT TRUE
-- Whoever made a role administers it; that is this script.
AND m.rolname <> current_user;

INSERT INTO finding
SELECT rolname, NULL, 'has rights over the whole cluster'
FROM pg_roles
WHERE rolname ~ :'ours'
AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
    OR rolcanlogin AND rolname ~ '_(access|owner)$');

-- The shared catalog knows who owns something, or is named in an acl, in which database: DROP ROLE would fail.
INSERT INTO finding
SELECT DISTINCT role, d.datname, CASE deptype WHEN 'o' THEN 'owns something itself' ELSE 'holds a privilege itself' END
FROM pg_shdepend JOIN login ON refobjid = role_oid
LEFT JOIN pg_database AS d ON d.oid = dbid OR dbid = 0 AND classid = 'pg_database'::regclass AND d.oid = objid
WHERE refclassid = 'pg_authid'::regclass;

SELECT format('finding|%s|%s|%s', role, database, what) AS line FROM finding ORDER BY 1;

-- Nothing of a tenant is in them, but its login role may see that other databases and roles exist, as it may from its own.
SELECT format('note|open|%s', database)
FROM granted
WHERE grantee = 0 AND NOT ours AND privilege = 'CONNECT'
AND EXISTS (SELECT FROM pg_database WHERE oid = database_oid AND datallowconn)
AND NOT EXISTS (SELECT FROM place WHERE place.database_oid = granted.database_oid) ORDER BY 1;
SELECT format('note|not-alterable|%s', role) FROM login WHERE NOT alterable ORDER BY 1;
SELECT format('note|places|%s', count(*)) FROM place;
SELECT format('note|logins|%s', count(*)) FROM login;

-- 6. Whose schema is to be visited: the shared catalog shows that the owner role is named in no schema's acl there, or the
-- mark is of another revision or of an owner role that was made anew. The mark goes with a database that is dropped.
SELECT format('visit|%s|%s|%s', database, owner, mark)
FROM (
    SELECT place.*, r.oid AS owner_oid, format('presence360 isolation %s %s', :'revision', r.oid) AS mark
    FROM place JOIN pg_roles AS r ON r.rolname = owner
) AS place
WHERE ours AND (
    :'full'::boolean
    OR shobj_description(database_oid, 'pg_database') IS DISTINCT FROM mark
    OR NOT EXISTS (
        SELECT FROM pg_shdepend
        WHERE dbid = database_oid AND classid = 'pg_namespace'::regclass AND refclassid = 'pg_authid'::regclass
        AND refobjid = owner_oid AND deptype = 'a'
    )
) ORDER BY database;

\set ON_ERROR_STOP on
SELECT EXISTS (SELECT FROM finding) AS failed \gset
\if :failed
DO $$ BEGIN RAISE EXCEPTION 'one tenant is not isolated from another, or a role is not as it should be'; END $$;
\endif
