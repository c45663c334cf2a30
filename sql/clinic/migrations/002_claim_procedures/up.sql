-- windlass: requires 001_add_whatsapp_status_columns
--
-- How workers take messages and give them back. A claim is one UPDATE: it passes over rows that others hold
-- (READPAST) instead of waiting for them, locks only what it takes (ROWLOCK, UPDLOCK), and marks each row with the
-- worker and the time. A row whose old flag is set is never claimed, so old code may be at work at the same time.
--
-- A claim is known by its worker and the row's retry count, which rises whenever a claim is taken back: who comes
-- late with a result learns that the row is not theirs any more, and changes nothing.
--
-- A procedure that is missing is made empty first and then altered, so that one which stands keeps its grants.
-- Procedures keep the options that they were made with; sqlcmd has this one switched off.
SET QUOTED_IDENTIFIER ON;
GO

IF OBJECT_ID(N'dbo.Clinic_ClaimAppointmentMessages', N'P') IS NULL
BEGIN
    EXEC sys.sp_executesql N'CREATE PROCEDURE dbo.Clinic_ClaimAppointmentMessages AS RETURN 0;';
END;
IF OBJECT_ID(N'dbo.Clinic_FinishAppointmentMessage', N'P') IS NULL
BEGIN
    EXEC sys.sp_executesql N'CREATE PROCEDURE dbo.Clinic_FinishAppointmentMessage AS RETURN 0;';
END;
IF OBJECT_ID(N'dbo.Clinic_ClaimScheduleMessages', N'P') IS NULL
BEGIN
    EXEC sys.sp_executesql N'CREATE PROCEDURE dbo.Clinic_ClaimScheduleMessages AS RETURN 0;';
END;
IF OBJECT_ID(N'dbo.Clinic_FinishScheduleMessage', N'P') IS NULL
BEGIN
    EXEC sys.sp_executesql N'CREATE PROCEDURE dbo.Clinic_FinishScheduleMessage AS RETURN 0;';
END;
IF OBJECT_ID(N'dbo.Clinic_ClaimTelNumberMessages', N'P') IS NULL
BEGIN
    EXEC sys.sp_executesql N'CREATE PROCEDURE dbo.Clinic_ClaimTelNumberMessages AS RETURN 0;';
END;
IF OBJECT_ID(N'dbo.Clinic_FinishTelNumberMessage', N'P') IS NULL
BEGIN
    EXEC sys.sp_executesql N'CREATE PROCEDURE dbo.Clinic_FinishTelNumberMessage AS RETURN 0;';
END;
GO

-- Gives up to @Limit pending messages of appointments to this worker ('hostname:pid') alone, and returns them.
-- @FromAppointmentID leaves out older ones: rows that nobody means to send any more are pending, too.
ALTER PROCEDURE dbo.Clinic_ClaimAppointmentMessages
    @WorkerID nvarchar(128), @Limit int = 25, @FromAppointmentID bigint = NULL
AS
BEGIN
    SET NOCOUNT ON;
    -- READPAST is refused above REPEATABLE READ; the caller's own level is back when the procedure ends.
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    DECLARE @claimed TABLE (AppointmentID bigint NOT NULL, RetryCount int NOT NULL, ProcessedAt datetime2(3) NOT NULL);

    IF COALESCE(@WorkerID, N'') = N''
    BEGIN
        RAISERROR (N'a claim needs the name of its worker, such as hostname:pid', 16, 1);
    END;
    -- Into a table variable first: on a table with triggers nothing else is allowed.
    UPDATE TOP (@Limit) dbo.Clinic_PatientsAppointments WITH (ROWLOCK, READPAST, UPDLOCK)
    SET WhatsAppStatus = 1, WhatsAppWorkerID = @WorkerID, WhatsAppProcessedAt = SYSUTCDATETIME()
    OUTPUT inserted.AppointmentID, inserted.WhatsAppRetryCount, inserted.WhatsAppProcessedAt INTO @claimed
    WHERE WhatsAppStatus = 0 AND COALESCE(IsWhatsAppSent, 0) = 0 AND @WorkerID <> N''
      AND (@FromAppointmentID IS NULL OR AppointmentID >= @FromAppointmentID);

    SELECT AppointmentID, RetryCount, ProcessedAt FROM @claimed ORDER BY AppointmentID;
END;
GO

