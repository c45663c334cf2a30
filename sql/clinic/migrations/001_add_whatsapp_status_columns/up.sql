-- windlass: no-transaction
-- windlass: rerunnable
-- windlass: lock-timeout 5s
-- windlass: requires 000_standing_tables
--
-- Moves the messages from yes-or-no flags to a status: 0 PENDING, 1 PROCESSING, 2 SENT, 3 FAILED. The old flags stay,
-- for old code. Each step looks first, so any part of this state is brought to the whole, and a second run changes
-- nothing.
--
-- There is no transaction around it all, because that would lock the tables until the last row is converted. Each
-- change has a batch of its own, and its lock is gone before the next one. Nullable columns come at once; the six with
-- a default do on Enterprise and Azure, while other editions write each row for each of them. A check reads its table
-- once. Rows are converted 4,000 at a time, because at 5,000 locks the server would lock the table (by hand they are
-- converted all at once). The indexes are built online where the edition can.
SET QUOTED_IDENTIFIER ON;
GO

IF COL_LENGTH(N'dbo.Clinic_PatientsAppointments', N'WhatsAppStatus') IS NULL
    ALTER TABLE dbo.Clinic_PatientsAppointments ADD WhatsAppStatus tinyint NOT NULL
        CONSTRAINT DF_Clinic_PatientsAppointments_WhatsAppStatus DEFAULT (0);
GO
IF COL_LENGTH(N'dbo.Clinic_PatientsAppointments', N'WhatsAppWorkerID') IS NULL
    ALTER TABLE dbo.Clinic_PatientsAppointments ADD WhatsAppWorkerID nvarchar(128) NULL;
GO
IF COL_LENGTH(N'dbo.Clinic_PatientsAppointments', N'WhatsAppProcessedAt') IS NULL
    ALTER TABLE dbo.Clinic_PatientsAppointments ADD WhatsAppProcessedAt datetime2(3) NULL;
GO
IF COL_LENGTH(N'dbo.Clinic_PatientsAppointments', N'WhatsAppRetryCount') IS NULL
    ALTER TABLE dbo.Clinic_PatientsAppointments ADD WhatsAppRetryCount int NOT NULL
        CONSTRAINT DF_Clinic_PatientsAppointments_WhatsAppRetryCount DEFAULT (0);
GO
IF COL_LENGTH(N'dbo.Clinic_PatientsAppointments', N'ScheduleWhatsAppStatus') IS NULL
    ALTER TABLE dbo.Clinic_PatientsAppointments ADD ScheduleWhatsAppStatus tinyint NOT NULL
        CONSTRAINT DF_Clinic_PatientsAppointments_ScheduleWhatsAppStatus DEFAULT (0);
GO
IF COL_LENGTH(N'dbo.Clinic_PatientsAppointments', N'ScheduleWhatsAppWorkerID') IS NULL
    ALTER TABLE dbo.Clinic_PatientsAppointments ADD ScheduleWhatsAppWorkerID nvarchar(128) NULL;
GO
IF COL_LENGTH(N'dbo.Clinic_PatientsAppointments', N'ScheduleWhatsAppProcessedAt') IS NULL
    ALTER TABLE dbo.Clinic_PatientsAppointments ADD ScheduleWhatsAppProcessedAt datetime2(3) NULL;
GO
IF COL_LENGTH(N'dbo.Clinic_PatientsAppointments', N'ScheduleWhatsAppRetryCount') IS NULL
    ALTER TABLE dbo.Clinic_PatientsAppointments ADD ScheduleWhatsAppRetryCount int NOT NULL
        CONSTRAINT DF_Clinic_PatientsAppointments_ScheduleWhatsAppRetryCount DEFAULT (0);
GO
IF COL_LENGTH(N'dbo.Clinic_PatientsTelNumbers', N'WhatsAppStatus') IS NULL
    ALTER TABLE dbo.Clinic_PatientsTelNumbers ADD WhatsAppStatus tinyint NOT NULL
        CONSTRAINT DF_Clinic_PatientsTelNumbers_WhatsAppStatus DEFAULT (0);
GO
IF COL_LENGTH(N'dbo.Clinic_PatientsTelNumbers', N'WhatsAppWorkerID') IS NULL
    ALTER TABLE dbo.Clinic_PatientsTelNumbers ADD WhatsAppWorkerID nvarchar(128) NULL;
GO
IF COL_LENGTH(N'dbo.Clinic_PatientsTelNumbers', N'WhatsAppProcessedAt') IS NULL
    ALTER TABLE dbo.Clinic_PatientsTelNumbers ADD WhatsAppProcessedAt datetime2(3) NULL;
