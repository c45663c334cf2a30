"""A database in which everything is awkward: names, kinds, grants, constants, data."""

from __future__ import annotations

# Big enough that each table's dump has a block or more of its own.
ROWS = 300

ROLE = """
DO $$ BEGIN CREATE ROLE "reader ü" NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
"""

SCHEMA = """
CREATE SCHEMA "Schr""äg";
CREATE SCHEMA app;
CREATE TYPE app.mood AS ENUM ('sad', 'ok', 'h''appy');
ALTER TYPE app.mood ADD VALUE 'meh' BEFORE 'ok';
CREATE DOMAIN app.email AS text COLLATE "C" DEFAULT 'x@y' CHECK (VALUE ~ '@');
CREATE TYPE app.pair AS (a int, b text COLLATE "C");
CREATE TYPE app.span AS RANGE (subtype = float8);
CREATE TABLE app.thing (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "nä""me" varchar(20) DEFAULT 'a' CHECK ("nä""me" IN ('a', 'b', 'c''], d')),
    n numeric(10, 2) NOT NULL DEFAULT 0,
    twice numeric GENERATED ALWAYS AS (n * 2) STORED,
    moods app.mood[] DEFAULT ARRAY['sad']::app.mood[],
    mail app.email, pair app.pair, span app.span, doc jsonb, raw bytea,
    at timestamptz DEFAULT '2026-01-01 00:00:00+02',
    big text, currency char(3) CHECK (currency IN ('EUR', 'USD'))
);
ALTER TABLE app.thing ADD CONSTRAINT proven CHECK (n > -1) NOT VALID;
ALTER TABLE app.thing ALTER big SET STORAGE EXTERNAL, ALTER big SET STATISTICS 500, ALTER n SET (n_distinct = 5);
ALTER TABLE app.thing SET (fillfactor = 70, autovacuum_enabled = off, toast.autovacuum_enabled = off);
CREATE INDEX thing_low ON app.thing (lower("nä""me") text_pattern_ops DESC, n) WHERE n > 0;
CREATE SEQUENCE app.free INCREMENT 5 MINVALUE -10 CYCLE;
CREATE TABLE "Schr""äg"."Tab.elle" (
    id serial PRIMARY KEY, thing_id bigint REFERENCES app.thing ON DELETE CASCADE DEFERRABLE, x int UNIQUE
);
CREATE TABLE app.event (
    id bigint, at timestamptz NOT NULL, v text CONSTRAINT v_filled CHECK (v <> ''), PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE TABLE app.event_1 PARTITION OF app.event FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-02-01 00:00+00');
CREATE TABLE app.event_rest (
    v text CONSTRAINT v_filled CHECK (v <> ''), id bigint NOT NULL, at timestamptz NOT NULL
);
ALTER TABLE app.event ATTACH PARTITION app.event_rest DEFAULT;
CREATE INDEX event_v ON app.event (v);
CREATE TABLE app.reference (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES app.event);
CREATE UNLOGGED TABLE app.log (x int) WITH (fillfactor = 50);
CREATE TABLE app.child (y int) INHERITS (app.log);
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql SET search_path TO app, pg_temp AS $$
BEGIN
    RETURN NEW;
END $$;
CREATE TRIGGER touch BEFORE UPDATE ON app.thing FOR EACH ROW WHEN (OLD.n <> NEW.n) EXECUTE FUNCTION app.touch();
CREATE TRIGGER event_touch AFTER INSERT ON app.event FOR EACH ROW EXECUTE FUNCTION app.touch();
ALTER TABLE app.thing DISABLE TRIGGER touch;
CREATE PROCEDURE app.work(INOUT a int, b app.pair) LANGUAGE sql AS 'SELECT a';
CREATE AGGREGATE app.total(numeric) (sfunc = numeric_add, stype = numeric, initcond = '0');
CREATE VIEW app.seen WITH (security_barrier) AS
    SELECT thing.*, other.x FROM app.thing LEFT JOIN "Schr""äg"."Tab.elle" other ON other.thing_id = thing.id
    WHERE thing."nä""me" IN ('a', 'b') AND thing.currency NOT IN ('GBP', 'JPY');
CREATE MATERIALIZED VIEW app.counted AS SELECT moods, count(*) AS c FROM app.thing GROUP BY 1;
CREATE UNIQUE INDEX counted_moods ON app.counted (moods);
CREATE RULE keep AS ON DELETE TO app.log DO INSTEAD NOTHING;
ALTER TABLE app.thing ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON app.thing FOR SELECT USING (n > 0 AND "nä""me" IN ('a', 'b'));
CREATE STATISTICS app.related (dependencies) ON n, currency FROM app.thing;
CREATE TEXT SEARCH CONFIGURATION app.words (COPY = simple);
CREATE COLLATION app.plain FROM "C";
CREATE CAST (app.mood AS int) WITH INOUT;
CREATE PUBLICATION changes FOR TABLE app.thing WITH (publish = 'insert');
COMMENT ON TABLE app.thing IS 'a ''table''
on two lines';
COMMENT ON COLUMN app.thing.n IS 'ü';
COMMENT ON INDEX app.thing_low IS 'of an index';
COMMENT ON CONSTRAINT proven ON app.thing IS 'of a constraint';
COMMENT ON FUNCTION app.touch() IS 'of a function';
COMMENT ON TYPE app.mood IS 'of a type';
COMMENT ON SCHEMA app IS 'of a schema';
GRANT USAGE ON SCHEMA app TO "reader ü";
GRANT SELECT, UPDATE (n) ON app.thing TO "reader ü";
GRANT SELECT ON app.seen TO "reader ü" WITH GRANT OPTION;
REVOKE EXECUTE ON FUNCTION app.touch() FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO "reader ü";
ALTER TABLE app.log OWNER TO "reader ü";
"""

DATA = f"""
INSERT INTO app.thing (n, big, currency, pair, span, doc, raw)
SELECT i, repeat(md5(i::text), 20), 'EUR', ROW(i, E'x\\n\\t\\\\ü')::app.pair, app.span(i::float8, i + 1),
       jsonb_build_object('i', i), decode(md5(i::text), 'hex') FROM generate_series(1, {ROWS}) i;
INSERT INTO "Schr""äg"."Tab.elle" (thing_id, x) SELECT i, i FROM generate_series(1, 50) i;
INSERT INTO app.event SELECT i, '2026-01-15'::timestamptz + i * '1 day'::interval, 'v' FROM generate_series(1, 40) i;
INSERT INTO app.log SELECT generate_series(1, 7);
INSERT INTO app.child SELECT i, i FROM generate_series(1, 5) i;
SELECT nextval('app.free');
SELECT lo_from_bytea(0, decode(repeat('deadbeef', 1000), 'hex'));
REFRESH MATERIALIZED VIEW app.counted;
"""
