CREATE TABLE "it's; quoted" ("a""b;" int, "ключ;" text, überschrift int, 数据 text);
INSERT INTO "it's; quoted" ("a""b;", "ключ;") VALUES (1, 'значение; "x"'), (2, E'\'; --');
COMMENT ON COLUMN "it's; quoted"."a""b;" IS 'a; b -- c /* d';
SELECT "E"'x\', "é"e'\';' FROM t;
SELECT arr[1:2], a::text[], x ->> ';', y #>> '{a;b}', z @> '[";"]'::jsonb, (r).f FROM t;
SELECT 1e10, 1.5, .5, 1_000, 0x1F, 5.;
SELECT 1 no_break_space_follows ;
