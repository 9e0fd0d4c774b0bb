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

-- Privileges that a role of ours holds beyond those that cluster.sql grants.
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