GO
IF COL_LENGTH(N'dbo.Clinic_PatientsTelNumbers', N'WhatsAppRetryCount') IS NULL
    ALTER TABLE dbo.Clinic_PatientsTelNumbers ADD WhatsAppRetryCount int NOT NULL
        CONSTRAINT DF_Clinic_PatientsTelNumbers_WhatsAppRetryCount DEFAULT (0);
GO

-- Defaults that a column which stood before may lack, and the checks on the values of a status.
IF NOT EXISTS (SELECT 1 FROM sys.default_constraints
               WHERE parent_object_id = OBJECT_ID(N'dbo.Clinic_PatientsAppointments', N'U')
                 AND COL_NAME(parent_object_id, parent_column_id) = N'WhatsAppStatus')
    ALTER TABLE dbo.Clinic_PatientsAppointments
        ADD CONSTRAINT DF_Clinic_PatientsAppointments_WhatsAppStatus DEFAULT (0) FOR WhatsAppStatus;
IF NOT EXISTS (SELECT 1 FROM sys.default_constraints
               WHERE parent_object_id = OBJECT_ID(N'dbo.Clinic_PatientsAppointments', N'U')
                 AND COL_NAME(parent_object_id, parent_column_id) = N'WhatsAppRetryCount')
    ALTER TABLE dbo.Clinic_PatientsAppointments
        ADD CONSTRAINT DF_Clinic_PatientsAppointments_WhatsAppRetryCount DEFAULT (0) FOR WhatsAppRetryCount;
IF NOT EXISTS (SELECT 1 FROM sys.default_constraints
               WHERE parent_object_id = OBJECT_ID(N'dbo.Clinic_PatientsAppointments', N'U')
                 AND COL_NAME(parent_object_id, parent_column_id) = N'ScheduleWhatsAppStatus')
    ALTER TABLE dbo.Clinic_PatientsAppointments
        ADD CONSTRAINT DF_Clinic_PatientsAppointments_ScheduleWhatsAppStatus DEFAULT (0) FOR ScheduleWhatsAppStatus;
IF NOT EXISTS (SELECT 1 FROM sys.default_constraints
               WHERE parent_object_id = OBJECT_ID(N'dbo.Clinic_PatientsAppointments', N'U')
                 AND COL_NAME(parent_object_id, parent_column_id) = N'ScheduleWhatsAppRetryCount')
    ALTER TABLE dbo.Clinic_PatientsAppointments
        ADD CONSTRAINT DF_Clinic_PatientsAppointments_ScheduleWhatsAppRetryCount DEFAULT (0) FOR ScheduleWhatsAppRetryCount;
IF NOT EXISTS (SELECT 1 FROM sys.default_constraints
               WHERE parent_object_id = OBJECT_ID(N'dbo.Clinic_PatientsTelNumbers', N'U')
                 AND COL_NAME(parent_object_id, parent_column_id) = N'WhatsAppStatus')
    ALTER TABLE dbo.Clinic_PatientsTelNumbers
        ADD CONSTRAINT DF_Clinic_PatientsTelNumbers_WhatsAppStatus DEFAULT (0) FOR WhatsAppStatus;
IF NOT EXISTS (SELECT 1 FROM sys.default_constraints
               WHERE parent_object_id = OBJECT_ID(N'dbo.Clinic_PatientsTelNumbers', N'U')
                 AND COL_NAME(parent_object_id, parent_column_id) = N'WhatsAppRetryCount')
    ALTER TABLE dbo.Clinic_PatientsTelNumbers
        ADD CONSTRAINT DF_Clinic_PatientsTelNumbers_WhatsAppRetryCount DEFAULT (0) FOR WhatsAppRetryCount;
GO

IF OBJECT_ID(N'dbo.CK_Clinic_PatientsAppointments_WhatsAppStatus', N'C') IS NULL
    ALTER TABLE dbo.Clinic_PatientsAppointments
        ADD CONSTRAINT CK_Clinic_PatientsAppointments_WhatsAppStatus CHECK (WhatsAppStatus BETWEEN 0 AND 3);
GO
IF OBJECT_ID(N'dbo.CK_Clinic_PatientsAppointments_ScheduleWhatsAppStatus', N'C') IS NULL
    ALTER TABLE dbo.Clinic_PatientsAppointments
        ADD CONSTRAINT CK_Clinic_PatientsAppointments_ScheduleWhatsAppStatus CHECK (ScheduleWhatsAppStatus BETWEEN 0 AND 3);
GO
IF OBJECT_ID(N'dbo.CK_Clinic_PatientsTelNumbers_WhatsAppStatus', N'C') IS NULL
    ALTER TABLE dbo.Clinic_PatientsTelNumbers
        ADD CONSTRAINT CK_Clinic_PatientsTelNumbers_WhatsAppStatus CHECK (WhatsAppStatus BETWEEN 0 AND 3);
