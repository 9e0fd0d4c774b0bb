-- Rows with all that COPY escapes and a row's text quotes: control characters, NULL and the empty text, arrays, documents,
-- intervals, ranges, composites, bits.
CREATE TYPE pair AS (a text, b int);
CREATE TABLE odd AS SELECT
    n,
    (SELECT string_agg(chr(CASE
        WHEN random() < 0.3 THEN ascii(substr(E'\b\f\n\r\t\v"\\(),''. {}', 1 + (random() * 15)::int, 1))
        ELSE 33 + (random() * 900)::int END), '') FROM generate_series(1, n % 30)) AS words,
    CASE n % 5 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN '\N' WHEN 3 THEN '\.' ELSE E'\\' END AS marks,
    ARRAY['a"b', NULL, E'\\', '', 'NULL'] AS list,
    ROW(E'a,"\n', n)::pair AS pair,
    jsonb_build_object('k', E'"\\\t') AS document,
    n * interval '1.5 hours' AS span,
    random() AS f,
    (random() * 1e-30)::real AS r,
    tstzrange(now(), now() + interval '1 day') AS during,
    now() AS at,
    decode(md5(n::text), 'hex') AS bytes,
    n::bit(20) AS bits,
    NULL::int AS nothing
FROM generate_series(1, 500) AS n;
