-- THE STATUS OF EVERY MESSAGE IS LOST: who claimed it and when, how often it was tried, what failed. Only the old
-- flags stay, so that what was sent is still known as sent. Refused while the columns hold more than the flags do; a
-- backup is the only way back. The explicit word, in the same session:
--     EXEC sys.sp_set_session_context N'windlass.allow_data_loss', N'yes';
--
-- An index, a default or a check keeps its column from being dropped, so these go first. Their names are looked up,
-- because whoever made them may have named them otherwise.
-- One batch: sqlcmd and SSMS go on after a batch that failed, and what refuses must stand in the way of what drops.
-- Whatever names a column stands in a text, as a batch that names a missing column would not run at all.
SET NOCOUNT ON;
DECLARE @loses_rows bit = 0, @change nvarchar(max), @refusal nvarchar(400);
DECLARE @added TABLE (tbl nvarchar(128) NOT NULL, col nvarchar(128) NOT NULL, holds_more nvarchar(400) NOT NULL);

INSERT INTO @added (tbl, col, holds_more)
SELECT ours.tbl, ours.col, ours.holds_more
FROM (VALUES
    (N'Clinic_PatientsAppointments', N'WhatsAppStatus', N'WhatsAppStatus NOT IN (0, 2)
        OR WhatsAppStatus = 2 AND COALESCE(IsWhatsAppSent, 0) = 0'),
    (N'Clinic_PatientsAppointments', N'WhatsAppWorkerID', N'WhatsAppWorkerID IS NOT NULL'),
    (N'Clinic_PatientsAppointments', N'WhatsAppProcessedAt', N'WhatsAppProcessedAt IS NOT NULL'),
    (N'Clinic_PatientsAppointments', N'WhatsAppRetryCount', N'WhatsAppRetryCount <> 0'),
    (N'Clinic_PatientsAppointments', N'ScheduleWhatsAppStatus', N'ScheduleWhatsAppStatus NOT IN (0, 2)
        OR ScheduleWhatsAppStatus = 2 AND COALESCE(IsScheduleWhatsAppSent, 0) = 0'),
    (N'Clinic_PatientsAppointments', N'ScheduleWhatsAppWorkerID', N'ScheduleWhatsAppWorkerID IS NOT NULL'),
    (N'Clinic_PatientsAppointments', N'ScheduleWhatsAppProcessedAt', N'ScheduleWhatsAppProcessedAt IS NOT NULL'),
    (N'Clinic_PatientsAppointments', N'ScheduleWhatsAppRetryCount', N'ScheduleWhatsAppRetryCount <> 0'),
    (N'Clinic_PatientsTelNumbers', N'WhatsAppStatus', N'WhatsAppStatus NOT IN (0, 2)
        OR WhatsAppStatus = 2 AND COALESCE(IsWhatsAppSent, 0) = 0'),
    (N'Clinic_PatientsTelNumbers', N'WhatsAppWorkerID', N'WhatsAppWorkerID IS NOT NULL'),
    (N'Clinic_PatientsTelNumbers', N'WhatsAppProcessedAt', N'WhatsAppProcessedAt IS NOT NULL'),
    (N'Clinic_PatientsTelNumbers', N'WhatsAppRetryCount', N'WhatsAppRetryCount <> 0')
) AS ours (tbl, col, holds_more)
WHERE COL_LENGTH(N'dbo.' + ours.tbl, ours.col) IS NOT NULL;

IF COALESCE(CAST(SESSION_CONTEXT(N'windlass.allow_data_loss') AS nvarchar(10)), N'no') <> N'yes'
BEGIN
    SELECT @change = STRING_AGG(CAST(CONCAT(
        N'IF EXISTS (SELECT 1 FROM dbo.', tbl, N' WHERE ', holds_more, N') SET @loses_rows = 1') AS nvarchar(max)), N'; ')
    FROM @added;
    IF @change IS NOT NULL
    BEGIN
        EXEC sys.sp_executesql @change, N'@loses_rows bit OUTPUT', @loses_rows = @loses_rows OUTPUT;
    END;
END;

IF @loses_rows = 1
BEGIN
    SET @refusal = N'messages were claimed, sent or failed since, and their status would be lost; '
                 + N'back up, then set windlass.allow_data_loss (see down.sql)';
END;
IF @refusal IS NOT NULL
BEGIN
    RAISERROR (@refusal, 16, 1);
END;
IF @refusal IS NULL
BEGIN
    IF OBJECT_ID(N'dbo.Clinic_PatientsAppointments', N'U') IS NOT NULL
    BEGIN
        DROP INDEX IF EXISTS IX_Appointments_WhatsAppStatus ON dbo.Clinic_PatientsAppointments;
        DROP INDEX IF EXISTS IX_Appointments_ScheduleWhatsAppStatus ON dbo.Clinic_PatientsAppointments;
    END;
    IF OBJECT_ID(N'dbo.Clinic_PatientsTelNumbers', N'U') IS NOT NULL
    BEGIN
        DROP INDEX IF EXISTS IX_Patients_WhatsAppStatus ON dbo.Clinic_PatientsTelNumbers;
    END;

    SELECT @change = STRING_AGG(CAST(steps.change AS nvarchar(max)), N'; ') WITHIN GROUP (ORDER BY steps.position)
    FROM (
        SELECT 1 AS position, CONCAT(N'DROP INDEX ', QUOTENAME(i.name), N' ON dbo.', a.tbl) AS change
        FROM @added AS a
        JOIN sys.indexes AS i ON i.object_id = OBJECT_ID(N'dbo.' + a.tbl, N'U')
        JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id
        WHERE COL_NAME(k.object_id, k.column_id) = a.col
        UNION
        SELECT 2, CONCAT(N'ALTER TABLE dbo.', a.tbl, N' DROP CONSTRAINT ', QUOTENAME(d.name))
        FROM @added AS a
        JOIN sys.default_constraints AS d ON d.parent_object_id = OBJECT_ID(N'dbo.' + a.tbl, N'U')
        WHERE COL_NAME(d.parent_object_id, d.parent_column_id) = a.col
        UNION
        SELECT 2, CONCAT(N'ALTER TABLE dbo.', a.tbl, N' DROP CONSTRAINT ', QUOTENAME(c.name))
        FROM @added AS a
        JOIN sys.check_constraints AS c ON c.parent_object_id = OBJECT_ID(N'dbo.' + a.tbl, N'U')
        WHERE c.name = CONCAT(N'CK_', a.tbl, N'_', a.col) OR CHARINDEX(QUOTENAME(a.col), c.definition) > 0
        UNION
        SELECT 3, CONCAT(N'ALTER TABLE dbo.', a.tbl, N' DROP COLUMN ', a.col)
        FROM @added AS a
    ) AS steps;
    IF @change IS NOT NULL
    BEGIN
        EXEC sys.sp_executesql @change;
    END;
END;
GO
