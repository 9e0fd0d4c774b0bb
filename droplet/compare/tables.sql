-- The tables of a church's database, as lines of JSON: their columns, and those of the primary key. For psql, as a login
-- that may read all of it; nothing but catalogs is read. Rows of tables that inherit, and of partitions, are in those;
-- materialized views are computed from tables.

SELECT pg_catalog.json_build_object(
    'name', c.oid::pg_catalog.regclass::text,
    'columns', coalesce((
        SELECT pg_catalog.json_agg(attname ORDER BY attnum) FROM pg_catalog.pg_attribute
        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped), '[]'),
    'key', coalesce((
        SELECT pg_catalog.json_agg(attname ORDER BY place)
        FROM pg_catalog.pg_index, LATERAL pg_catalog.unnest(indkey::int[]) WITH ORDINALITY AS part(number, place)
        JOIN pg_catalog.pg_attribute ON attnum = part.number
        WHERE indrelid = c.oid AND indisprimary AND attrelid = c.oid), '[]'))
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
WHERE relkind = 'r' AND relpersistence <> 't' AND nspname !~ '^pg_' AND nspname <> 'information_schema'
AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND deptype = 'e')
ORDER BY c.oid::pg_catalog.regclass::text COLLATE "C";
