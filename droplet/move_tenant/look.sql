-- What move_tenant has to know of the tenant's database before it does anything: one JSON object (look.py, Side). It
-- takes the run's lock and changes nothing else. The administrator runs it, so that it reads catalogs and nothing of the
-- tenant's: every name is qualified, and operators are pg_catalog's because the search_path is empty (droplet/postgres.py).
--
-- Variables: database, owner (its owner role), lock (key of the advisory lock), mark_name (of the isolation job's mark),
-- work (what follows a database's name in a work login's), extensions (the schema that holds them).

SET search_path = '';
WITH place AS (
    SELECT * FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
),
owner AS (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = :'owner'),
belonging AS (
    SELECT d.classid, d.objid, refobjid AS owner FROM pg_catalog.pg_shdepend AS d
    WHERE dbid = (SELECT oid FROM place) AND deptype = 'o'
    UNION
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid, relowner
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
    UNION
    SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, proowner
    FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = pronamespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
),
own AS (
    SELECT b.owner, i.type, i.identity
    FROM belonging AS b, LATERAL pg_catalog.pg_identify_object(b.classid, b.objid, 0) AS i
    WHERE i.type NOT IN ('extension', 'default acl', 'subscription')
    -- The isolation job's, with what it made in it.
    AND NOT (i.type = 'schema' AND i.identity = :'extensions')
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = b.classid AND e.objid = b.objid AND e.deptype = 'e')
)
SELECT pg_catalog.json_build_object(
    'version', pg_catalog.current_setting('server_version_num')::int,
    'encoding', pg_catalog.pg_encoding_to_char(encoding),
    'collation', datcollate,
    'bytes', pg_catalog.pg_database_size(oid),
    'isolated', coalesce(
        pg_catalog.shobj_description(oid, 'pg_database')
            ~ pg_catalog.format('"%s": "[0-9a-f]+ %s"', :'mark_name', (SELECT oid FROM owner)),
        false),
    'logins', coalesce(
        (SELECT pg_catalog.json_agg(rolname ORDER BY rolname) FROM pg_catalog.pg_roles
            WHERE rolname ~ pg_catalog.format('^%s_g[1-9][0-9]*$', :'database')), '[]'),
    'sessions', (
        SELECT pg_catalog.count(*)
        FROM pg_catalog.pg_stat_activity AS s LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = usesysid
        WHERE s.datid = place.oid AND usesysid IS NOT NULL
        AND (rolname = session_user OR rolsuper OR rolname ~ pg_catalog.format('^%s%s$', :'database', :'work')) IS NOT TRUE),
    'foreign', coalesce(
        (SELECT pg_catalog.json_agg(
            pg_catalog.format('%s %s (%s)', type, identity, pg_catalog.pg_get_userbyid(owner)) ORDER BY 1)
        FROM own WHERE owner IS DISTINCT FROM (SELECT oid FROM owner)), '[]'),
    'belongings', (SELECT pg_catalog.count(*) FROM own),
    'schemas', coalesce((
        SELECT pg_catalog.json_agg(nspname ORDER BY nspname) FROM pg_catalog.pg_namespace
        WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema', :'extensions')), '[]'),
    'extensions', (
        SELECT pg_catalog.json_object_agg(extname, nspname ORDER BY extname)
        FROM pg_catalog.pg_extension JOIN pg_catalog.pg_namespace AS n ON n.oid = extnamespace),
    'settings', (SELECT pg_catalog.json_agg(name ORDER BY name) FROM pg_catalog.pg_settings),
    'forced', coalesce((
        SELECT pg_catalog.json_agg(pg_catalog.format('%I.%I', nspname, relname) ORDER BY nspname, relname)
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
        WHERE relrowsecurity AND relforcerowsecurity), '[]'),
    'bypasses', (SELECT rolbypassrls OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user),
    'alone', pg_catalog.pg_try_advisory_lock(:lock)
) FROM place;
