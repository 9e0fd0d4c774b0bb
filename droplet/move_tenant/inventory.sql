-- What a tenant's database holds, as lines of JSON: [kind, name, value]. Two databases that give the same lines hold the
-- same. For psql, inside a transaction, as a role that may read all of it. It writes nothing.
--
-- Names, columns, flags and source texts are compared, but no text that a server writes from its own catalog (views,
-- defaults, conditions): another major version may write it differently. Contents are compared row by row: the sum over
-- all rows of the first 64 bits of each row's MD5, which needs no order.

SET LOCAL search_path = '';
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL intervalstyle = 'postgres';
SET LOCAL timezone = 'UTC';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1;
SET LOCAL lc_monetary = 'C';
-- An error instead of a part of the rows.
SET LOCAL row_security = off;

SELECT json_build_array(kind, name, value) FROM (
    WITH own AS (
        SELECT c.* FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
        AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend
            WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = c.oid AND deptype = 'e')
    )
    SELECT 'table' AS kind, oid::regclass::text AS name,
        concat_ws(' ', relkind, relpersistence, relreplident, relrowsecurity, relforcerowsecurity, relispartition,
            CASE WHEN NOT relispopulated THEN 'not populated' END) AS value
    FROM own WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
    UNION ALL
    SELECT 'column', format('%s.%I', attrelid::regclass, attname), concat_ws(
        ' ', format_type(atttypid, atttypmod), attnotnull, nullif(attidentity, ''), nullif(attgenerated, ''), atthasdef,
        -- 100 is the oid of "default", the database's own collation (pg_collation.dat).
        CASE WHEN attcollation NOT IN (0, 100) THEN attcollation::regcollation END)
    FROM own JOIN pg_catalog.pg_attribute ON attrelid = own.oid
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT 'index', indexrelid::regclass::text, concat_ws(' ', indrelid::regclass, indisunique, indisprimary, indisvalid)
    FROM own JOIN pg_catalog.pg_index ON indexrelid = own.oid
    UNION ALL
    SELECT 'constraint', format('%s.%I', conrelid::regclass, conname),
        concat_ws(' ', contype, convalidated, condeferrable, condeferred, nullif(confrelid, 0)::regclass)
    -- n: NOT NULL, which 18 has as a constraint; the column's line says it already.
    FROM own JOIN pg_catalog.pg_constraint ON conrelid = own.oid WHERE contype <> 'n'
    UNION ALL
    SELECT 'trigger', format('%s.%I', tgrelid::regclass, tgname), format('%s %s', tgenabled, tgfoid::regproc)
    FROM own JOIN pg_catalog.pg_trigger ON tgrelid = own.oid WHERE NOT tgisinternal
    UNION ALL
    SELECT 'rule', format('%s.%I', ev_class::regclass, rulename), concat_ws(' ', ev_type, ev_enabled, is_instead)
    FROM own JOIN pg_catalog.pg_rewrite ON ev_class = own.oid
    UNION ALL
    SELECT 'policy', format('%s.%I', polrelid::regclass, polname), concat_ws(' ', polcmd, polpermissive)
    FROM own JOIN pg_catalog.pg_policy ON polrelid = own.oid
    UNION ALL
    SELECT 'sequence', seqrelid::regclass::text,
        concat_ws(' ', seqtypid::regtype, seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle)
    FROM own JOIN pg_catalog.pg_sequence ON seqrelid = own.oid
    UNION ALL
    SELECT 'function', pg_proc.oid::regprocedure::text, concat_ws(' ', prokind, prosecdef, provolatile, md5(prosrc))
    FROM pg_catalog.pg_proc JOIN pg_catalog.pg_namespace AS n ON n.oid = pronamespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend
        WHERE classid = 'pg_catalog.pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e')
    UNION ALL
    SELECT 'enum', enumtypid::regtype::text, string_agg(enumlabel, ',' ORDER BY enumsortorder)
    FROM pg_catalog.pg_enum GROUP BY enumtypid
    UNION ALL
    SELECT 'extension', extname, nspname
    FROM pg_catalog.pg_extension JOIN pg_catalog.pg_namespace AS n ON n.oid = extnamespace
    UNION ALL
    -- Everything that can have an owner, of every kind.
    SELECT 'owner of ' || i.type, i.identity, pg_get_userbyid(refobjid)
    FROM pg_catalog.pg_shdepend AS d, LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) AS i
    WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) AND deptype = 'o'
    -- Rights are not copied: no other role than the owner and its members has any. Extensions are listed above.
    AND i.type NOT IN ('default acl', 'extension', 'subscription')
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')
) AS line ORDER BY kind COLLATE "C", name COLLATE "C";

-- Each table's own rows: tables that inherit from it have a line of their own. None of a materialized view: a copy of it
-- is computed anew, and the original is as old as its last REFRESH.
SELECT format(
    'SELECT json_build_array(''content'', %L, format(''%%s rows, %%s'', count(*), '
    'coalesce(sum((''x'' || left(md5((r.*)::text), 16))::bit(64)::bigint), 0))) FROM ONLY %s AS r', c.oid::regclass, c.oid::regclass)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
WHERE relkind = 'r' AND nspname !~ '^pg_' AND nspname <> 'information_schema'
AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend
    WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = c.oid AND deptype = 'e')
ORDER BY c.oid::regclass::text COLLATE "C" \gexec

SELECT format(
    'SELECT json_build_array(''position'', %L, format(''%%s %%s'', last_value, is_called)) FROM %s',
    seqrelid::regclass, seqrelid::regclass)
FROM pg_catalog.pg_sequence
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend
    WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = seqrelid AND deptype = 'e')
ORDER BY seqrelid::regclass::text COLLATE "C" \gexec

SELECT json_build_array('content', 'large objects', format(
    '%s, %s', count(*), coalesce(sum(('x' || left(md5(lo_get(oid)), 16))::bit(64)::bigint), 0)))
FROM pg_catalog.pg_largeobject_metadata;
