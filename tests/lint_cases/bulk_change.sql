-- engine: postgresql
-- file: up.sql
-- expect: bulk-change
UPDATE messages SET sent_at = created_at WHERE sent_at IS NULL;
CREATE TABLE IF NOT EXISTS fresh (id bigint);
UPDATE fresh SET id = 1;
-- file: down.sql
SELECT 1;
-- file: verify.sql
-- check: stands
SELECT 1 WHERE false;
