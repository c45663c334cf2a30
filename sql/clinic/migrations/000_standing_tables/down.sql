-- Takes the two tables away, and refuses while one of them holds rows: on a live server they stood before this
-- migration. The explicit word, after a backup, in the same session:
--     EXEC sys.sp_set_session_context N'windlass.allow_data_loss', N'yes';
--
-- One batch: sqlcmd and SSMS go on after a batch that failed, and what refuses must stand in the way of what drops.
DECLARE @refusal nvarchar(2000), @holds_rows bit = 0;

-- A table is asked by its name in a text, as a batch that names a missing table would not run at all.
IF OBJECT_ID(N'dbo.Clinic_PatientsAppointments', N'U') IS NOT NULL
BEGIN
    EXEC sys.sp_executesql
        N'IF EXISTS (SELECT 1 FROM dbo.Clinic_PatientsAppointments) BEGIN SET @holds_rows = 1; END;',
        N'@holds_rows bit OUTPUT', @holds_rows = @holds_rows OUTPUT;
END;
IF OBJECT_ID(N'dbo.Clinic_PatientsTelNumbers', N'U') IS NOT NULL
BEGIN
    EXEC sys.sp_executesql
        N'IF EXISTS (SELECT 1 FROM dbo.Clinic_PatientsTelNumbers) BEGIN SET @holds_rows = 1; END;',
        N'@holds_rows bit OUTPUT', @holds_rows = @holds_rows OUTPUT;
END;

IF @holds_rows = 1 AND COALESCE(CAST(SESSION_CONTEXT(N'windlass.allow_data_loss') AS nvarchar(10)), N'no') <> N'yes'
BEGIN
    SET @refusal = N'the standing tables hold rows; back up, then set windlass.allow_data_loss (see down.sql)';
END;

IF @refusal IS NOT NULL
BEGIN
    RAISERROR (@refusal, 16, 1);
END;
IF @refusal IS NULL
BEGIN
    DROP TABLE IF EXISTS dbo.Clinic_PatientsTelNumbers;
    DROP TABLE IF EXISTS dbo.Clinic_PatientsAppointments;
END;
GO
