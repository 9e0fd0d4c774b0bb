-- Every privilege that somebody was given on an object of this database, one a row. Included by clear.sql and reader.sql.
-- It reads catalogs alone.
--
-- what is for GRANT and REVOKE, behind the privilege: `ON TABLE public.people`, `(name) ON TABLE public.people`.
-- reads: whether it is what a reader may hold (droplet/sql/reader.py). USAGE of a sequence would let it write.

CREATE TEMP VIEW held AS
SELECT object.owner, object.what, acl.grantor, acl.grantee, acl.privilege_type AS privilege, acl.is_grantable AS grantable,
    (kind IN ('relation', 'column') AND acl.privilege_type = 'SELECT'
        OR kind = 'schema' AND acl.privilege_type = 'USAGE') AS reads
FROM (
    SELECT 'relation' AS kind, relowner AS owner, relacl AS acl, pg_catalog.format('ON %s %s',
        CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, oid::pg_catalog.regclass) AS what
    FROM pg_catalog.pg_class
    UNION ALL
    SELECT 'column', relowner, attacl, pg_catalog.format('(%I) ON TABLE %s', attname, attrelid::pg_catalog.regclass)
    FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_class AS c ON c.oid = attrelid WHERE NOT attisdropped
    UNION ALL
    SELECT 'routine', proowner, proacl, pg_catalog.format('ON ROUTINE %s', oid::pg_catalog.regprocedure)
    FROM pg_catalog.pg_proc
    UNION ALL
    SELECT 'schema', nspowner, nspacl, pg_catalog.format('ON SCHEMA %I', nspname) FROM pg_catalog.pg_namespace
    UNION ALL
    SELECT 'type', typowner, typacl, pg_catalog.format('ON TYPE %s', oid::pg_catalog.regtype) FROM pg_catalog.pg_type
    UNION ALL
    SELECT 'large object', lomowner, lomacl, pg_catalog.format('ON LARGE OBJECT %s', oid)
    FROM pg_catalog.pg_largeobject_metadata
) AS object, LATERAL pg_catalog.aclexplode(object.acl) AS acl
WHERE object.acl IS NOT NULL;
