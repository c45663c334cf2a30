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
-- expect: add-index very low (S)
CREATE NONCLUSTERED INDEX IX_Patients_A ON dbo.Patients (A);
-- expect: add-index medium (S)
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
-- A clustered index is the table: it is written anew, and nobody may read it meanwhile.
-- expect: add-index high (Sch-M)
CREATE UNIQUE CLUSTERED INDEX IX_Visits ON Visits (A);
-- expect: add-index low (IS, and S or Sch-M for a moment)
CREATE UNIQUE NONCLUSTERED INDEX IX_Visits ON Visits (A) INCLUDE (B) WHERE A IS NOT NULL WITH (ONLINE = ON);
-- What is not the same for all rows is written into each of them.
-- expect: add-column high (Sch-M)
-- expect: add-column high (Sch-M)
ALTER TABLE Visits ADD Token uniqueidentifier NOT NULL CONSTRAINT DF_Token DEFAULT NEWID(), Version rowversion;
-- expect: add-column zero (Sch-M)
ALTER TABLE Visits ADD Seen datetime2 NOT NULL CONSTRAINT DF_Seen DEFAULT SYSUTCDATETIME();
-- expect: add-column high (Sch-M)
ALTER TABLE Visits ADD Total AS (A + B) PERSISTED;
-- expect: add-column high (Sch-M)
ALTER TABLE Visits ADD State int NULL CONSTRAINT DF_State DEFAULT 0 WITH VALUES;
-- WITH CHECK is what a new constraint does anyway; WITH NOCHECK looks at no row.
-- expect: add-constraint medium breaking (Sch-M)
ALTER TABLE Visits WITH CHECK ADD CONSTRAINT FK_Visits FOREIGN KEY (A) REFERENCES dbo.Patients (A);
-- expect: add-constraint low breaking (Sch-M)
ALTER TABLE Visits WITH NOCHECK ADD CONSTRAINT FK_Visits FOREIGN KEY (A) REFERENCES dbo.Patients (A);
-- expect: validate-constraint low (Sch-M)
ALTER TABLE Visits WITH CHECK CHECK CONSTRAINT FK_Visits;
-- expect: set-option low (Sch-M)
ALTER TABLE Visits NOCHECK CONSTRAINT FK_Visits;
-- expect: relax-column very low (Sch-M)
ALTER TABLE Visits ADD CONSTRAINT DF_A DEFAULT (0) FOR A;
-- expect: drop-constraint low (Sch-M)
-- expect: drop-constraint low (Sch-M)
ALTER TABLE Visits DROP CONSTRAINT DF_A, FK_Visits;
-- expect: add-constraint medium breaking (Sch-M)
ALTER TABLE Visits ADD CONSTRAINT PK_Visits PRIMARY KEY CLUSTERED (A);
-- expect: rebuild high (Sch-M)
ALTER INDEX IX_Visits ON Visits REBUILD;
-- expect: rebuild low (IS, and S or Sch-M for a moment)
ALTER INDEX IX_Visits ON Visits REBUILD WITH (ONLINE = ON);
-- expect: drop-index low (Sch-M)
ALTER INDEX IX_Visits ON Visits DISABLE;
-- expect: drop-index low (Sch-M)
DROP INDEX IF EXISTS IX_Visits ON Visits;
-- expect: detach-partition medium breaking (Sch-M)
-- expect: attach-partition low (Sch-M)
ALTER TABLE Visits SWITCH PARTITION 1 TO dbo.Old PARTITION 1;
-- expect: rename high breaking (Sch-M)
ALTER SCHEMA archive TRANSFER dbo.Visits;
-- expect: set-option low (Sch-M)
DISABLE TRIGGER ALL ON dbo.Visits;
-- expect: take-right medium breaking
DENY SELECT ON dbo.Visits TO clerks;
-- Statistics and waiting change nothing that an application sees.
UPDATE STATISTICS dbo.Visits;
