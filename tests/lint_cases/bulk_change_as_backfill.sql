-- engine: postgresql
-- file: up.sql
-- windlass: no-transaction
-- windlass: backfill table=messages key=id batch=5000
UPDATE messages SET sent_at = created_at WHERE sent_at IS NULL /* windlass: batch */;
-- file: down.sql
SELECT 1;
-- file: verify.sql
-- check: stands
SELECT 1 WHERE false;