-- Reports how a claimed message ended. @Status answers 2 (sent), 0 (failed; to be tried again), 3 (failed for good),
-- or NULL: the claim was taken back meanwhile, and nothing was changed. Sent also sets the old flag, for old code.
ALTER PROCEDURE dbo.Clinic_FinishAppointmentMessage
    @AppointmentID bigint, @WorkerID nvarchar(128), @RetryCount int, @Sent bit, @Status tinyint = NULL OUTPUT,
    @MaxRetries int = 3
AS
BEGIN
    SET NOCOUNT ON;
    DECLARE @finished TABLE (Status tinyint NOT NULL);
    DECLARE @again bit = CASE WHEN COALESCE(@Sent, 0) = 0 AND @RetryCount < @MaxRetries THEN 1 ELSE 0 END;

    UPDATE dbo.Clinic_PatientsAppointments
    SET WhatsAppStatus = CASE WHEN @Sent = 1 THEN 2 WHEN @again = 1 THEN 0 ELSE 3 END,
        IsWhatsAppSent = CASE WHEN @Sent = 1 THEN 1 ELSE IsWhatsAppSent END,
        WhatsAppRetryCount = WhatsAppRetryCount + @again,
        WhatsAppWorkerID = CASE WHEN @again = 0 THEN WhatsAppWorkerID END,
        WhatsAppProcessedAt = CASE WHEN @again = 0 THEN WhatsAppProcessedAt END
    OUTPUT inserted.WhatsAppStatus INTO @finished
    WHERE AppointmentID = @AppointmentID AND WhatsAppStatus = 1 AND WhatsAppWorkerID = @WorkerID
      AND WhatsAppRetryCount = @RetryCount;

    SET @Status = (SELECT Status FROM @finished);
END;
GO

-- Gives up to @Limit pending schedule messages of appointments to this worker ('hostname:pid') alone, and returns
-- them. @FromAppointmentID leaves out older ones: rows that nobody means to send any more are pending, too.
ALTER PROCEDURE dbo.Clinic_ClaimScheduleMessages
    @WorkerID nvarchar(128), @Limit int = 25, @FromAppointmentID bigint = NULL
AS
BEGIN
    SET NOCOUNT ON;
    -- READPAST is refused above REPEATABLE READ; the caller's own level is back when the procedure ends.
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    DECLARE @claimed TABLE (AppointmentID bigint NOT NULL, RetryCount int NOT NULL, ProcessedAt datetime2(3) NOT NULL);

    IF COALESCE(@WorkerID, N'') = N''
    BEGIN
        RAISERROR (N'a claim needs the name of its worker, such as hostname:pid', 16, 1);
    END;
    -- Into a table variable first: on a table with triggers nothing else is allowed.
    UPDATE TOP (@Limit) dbo.Clinic_PatientsAppointments WITH (ROWLOCK, READPAST, UPDLOCK)
    SET ScheduleWhatsAppStatus = 1, ScheduleWhatsAppWorkerID = @WorkerID, ScheduleWhatsAppProcessedAt = SYSUTCDATETIME()
    OUTPUT inserted.AppointmentID, inserted.ScheduleWhatsAppRetryCount, inserted.ScheduleWhatsAppProcessedAt INTO @claimed
    WHERE ScheduleWhatsAppStatus = 0 AND COALESCE(IsScheduleWhatsAppSent, 0) = 0 AND @WorkerID <> N''
      AND (@FromAppointmentID IS NULL OR AppointmentID >= @FromAppointmentID);

    SELECT AppointmentID, RetryCount, ProcessedAt FROM @claimed ORDER BY AppointmentID;
END;
GO

-- Reports how a claimed message ended. @Status answers 2 (sent), 0 (failed; to be tried again), 3 (failed for good),
-- or NULL: the claim was taken back meanwhile, and nothing was changed. Sent also sets the old flag, for old code.
ALTER PROCEDURE dbo.Clinic_FinishScheduleMessage
    @AppointmentID bigint, @WorkerID nvarchar(128), @RetryCount int, @Sent bit, @Status tinyint = NULL OUTPUT,
    @MaxRetries int = 3
