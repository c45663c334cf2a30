-- engine: postgresql
-- file: up.sql
-- expect: endless-wait @1
-- expect: no-verify @0
-- windlass: lock-timeout 0
CREATE TABLE IF NOT EXISTS notes (id bigint);
-- file: down.sql
-- expect: silent-drop
DROP TABLE IF EXISTS notes;
