-- What move_tenant has to know of the tenant's database before it does anything: one JSON object (look.py, Side). It
-- takes the run's lock and changes nothing else.
--
-- Variables: database, owner (its owner role), lock (key of the advisory lock), mark_prefix (of the isolation job's mark).

WITH place AS (SELECT * FROM pg_database WHERE datname = current_database()),
owner AS (SELECT oid FROM pg_roles WHERE rolname = :'owner'),
belonging AS (
    SELECT d.classid, d.objid, refobjid AS owner FROM pg_shdepend AS d
    WHERE dbid = (SELECT oid FROM place) AND deptype = 'o'
    UNION
    SELECT 'pg_class'::regclass, c.oid, relowner FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
    UNION
    SELECT 'pg_proc'::regclass, p.oid, proowner FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
),
own AS (
    SELECT b.owner, i.type, i.identity
    FROM belonging AS b, LATERAL pg_identify_object(b.classid, b.objid, 0) AS i
    WHERE i.type NOT IN ('extension', 'default acl', 'subscription') AND NOT EXISTS (
        SELECT FROM pg_depend AS e WHERE e.classid = b.classid AND e.objid = b.objid AND e.deptype = 'e')
)
SELECT json_build_object(
    'version', current_setting('server_version_num')::int,
    'encoding', pg_encoding_to_char(encoding),
    'collation', datcollate,
    'bytes', pg_database_size(oid),
    'isolated', coalesce(
        shobj_description(oid, 'pg_database') ~ ('^' || :'mark_prefix' || ' [0-9a-f]+ ' || (SELECT oid FROM owner) || '$'),
        false),
    'inherits', coalesce((SELECT pg_has_role(oid, 'USAGE') FROM owner), false),
    'logins', coalesce(
        (SELECT json_agg(rolname ORDER BY rolname) FROM pg_roles
            WHERE rolname ~ ('^' || :'database' || '_g[1-9][0-9]*$')), '[]'),
    'sessions', (SELECT count(*) FROM pg_stat_activity AS s LEFT JOIN pg_roles AS r ON r.oid = usesysid
        WHERE s.datid = place.oid AND usesysid IS NOT NULL
        AND (rolname = session_user OR rolsuper) IS NOT TRUE),
    'foreign', coalesce((SELECT json_agg(format('%s %s (%s)', type, identity, pg_get_userbyid(owner)) ORDER BY 1)
        FROM own WHERE owner IS DISTINCT FROM (SELECT oid FROM owner)), '[]'),
    'belongings', (SELECT count(*) FROM own),
    'schemas', coalesce((SELECT json_agg(nspname ORDER BY nspname) FROM pg_namespace
        WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema')), '[]'),
    'extensions', (SELECT json_object_agg(extname, nspname ORDER BY extname)
        FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace),
    'settings', (SELECT json_agg(name ORDER BY name) FROM pg_settings),
    'alone', pg_try_advisory_lock(:lock)
) FROM place;
