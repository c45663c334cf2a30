-- engine: postgresql
-- file: up.sql
-- windlass: allow bulk-change the table has forty rows
-- expect: bulk-change (the table has forty rows)
DELETE FROM currencies WHERE code = 'XXX';
-- file: down.sql
SELECT 1;
-- file: verify.sql
-- check: stands
SELECT 1 WHERE false;
