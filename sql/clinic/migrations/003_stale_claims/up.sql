-- windlass: requires 002_claim_procedures
--
-- What the maintenance jobs do, at most @Batch rows of each kind a call, so that no lock is held for long. Rows that
-- a worker holds just now are passed over.
SET QUOTED_IDENTIFIER ON;
GO

IF OBJECT_ID(N'dbo.Clinic_TakeBackMessages', N'P') IS NULL
BEGIN
    EXEC sys.sp_executesql N'CREATE PROCEDURE dbo.Clinic_TakeBackMessages AS RETURN 0;';
END;
IF OBJECT_ID(N'dbo.Clinic_AdoptOldFlags', N'P') IS NULL
BEGIN
    EXEC sys.sp_executesql N'CREATE PROCEDURE dbo.Clinic_AdoptOldFlags AS RETURN 0;';
END;
GO

-- Takes messages back whose worker did not report in @Minutes: to be tried again with a higher retry count, or failed
-- where all retries are used up. @Pending and @Failed say how many.
ALTER PROCEDURE dbo.Clinic_TakeBackMessages
    @Minutes int = 5, @MaxRetries int = 3, @Batch int = 500,
    @FromAppointmentID bigint = NULL, @FromTelNumberID bigint = NULL,
    @Pending int = NULL OUTPUT, @Failed int = NULL OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    DECLARE @taken TABLE (Status tinyint NOT NULL);
    DECLARE @stale datetime2(3) = DATEADD(MINUTE, -@Minutes, SYSUTCDATETIME());

    UPDATE TOP (@Batch) dbo.Clinic_PatientsAppointments WITH (ROWLOCK, READPAST, UPDLOCK)
    SET WhatsAppStatus = CASE WHEN WhatsAppRetryCount < @MaxRetries THEN 0 ELSE 3 END,
        WhatsAppWorkerID = CASE WHEN WhatsAppRetryCount >= @MaxRetries THEN WhatsAppWorkerID END,
        WhatsAppProcessedAt = CASE WHEN WhatsAppRetryCount >= @MaxRetries THEN WhatsAppProcessedAt END,
        WhatsAppRetryCount = WhatsAppRetryCount
            + CASE WHEN WhatsAppRetryCount < @MaxRetries THEN 1 ELSE 0 END
    OUTPUT inserted.WhatsAppStatus INTO @taken
    WHERE WhatsAppStatus = 1 AND (WhatsAppProcessedAt < @stale OR WhatsAppProcessedAt IS NULL)
      AND (@FromAppointmentID IS NULL OR AppointmentID >= @FromAppointmentID);

    UPDATE TOP (@Batch) dbo.Clinic_PatientsAppointments WITH (ROWLOCK, READPAST, UPDLOCK)
    SET ScheduleWhatsAppStatus = CASE WHEN ScheduleWhatsAppRetryCount < @MaxRetries THEN 0 ELSE 3 END,
        ScheduleWhatsAppWorkerID = CASE WHEN ScheduleWhatsAppRetryCount >= @MaxRetries THEN ScheduleWhatsAppWorkerID END,
        ScheduleWhatsAppProcessedAt = CASE WHEN ScheduleWhatsAppRetryCount >= @MaxRetries THEN ScheduleWhatsAppProcessedAt END,
        ScheduleWhatsAppRetryCount = ScheduleWhatsAppRetryCount
            + CASE WHEN ScheduleWhatsAppRetryCount < @MaxRetries THEN 1 ELSE 0 END
    OUTPUT inserted.ScheduleWhatsAppStatus INTO @taken
    WHERE ScheduleWhatsAppStatus = 1 AND (ScheduleWhatsAppProcessedAt < @stale OR ScheduleWhatsAppProcessedAt IS NULL)
      AND (@FromAppointmentID IS NULL OR AppointmentID >= @FromAppointmentID);

    UPDATE TOP (@Batch) dbo.Clinic_PatientsTelNumbers WITH (ROWLOCK, READPAST, UPDLOCK)
    SET WhatsAppStatus = CASE WHEN WhatsAppRetryCount < @MaxRetries THEN 0 ELSE 3 END,
        WhatsAppWorkerID = CASE WHEN WhatsAppRetryCount >= @MaxRetries THEN WhatsAppWorkerID END,
        WhatsAppProcessedAt = CASE WHEN WhatsAppRetryCount >= @MaxRetries THEN WhatsAppProcessedAt END,
        WhatsAppRetryCount = WhatsAppRetryCount
            + CASE WHEN WhatsAppRetryCount < @MaxRetries THEN 1 ELSE 0 END
    OUTPUT inserted.WhatsAppStatus INTO @taken
    WHERE WhatsAppStatus = 1 AND (WhatsAppProcessedAt < @stale OR WhatsAppProcessedAt IS NULL)
      AND (@FromTelNumberID IS NULL OR TelNumberID >= @FromTelNumberID);

    SET @Pending = (SELECT COUNT(*) FROM @taken WHERE Status = 0);
    SET @Failed = (SELECT COUNT(*) FROM @taken WHERE Status = 3);
END;
GO

-- Marks as sent what old code has sent since the flags were converted. @Adopted says how many.
ALTER PROCEDURE dbo.Clinic_AdoptOldFlags
    @Batch int = 500, @FromAppointmentID bigint = NULL, @FromTelNumberID bigint = NULL, @Adopted int = NULL OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    DECLARE @rows TABLE (ID bigint NOT NULL);

    UPDATE TOP (@Batch) dbo.Clinic_PatientsAppointments WITH (ROWLOCK, READPAST, UPDLOCK)
    SET WhatsAppStatus = 2
    OUTPUT inserted.AppointmentID INTO @rows
    WHERE IsWhatsAppSent = 1 AND WhatsAppStatus = 0
      AND (@FromAppointmentID IS NULL OR AppointmentID >= @FromAppointmentID);

    UPDATE TOP (@Batch) dbo.Clinic_PatientsAppointments WITH (ROWLOCK, READPAST, UPDLOCK)
    SET ScheduleWhatsAppStatus = 2
    OUTPUT inserted.AppointmentID INTO @rows
    WHERE IsScheduleWhatsAppSent = 1 AND ScheduleWhatsAppStatus = 0
      AND (@FromAppointmentID IS NULL OR AppointmentID >= @FromAppointmentID);

    UPDATE TOP (@Batch) dbo.Clinic_PatientsTelNumbers WITH (ROWLOCK, READPAST, UPDLOCK)
    SET WhatsAppStatus = 2
    OUTPUT inserted.TelNumberID INTO @rows
    WHERE IsWhatsAppSent = 1 AND WhatsAppStatus = 0
      AND (@FromTelNumberID IS NULL OR TelNumberID >= @FromTelNumberID);

    SET @Adopted = (SELECT COUNT(*) FROM @rows);
END;
GO
