-- engine: postgresql
-- file: up.sql
ALTER TABLE messages ADD COLUMN IF NOT EXISTS kind text;
-- expect: bulk-change
-- expect: long-lock
UPDATE messages SET kind = 'plain';
-- file: down.sql
SELECT 1;
-- file: verify.sql
-- check: stands
SELECT 1 WHERE false;
