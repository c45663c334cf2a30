-- engine: mssql
-- file: up.sql
-- A batch holds several statements; each is looked at, with its own line, whatever guards it.
IF COL_LENGTH(N'dbo.messages', N'kind') IS NULL
    ALTER TABLE dbo.messages ADD kind int NULL;
-- expect: bulk-change
-- expect: long-lock
UPDATE dbo.messages SET kind = 1 WHERE kind IS NULL;
GO
DECLARE @seen TABLE (id int);
INSERT INTO @seen (id) SELECT 1;
-- expect: bulk-change
-- expect: long-lock
IF 1 = 1 DELETE dbo.messages WHERE kind = 2 ELSE DELETE FROM @seen;
-- expect: long-lock
UPDATE TOP (500) dbo.messages SET kind = 3;
GO
CREATE TABLE dbo.fresh (id int NOT NULL, of_message int NULL REFERENCES dbo.messages (id) ON DELETE CASCADE);
-- expect: long-lock
UPDATE dbo.fresh SET id = 1;
GO
CREATE PROCEDURE dbo.claim AS
UPDATE dbo.messages SET kind = 4;
GO
-- file: down.sql
-- expect: silent-drop
IF OBJECT_ID(N'dbo.fresh') IS NOT NULL DROP TABLE dbo.fresh;
-- file: verify.sql
-- check: stands
SELECT 1 WHERE 1 = 0;
