-- What is true after cluster.sql has done its work: every login role against every database. Nothing is concluded from
-- what was done. Fills the table `finding` and prints it; prints `note|kind|value` for what this role cannot change and
-- can do without, and for what was counted.

CREATE TEMP TABLE finding (role text, database text, what text);

INSERT INTO finding
SELECT role, d.datname, 'may connect, or create in it'
FROM login, pg_database AS d
WHERE d.datallowconn AND d.oid IS DISTINCT FROM login.database_oid
AND has_database_privilege(role_oid, d.oid, 'CONNECT, TEMPORARY, CREATE')
AND (pg_has_role(d.datdba, 'USAGE') OR EXISTS (SELECT FROM place WHERE place.database_oid = d.oid)
    OR EXISTS (SELECT FROM granted WHERE granted.database_oid = d.oid AND grantee = role_oid));

-- The owner role counts too. On 16 and 17 it is not inherited, so the query above does not cover it.
INSERT INTO finding
SELECT role, database, 'has the privilege ' || lower(privilege) FROM stray;

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
SELECT 'PUBLIC', database, 'has the privilege ' || lower(privilege)
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
-- This role created those roles, which makes it their administrator.
AND m.rolname <> current_user
-- A work login has its own tenant's roles; to take back what that tenant left elsewhere, it may connect there too.
AND (m.rolname ~ :'work_logins' AND (
    regexp_replace(m.rolname, :'suffixes', '') = regexp_replace(r.rolname, :'suffixes', '') OR r.rolname ~ '_access$'
)) IS NOT TRUE;

INSERT INTO finding
SELECT rolname, NULL, 'has rights over the whole cluster'
FROM pg_roles
WHERE rolname ~ :'ours'
AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
    OR rolcanlogin AND rolname ~ '_(access|owner)$')
-- A work login reads all rows of its tenant's tables (droplet/work_login.py), and so does a reader (droplet/sql).
AND ((rolname ~ :'work_logins' OR rolname ~ :'readers') AND NOT (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication)) IS NOT TRUE;

-- The shared catalog says which role owns something or is named in an ACL, in which database: DROP ROLE would fail. The
-- tenant of that database granted it.
INSERT INTO finding
SELECT DISTINCT role, database, CASE WHEN owns THEN 'owns something itself' ELSE 'holds a privilege itself' END FROM hung;
INSERT INTO finding
SELECT DISTINCT role, d.datname, 'holds a privilege itself'
FROM pg_shdepend JOIN login ON refobjid = role_oid JOIN pg_database AS d ON d.oid = objid
WHERE refclassid = 'pg_authid'::regclass AND dbid = 0 AND classid = 'pg_database'::regclass;

-- The run takes back what such a reader holds, and looks again.
INSERT INTO finding
SELECT role, home, 'is past its time, and could not be removed' FROM kin WHERE reads AND NOT open;

SELECT format('finding|%s|%s|%s', role, database, what) AS line FROM finding ORDER BY 1;

-- They hold no tenant's data. A login role sees there that other databases and roles exist, as it does in its own.
SELECT format('note|open|%s', database)
FROM granted
WHERE grantee = 0 AND NOT ours AND privilege = 'CONNECT'
AND EXISTS (SELECT FROM pg_database WHERE oid = database_oid AND datallowconn)
AND NOT EXISTS (SELECT FROM place WHERE place.database_oid = granted.database_oid) ORDER BY 1;
SELECT format('note|not-alterable|%s', role) FROM login WHERE NOT alterable ORDER BY 1;
-- The watch's lock in this database (droplet/names.py): a bigint key is two numbers here.
SELECT format('note|watched|%s', count(*)) FROM pg_locks
WHERE locktype = 'advisory' AND (classid, objid, objsubid) = (0, :watch_lock, 1) AND granted
AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database());
SELECT format('note|places|%s', count(*)) FROM place;
SELECT format('note|logins|%s', count(*)) FROM login;
SELECT format('note|readers|%s', count(*)) FROM kin WHERE open;