AS
BEGIN
    SET NOCOUNT ON;
    DECLARE @finished TABLE (Status tinyint NOT NULL);
    DECLARE @again bit = CASE WHEN COALESCE(@Sent, 0) = 0 AND @RetryCount < @MaxRetries THEN 1 ELSE 0 END;

    UPDATE dbo.Clinic_PatientsAppointments
    SET ScheduleWhatsAppStatus = CASE WHEN @Sent = 1 THEN 2 WHEN @again = 1 THEN 0 ELSE 3 END,
        IsScheduleWhatsAppSent = CASE WHEN @Sent = 1 THEN 1 ELSE IsScheduleWhatsAppSent END,
        ScheduleWhatsAppRetryCount = ScheduleWhatsAppRetryCount + @again,
        ScheduleWhatsAppWorkerID = CASE WHEN @again = 0 THEN ScheduleWhatsAppWorkerID END,
        ScheduleWhatsAppProcessedAt = CASE WHEN @again = 0 THEN ScheduleWhatsAppProcessedAt END
    OUTPUT inserted.ScheduleWhatsAppStatus INTO @finished
    WHERE AppointmentID = @AppointmentID AND ScheduleWhatsAppStatus = 1 AND ScheduleWhatsAppWorkerID = @WorkerID
      AND ScheduleWhatsAppRetryCount = @RetryCount;

    SET @Status = (SELECT Status FROM @finished);
END;
GO

-- Gives up to @Limit pending messages of phone numbers to this worker ('hostname:pid') alone, and returns them.
-- @FromTelNumberID leaves out older ones: rows that nobody means to send any more are pending, too.
ALTER PROCEDURE dbo.Clinic_ClaimTelNumberMessages
    @WorkerID nvarchar(128), @Limit int = 25, @FromTelNumberID bigint = NULL
AS
BEGIN
    SET NOCOUNT ON;
    -- READPAST is refused above REPEATABLE READ; the caller's own level is back when the procedure ends.
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    DECLARE @claimed TABLE (TelNumberID bigint NOT NULL, RetryCount int NOT NULL, ProcessedAt datetime2(3) NOT NULL);

    IF COALESCE(@WorkerID, N'') = N''
    BEGIN
        RAISERROR (N'a claim needs the name of its worker, such as hostname:pid', 16, 1);
    END;
    -- Into a table variable first: on a table with triggers nothing else is allowed.
    UPDATE TOP (@Limit) dbo.Clinic_PatientsTelNumbers WITH (ROWLOCK, READPAST, UPDLOCK)
    SET WhatsAppStatus = 1, WhatsAppWorkerID = @WorkerID, WhatsAppProcessedAt = SYSUTCDATETIME()
    OUTPUT inserted.TelNumberID, inserted.WhatsAppRetryCount, inserted.WhatsAppProcessedAt INTO @claimed
    WHERE WhatsAppStatus = 0 AND COALESCE(IsWhatsAppSent, 0) = 0 AND @WorkerID <> N''
      AND (@FromTelNumberID IS NULL OR TelNumberID >= @FromTelNumberID);

    SELECT TelNumberID, RetryCount, ProcessedAt FROM @claimed ORDER BY TelNumberID;
END;
GO

-- Reports how a claimed message ended. @Status answers 2 (sent), 0 (failed; to be tried again), 3 (failed for good),
-- or NULL: the claim was taken back meanwhile, and nothing was changed. Sent also sets the old flag, for old code.
ALTER PROCEDURE dbo.Clinic_FinishTelNumberMessage
    @TelNumberID bigint, @WorkerID nvarchar(128), @RetryCount int, @Sent bit, @Status tinyint = NULL OUTPUT,
    @MaxRetries int = 3
AS
BEGIN
    SET NOCOUNT ON;
    DECLARE @finished TABLE (Status tinyint NOT NULL);
    DECLARE @again bit = CASE WHEN COALESCE(@Sent, 0) = 0 AND @RetryCount < @MaxRetries THEN 1 ELSE 0 END;

    UPDATE dbo.Clinic_PatientsTelNumbers
    SET WhatsAppStatus = CASE WHEN @Sent = 1 THEN 2 WHEN @again = 1 THEN 0 ELSE 3 END,
        IsWhatsAppSent = CASE WHEN @Sent = 1 THEN 1 ELSE IsWhatsAppSent END,
        WhatsAppRetryCount = WhatsAppRetryCount + @again,
        WhatsAppWorkerID = CASE WHEN @again = 0 THEN WhatsAppWorkerID END,
        WhatsAppProcessedAt = CASE WHEN @again = 0 THEN WhatsAppProcessedAt END
    OUTPUT inserted.WhatsAppStatus INTO @finished
    WHERE TelNumberID = @TelNumberID AND WhatsAppStatus = 1 AND WhatsAppWorkerID = @WorkerID
      AND WhatsAppRetryCount = @RetryCount;

    SET @Status = (SELECT Status FROM @finished);
END;
GO
