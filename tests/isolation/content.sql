-- What a tenant's database may hold, as its owner role makes it: each kind of thing that a move has to bring along.
CREATE TYPE membership AS ENUM ('guest', 'member', 'left');
CREATE DOMAIN email AS citext CHECK (value ~ '^[^@]+@[^@]+$');
CREATE TABLE households (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE people (
    id bigserial PRIMARY KEY,
    household int NOT NULL REFERENCES households DEFERRABLE INITIALLY DEFERRED,
    mentor bigint REFERENCES people,
    name text NOT NULL,
    mail email,
    state membership NOT NULL DEFAULT 'guest',
    r numeric(12, 3),
    weight double precision,
    tags text[],
    about jsonb NOT NULL DEFAULT '{}',
    photo bytea,
    seen timestamptz,
    shown text GENERATED ALWAYS AS (name || ' #' || household) STORED,
    gone int
);
ALTER TABLE people DROP COLUMN gone;
CREATE INDEX people_about ON people USING gin (about);
CREATE UNIQUE INDEX people_mail ON people (mail) WHERE state <> 'left';
INSERT INTO households (name) SELECT 'Household ' || n FROM generate_series(1, 500) AS n;
INSERT INTO people (household, name, mail, state, r, weight, tags, about, photo, seen)
SELECT 1 + n % 500, E'Ama "\\\t\n' || n || ' Ünal', 'ama' || n || '@example.org',
    (ARRAY['guest', 'member', 'left'])[1 + n % 3]::membership, n / 7.0, n / 3.0,
    CASE WHEN n % 5 > 0 THEN ARRAY['a,b', NULL, 'ü' || n] END, jsonb_build_object('n', n, 'list', ARRAY[1, n]),
    decode(md5(n::text), 'hex'), '2026-01-01'::timestamptz + n * interval '1 minute'
FROM generate_series(1, 10000) AS n;
UPDATE people SET mentor = id - 1 WHERE id % 3 = 0;
CREATE TABLE visits (day date NOT NULL, person bigint REFERENCES people, note text) PARTITION BY RANGE (day);
CREATE TABLE "visits 2025" PARTITION OF visits FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE visits_rest PARTITION OF visits DEFAULT;
INSERT INTO visits SELECT '2025-12-01'::date + n % 60, n, NULL FROM generate_series(1, 2000) AS n;
CREATE TABLE "Odd Names" ("a ""b""" text, "select" int);
INSERT INTO "Odd Names" VALUES ('\.', 1), (NULL, 2), ('', 3), ('\N', 4);
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES;
CREATE UNLOGGED TABLE cache (key text PRIMARY KEY);
INSERT INTO cache VALUES ('k');
CREATE SEQUENCE receipts START 1000 INCREMENT 5;
SELECT nextval('receipts'), nextval('receipts');
CREATE SEQUENCE untouched;
CREATE VIEW members AS SELECT id, name FROM people WHERE state = 'member' WITH CHECK OPTION;
CREATE MATERIALIZED VIEW counts AS SELECT household, count(*) FROM people GROUP BY 1;
CREATE MATERIALIZED VIEW later AS SELECT household FROM people WITH NO DATA;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    NEW.seen := now();
COMMIT;
SET role = none;
RETURN NEW; END $$;
CREATE TRIGGER note BEFORE UPDATE OF name ON people FOR EACH ROW EXECUTE FUNCTION note();
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
ALTER TABLE people FORCE ROW LEVEL SECURITY;
CREATE POLICY everybody ON people USING (household > 0);
CREATE RULE quiet AS ON DELETE TO members DO INSTEAD NOTHING;
CREATE STATISTICS pairs ON household, state FROM people;
-- psql would take `:owner` of a slice for a variable, where one has that name (droplet/move_tenant/session.py).
CREATE TABLE slices (list int[], lock int, owner int, database int);
CREATE VIEW slice AS SELECT list[lock:owner] AS one, list[lock:database] AS other FROM slices;
CREATE TABLE reports.monthly (month date PRIMARY KEY, total int);
-- It is never refreshed.
CREATE MATERIALIZED VIEW months AS SELECT month FROM reports.monthly;
INSERT INTO reports.monthly VALUES ('2026-01-01', 7);
COMMENT ON TABLE people IS 'Everybody';
GRANT SELECT ON people TO PUBLIC;
