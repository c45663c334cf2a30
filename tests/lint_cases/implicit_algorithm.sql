-- engine: mysql
-- file: up.sql
-- expect: implicit-algorithm
ALTER TABLE chats ADD COLUMN note text NULL;
ALTER TABLE chats ADD COLUMN other text NULL, ALGORITHM = INSTANT;
CREATE TABLE IF NOT EXISTS fresh (id int);
ALTER TABLE fresh ADD COLUMN name text;
-- file: down.sql
SELECT 1;
-- file: verify.sql
-- check: stands
SELECT 1 FROM DUAL WHERE 1 = 0;