GO

-- A message that the old flag calls sent is SENT.
-- windlass: backfill table=dbo.Clinic_PatientsAppointments key=AppointmentID batch=4000 pause=50ms
UPDATE dbo.Clinic_PatientsAppointments
SET WhatsAppStatus = CASE WHEN IsWhatsAppSent = 1 AND WhatsAppStatus = 0 THEN 2
                          ELSE WhatsAppStatus END,
    ScheduleWhatsAppStatus = CASE WHEN IsScheduleWhatsAppSent = 1 AND ScheduleWhatsAppStatus = 0 THEN 2
                                  ELSE ScheduleWhatsAppStatus END
WHERE (IsWhatsAppSent = 1 AND WhatsAppStatus = 0 OR IsScheduleWhatsAppSent = 1 AND ScheduleWhatsAppStatus = 0)
  /* windlass: batch */;
GO

-- windlass: backfill table=dbo.Clinic_PatientsTelNumbers key=TelNumberID batch=4000 pause=50ms
UPDATE dbo.Clinic_PatientsTelNumbers
SET WhatsAppStatus = 2
WHERE IsWhatsAppSent = 1 AND WhatsAppStatus = 0
  /* windlass: batch */;
GO

DECLARE @stands int, @online bit = 0;
SELECT @stands = COUNT(*)
FROM sys.indexes AS i
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal = 1
WHERE i.object_id = OBJECT_ID(N'dbo.Clinic_PatientsAppointments', N'U')
  AND COL_NAME(k.object_id, k.column_id) = N'WhatsAppStatus'
  AND i.name = N'IX_Appointments_WhatsAppStatus';
SELECT @online = 1
WHERE CAST(SERVERPROPERTY(N'EngineEdition') AS int) IN (3, 5, 8); -- Enterprise and Developer, Azure
IF @stands = 0 AND @online = 1
BEGIN
    EXEC sys.sp_executesql
        N'CREATE INDEX IX_Appointments_WhatsAppStatus ON dbo.Clinic_PatientsAppointments (WhatsAppStatus) WITH (ONLINE = ON);';
END;
IF @stands = 0 AND @online = 0
BEGIN
    EXEC sys.sp_executesql
        N'CREATE INDEX IX_Appointments_WhatsAppStatus ON dbo.Clinic_PatientsAppointments (WhatsAppStatus);';
END;
GO

DECLARE @stands int, @online bit = 0;
SELECT @stands = COUNT(*)
FROM sys.indexes AS i
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal = 1
WHERE i.object_id = OBJECT_ID(N'dbo.Clinic_PatientsAppointments', N'U')
  AND COL_NAME(k.object_id, k.column_id) = N'ScheduleWhatsAppStatus'
  AND i.name = N'IX_Appointments_ScheduleWhatsAppStatus';
SELECT @online = 1
WHERE CAST(SERVERPROPERTY(N'EngineEdition') AS int) IN (3, 5, 8); -- Enterprise and Developer, Azure
IF @stands = 0 AND @online = 1
BEGIN
    EXEC sys.sp_executesql
        N'CREATE INDEX IX_Appointments_ScheduleWhatsAppStatus ON dbo.Clinic_PatientsAppointments (ScheduleWhatsAppStatus) WITH (ONLINE = ON);';
END;
IF @stands = 0 AND @online = 0
BEGIN
    EXEC sys.sp_executesql
        N'CREATE INDEX IX_Appointments_ScheduleWhatsAppStatus ON dbo.Clinic_PatientsAppointments (ScheduleWhatsAppStatus);';
END;
GO

DECLARE @stands int, @online bit = 0;
SELECT @stands = COUNT(*)
FROM sys.indexes AS i
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal = 1
WHERE i.object_id = OBJECT_ID(N'dbo.Clinic_PatientsTelNumbers', N'U')
  AND COL_NAME(k.object_id, k.column_id) = N'WhatsAppStatus'
  AND i.name = N'IX_Patients_WhatsAppStatus';
SELECT @online = 1
WHERE CAST(SERVERPROPERTY(N'EngineEdition') AS int) IN (3, 5, 8); -- Enterprise and Developer, Azure
IF @stands = 0 AND @online = 1
BEGIN
    EXEC sys.sp_executesql
        N'CREATE INDEX IX_Patients_WhatsAppStatus ON dbo.Clinic_PatientsTelNumbers (WhatsAppStatus) WITH (ONLINE = ON);';
END;
IF @stands = 0 AND @online = 0
BEGIN
    EXEC sys.sp_executesql
        N'CREATE INDEX IX_Patients_WhatsAppStatus ON dbo.Clinic_PatientsTelNumbers (WhatsAppStatus);';
END;
GO
