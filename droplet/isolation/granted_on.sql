-- Take back what others granted on with a right that the owner role had given them. Included by clear.sql and reader.sql,
-- as the owner role, behind held.sql.
--
-- Such a grant is taken back with the right that it hangs on, and not by the owner role's own REVOKE or DROP OWNED. The right
-- may be of the whole table and the grant of one column, which no REVOKE of the first reaches: so the right is given once
-- more for exactly that object, and taken back with all that hangs on it. Both are one transaction.

SELECT DISTINCT pg_catalog.format('GRANT %1$s %2$s TO %3$I WITH GRANT OPTION; REVOKE %1$s %2$s FROM %3$I CASCADE',
    privilege, what, rolname)
FROM pg_temp.held JOIN pg_catalog.pg_roles AS r ON r.oid = grantor
WHERE grantor <> owner AND owner = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = :'owner') \gexec
