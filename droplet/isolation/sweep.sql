-- Close the databases that anybody may enter, and end the sessions that have no right to be where they are. Included by
-- cluster.sql, and run by the watch every two seconds. Needs settings.sql and views.sql; prints `note|kind|value`.

-- 1. Every database whose owner's rights this role has: those of tenants, defaultdb, and others that doadmin owns.
SELECT DISTINCT format('note|closed|%s', database) FROM granted
WHERE ours AND grantee = 0 AND privilege = 'CONNECT' AND database ~ :'databases';
SELECT DISTINCT format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', database)
FROM granted WHERE ours AND grantee = 0 ORDER BY 1 \gexec

-- 2. Sessions. They are noted first and ended by later statements, whose snapshot includes every role that a session seen
-- before can have.
CREATE TEMP TABLE IF NOT EXISTS sweep (pid int, usesysid oid, datid oid, reason text);
TRUNCATE sweep;
INSERT INTO sweep SELECT DISTINCT ON (pid) pid, usesysid, datid, reason FROM intruder ORDER BY pid, reason;
DELETE FROM sweep WHERE reason = 'of a dropped role' AND EXISTS (SELECT FROM pg_roles WHERE oid = usesysid);

-- Ending a session takes pg_signal_backend, or the rights of the session's role. On 15 a role with CREATEROLE may grant
-- itself both, from 16 on what it has ADMIN OPTION on.
SELECT 'GRANT pg_signal_backend TO CURRENT_USER'
WHERE EXISTS (SELECT FROM sweep) AND NOT pg_has_role('pg_signal_backend', 'USAGE')
AND (NOT :'by_membership' OR pg_has_role('pg_signal_backend', 'USAGE WITH ADMIN OPTION')) \gexec
SELECT DISTINCT format('GRANT %I TO CURRENT_USER WITH INHERIT TRUE, SET FALSE', role)
FROM sweep JOIN kin ON role_oid = usesysid
WHERE :'by_membership' AND administered AND NOT rights AND NOT pg_has_role('pg_signal_backend', 'USAGE') \gexec

SELECT format('note|%s|%s', CASE WHEN pg_terminate_backend(pid) THEN 'ended' ELSE 'gone' END,
    format('%s, %s: %s', coalesce(role, 'a dropped role'), visitor.database, reason))
FROM sweep JOIN visitor USING (pid, usesysid, datid) WHERE may_end;
SELECT format('note|%s|%s', CASE reason WHEN 'of a dropped role' THEN 'orphans' ELSE 'unendable' END,
    format('%s, %s: %s', coalesce(role, 'a dropped role'), visitor.database, reason))
FROM sweep JOIN visitor USING (pid, usesysid, datid) WHERE NOT may_end;

-- 3. Work logins whose maker is gone: nobody holds the lock any more that it takes with them.
CREATE TEMP TABLE IF NOT EXISTS abandoned (role_oid oid, role text);
TRUNCATE abandoned;
INSERT INTO abandoned
SELECT role_oid, role FROM kin
WHERE CASE WHEN works THEN pg_try_advisory_lock(:work_lock::bigint << 32 | role_oid::bigint) ELSE false END;
SELECT format('GRANT %I TO CURRENT_USER', role) FROM abandoned JOIN kin USING (role_oid, role) WHERE NOT rights \gexec
-- In the list, not in a condition, which the planner might try on other sessions before the join.
SELECT format('note|%s|%s, %s: its work is over',
    CASE WHEN pg_terminate_backend(pid, 1000) THEN 'ended' ELSE 'gone' END, usename, datname)
FROM pg_stat_activity JOIN abandoned ON usesysid = role_oid;
SELECT format('DROP ROLE %I', role)
FROM abandoned WHERE NOT EXISTS (SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = role_oid)
\gexec
SELECT count(pg_advisory_unlock(:work_lock::bigint << 32 | role_oid::bigint)) AS ignored FROM abandoned \gset

-- 4. Readers whose time is over: first what they hold in their database is taken back (late.py), then they go.
CREATE TEMP TABLE IF NOT EXISTS over (role_oid oid, role text, home text);
TRUNCATE over;
INSERT INTO over SELECT role_oid, role, home FROM kin WHERE reads AND NOT open;
SELECT format('REVOKE ALL ON DATABASE %I FROM %I', database, role)
FROM granted JOIN over ON role_oid = grantee WHERE ours ORDER BY 1 \gexec
SELECT format('note|readers-%s|%s', CASE WHEN timely THEN 'changed' ELSE 'over' END, role)
FROM over JOIN kin USING (role_oid, role)
WHERE NOT EXISTS (SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = role_oid) ORDER BY 1;
SELECT format('DROP ROLE %I', role) FROM over
WHERE NOT EXISTS (SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = role_oid) ORDER BY 1
\gexec
SELECT DISTINCT format('reader|%s|%s', home, role)
FROM over JOIN pg_shdepend ON refobjid = role_oid JOIN pg_database AS d ON d.oid = dbid AND d.datname = home
WHERE refclassid = 'pg_authid'::regclass ORDER BY 1;

-- 5. What a tenant's own login has to clear (clear.sql): the tenant that owns something in another database or by a login
-- role, and the tenant in whose database something was granted to a role of another or to a login role.
SELECT DISTINCT format('clear|%s|%s', tenant, database) FROM (
    SELECT home AS tenant, database FROM hung WHERE owns
    UNION ALL
    SELECT place.database, place.database FROM hung JOIN place USING (database_oid)
    UNION ALL
    SELECT regexp_replace(role, :'suffixes', ''), datname
    FROM abandoned JOIN pg_shdepend ON refobjid = role_oid JOIN pg_database AS d ON d.oid = dbid
    WHERE refclassid = 'pg_authid'::regclass
) AS task
WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = tenant || '_owner')
AND EXISTS (SELECT FROM pg_roles WHERE rolname = tenant || '_access') ORDER BY 1;
