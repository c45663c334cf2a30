-- engine: tsql
-- stands: dbo.Patients 40000
-- stands: Visits 4000000

-- expect: add-column zero (Sch-M)
-- expect: add-column zero (Sch-M)
ALTER TABLE dbo.Patients ADD Note nvarchar(50) NULL, State int NOT NULL CONSTRAINT DF_State DEFAULT 0;
-- expect: add-column medium breaking (Sch-M)
ALTER TABLE dbo.Patients ADD Owner int NOT NULL;
-- What an IF guards is judged as if it ran.
-- expect: add-column zero (Sch-M)
IF COL_LENGTH('dbo.Patients', 'A') IS NULL ALTER TABLE dbo.Patients ADD A int NULL;
-- expect: modify-column high breaking hard (Sch-M)
ALTER TABLE dbo.Patients ALTER COLUMN A bigint NOT NULL;
-- expect: add-index very low (S (Sch-M for a clustered one))
CREATE NONCLUSTERED INDEX IX_Patients_A ON dbo.Patients (A);
-- expect: add-index medium (S (Sch-M for a clustered one))
CREATE INDEX IX_Visits ON Visits (A);
-- expect: add-index very low (IS, and S or Sch-M for a moment)
CREATE INDEX IX_Visits ON Visits (A) WITH (ONLINE = ON);
-- expect: drop-column high breaking no data-loss (Sch-M)
ALTER TABLE dbo.Patients DROP COLUMN A;
-- expect: drop-constraint low (Sch-M)
ALTER TABLE dbo.Patients DROP CONSTRAINT DF_State;
-- expect: rename high breaking (Sch-M)
EXEC sp_rename 'dbo.Patients.A', 'B', 'COLUMN';
-- expect: add-object zero
CREATE PROCEDURE dbo.claim AS SELECT 1;
-- expect: replace-object low
CREATE OR ALTER PROCEDURE dbo.claim2 AS SELECT 1;
-- The text of sp_executesql is read where it stands in the batch.
-- expect: add-object zero
EXEC sys.sp_executesql N'CREATE PROCEDURE dbo.claim3 AS SELECT 1';
-- expect: opaque medium hard
EXEC sys.sp_executesql @change;
-- What belongs to the session is nobody else's, and a refusal does nothing.
-- expect: insert-rows very low (each changed row)
DECLARE @seen TABLE (id int); INSERT INTO @seen (id) SELECT 1; INSERT INTO dbo.Patients (Owner) SELECT id FROM @seen; IF @a = 1 BEGIN RAISERROR (N'no', 16, 1); END;
