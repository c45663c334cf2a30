-- engine: postgresql
-- file: up.sql
-- expect: squawk/require-concurrent-index-creation
CREATE INDEX IF NOT EXISTS messages_kind ON messages (kind);
-- expect: squawk/adding-required-field
ALTER TABLE messages ADD COLUMN IF NOT EXISTS state text NOT NULL;
-- expect: squawk/changing-column-type
ALTER TABLE messages ALTER COLUMN id TYPE bigint;
-- file: down.sql
SELECT 1;
-- file: verify.sql
-- check: stands
SELECT 1 WHERE false;
