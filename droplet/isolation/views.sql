-- The cluster's databases and roles, by their names: what cluster.sql and findings.sql work with.

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

-- A role counts by its name even if its database does not exist yet: it must not reach another one meanwhile.
CREATE TEMP VIEW login AS
SELECT
    role.oid AS role_oid,
    role.rolname AS role,
    role.rolconnlimit,
    place.*,
    CASE WHEN :'by_membership' THEN pg_has_role(role.oid, 'USAGE WITH ADMIN OPTION') ELSE true END AS alterable
FROM pg_roles AS role
LEFT JOIN place ON place.database = regexp_replace(role.rolname, '_g[1-9][0-9]*$', '')
WHERE role.rolname ~ :'logins';

-- A NULL ACL means the default one, which lets PUBLIC connect.
CREATE TEMP VIEW granted AS
SELECT
    d.oid AS database_oid, d.datname AS database, acl.grantee, acl.privilege_type AS privilege,
    pg_has_role(d.datdba, 'USAGE') AS ours
FROM pg_database AS d, LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS acl;

-- Every role of ours, the database that it belongs to by its name, and whether this role has its rights or may take them.
-- A reader is open until its time is over; one without an end, or with one that is too far away, is not open at all, and
-- neither is one whose settings its church's code has changed.
CREATE TEMP VIEW kin AS
SELECT *, timely AND NOT changed AS open
FROM (
SELECT
    oid AS role_oid, rolname AS role, regexp_replace(rolname, :'suffixes', '') AS home,
    rolname ~ :'logins' AS logs_in, rolname ~ :'work_logins' AS works, rolname ~ :'readers' AS reads,
    rolname ~ :'readers' AND coalesce(
        rolvaliduntil > now() AND rolvaliduntil <= now() + :read_seconds * interval '1 second', false) AS timely,
    rolname ~ :'readers' AND ARRAY(
        SELECT unnest(setconfig) FROM pg_db_role_setting WHERE setrole = pg_roles.oid ORDER BY 1
    ) <> ARRAY(SELECT unnest(string_to_array(:'read_settings', ',')) ORDER BY 1) AS changed,
    pg_has_role(oid, 'USAGE') AS rights,
    CASE WHEN :'by_membership' THEN pg_has_role(oid, 'USAGE WITH ADMIN OPTION') ELSE true END AS administered
FROM pg_roles WHERE rolname ~ :'ours'
) AS kin;

-- Privileges that a role of ours holds beyond those that cluster.sql grants.
CREATE TEMP VIEW stray AS
SELECT granted.database, granted.privilege, granted.ours, rolname AS role
FROM granted JOIN pg_roles ON pg_roles.oid = grantee LEFT JOIN place USING (database_oid)
WHERE rolname ~ :'ours'
AND (rolname = access AND privilege = 'CONNECT' OR rolname = owner AND privilege = 'TEMPORARY') IS NOT TRUE
-- While a work login restores a database, the owner role makes the schemas that are in it (droplet/move_tenant).
AND (rolname = owner AND privilege = 'CREATE' AND EXISTS (
    SELECT FROM pg_roles AS work WHERE work.rolname ~ ('^' || granted.database || :'work' || '$'))) IS NOT TRUE
-- A reader may connect to its own database until its time is over.
AND (privilege = 'CONNECT' AND EXISTS (
    SELECT FROM kin WHERE kin.role_oid = grantee AND open AND home = granted.database)) IS NOT TRUE;

CREATE TEMP VIEW member AS
SELECT
    m.roleid, m.member, m.grantor, m.admin_option,
    -- Columns since 16. Before, a member inherits and may act as the role, always.
    (to_jsonb(m) ->> 'inherit_option')::boolean AS inherits,
    (to_jsonb(m) ->> 'set_option')::boolean AS sets
FROM pg_auth_members AS m;

-- What hangs on a role of ours where nothing may: what a login role owns or holds in any database, and what any of the
-- others does in a database that is not its own. DROP ROLE fails as long as it does.
CREATE TEMP VIEW hung AS
SELECT role_oid, role, home, logs_in, works, d.oid AS database_oid, d.datname AS database, deptype = 'o' AS owns
FROM pg_shdepend JOIN kin ON refobjid = role_oid JOIN pg_database AS d ON d.oid = dbid
WHERE refclassid = 'pg_authid'::regclass AND (logs_in OR d.datname <> home);

-- Sessions of clients, and by which right this role may end each. A role that is gone is NULL.
CREATE TEMP VIEW visitor AS
SELECT
    pid, usesysid, backend.datid, backend.datname AS database, backend_start,
    r.rolname AS role, kin.home, kin.logs_in OR kin.reads AS logs_in, coalesce(kin.reads AND NOT kin.open, false) AS late,
    coalesce(rolsuper, false) AS super,
    pg_has_role('pg_signal_backend', 'USAGE') OR coalesce(kin.rights, false) AS may_end
FROM pg_stat_activity AS backend LEFT JOIN pg_roles AS r ON r.oid = usesysid LEFT JOIN kin ON role_oid = usesysid
WHERE usesysid IS NOT NULL AND backend.datid <> 0 AND pid <> pg_backend_pid();

-- Sessions that have no right to be where they are, or that keep others from working, and why.
CREATE TEMP VIEW intruder AS
WITH locking AS MATERIALIZED (
    SELECT pg_locks.pid AS holder, kin.logs_in OR kin.works OR kin.reads AS droppable, kin.home FROM pg_locks JOIN kin ON kin.role_oid = objid
    WHERE locktype = 'object' AND classid = 'pg_authid'::regclass AND granted
)
SELECT visitor.*, reason
FROM visitor LEFT JOIN place ON place.database_oid = datid LEFT JOIN login ON login.role_oid = usesysid
LEFT JOIN (
    SELECT pid AS numbered, row_number() OVER (PARTITION BY usesysid ORDER BY backend_start, pid) AS number FROM visitor
) AS ordered ON numbered = pid,
LATERAL (VALUES
    -- Acting as the owner role, the session of a dropped login works on until it disconnects.
    (visitor.role IS NULL AND place.database_oid IS NOT NULL, 'of a dropped role'),
    -- Also in databases that cannot be closed. There it would use up connections, and keep CREATE DATABASE from copying
    -- template1.
    (logs_in AND visitor.database <> visitor.home, 'in another database than its own'),
    (place.ours AND visitor.role IS NOT NULL AND NOT super AND NOT has_database_privilege(usesysid, datid, 'CONNECT'),
        'without the right to connect'),
    (late, 'past its time, or with changed settings'),
    -- Where the login role's own limit cannot be set. The oldest stay.
    (login.alterable IS FALSE AND visitor.database = visitor.home AND number > login.connections,
        'beyond its limit of connections'),
    -- A transaction that has granted something to a role that is dropped one day, or to another tenant's, keeps it from
    -- being dropped, and lets who drops it wait.
    (visitor.logs_in AND EXISTS (
        SELECT FROM locking WHERE holder = visitor.pid AND (locking.droppable OR locking.home <> visitor.home)
    ), 'with a lock on a role')
) AS problem(found, reason)
WHERE problem.found;
