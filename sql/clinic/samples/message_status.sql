-- The life of messages: claimed once, sent, failed, tried again, lost by a worker, sent by old code. The procedures are
-- told to leave out every row that stood before. Windlass rolls everything back; by hand: BEGIN TRANSACTION, this file,
-- ROLLBACK. The last batch takes the sample rows away too.
-- A patient who stands is taken, because the table may hold its patients to be real ones.
CREATE TABLE #sample (n int NOT NULL, id bigint NOT NULL);
CREATE TABLE #phones (n int NOT NULL, id bigint NOT NULL);
CREATE TABLE #answers (
    step   nvarchar(60) COLLATE DATABASE_DEFAULT NOT NULL,
    wanted nvarchar(10) COLLATE DATABASE_DEFAULT NOT NULL,
    got    nvarchar(10) COLLATE DATABASE_DEFAULT NULL
);

DECLARE @before bigint = (SELECT COALESCE(MAX(AppointmentID), 0) FROM dbo.Clinic_PatientsAppointments);
INSERT INTO dbo.Clinic_PatientsAppointments (PatientID, AppointmentDate, IsWhatsAppSent, IsScheduleWhatsAppSent)
SELECT COALESCE((SELECT MIN(PatientID) FROM dbo.Clinic_PatientsAppointments), 1),
       DATEADD(MINUTE, made.n, '20010101'), made.sent, made.schedule_sent
FROM (VALUES (1, 0, 0), (2, 0, 0), (3, 1, 0), (4, 0, 1), (5, 0, 0)) AS made (n, sent, schedule_sent);
INSERT INTO #sample (n, id)
SELECT DATEDIFF(MINUTE, '20010101', AppointmentDate), AppointmentID
FROM dbo.Clinic_PatientsAppointments
WHERE AppointmentID > @before AND AppointmentDate BETWEEN '20010101 00:01' AND '20010101 00:05';

DECLARE @before_phones bigint = (SELECT COALESCE(MAX(TelNumberID), 0) FROM dbo.Clinic_PatientsTelNumbers);
INSERT INTO dbo.Clinic_PatientsTelNumbers (PatientID, TelNumber, IsWhatsAppSent)
SELECT COALESCE((SELECT MIN(PatientID) FROM dbo.Clinic_PatientsTelNumbers), 1), made.number, made.sent
FROM (VALUES (N'sample-1', 0), (N'sample-2', 1)) AS made (number, sent);
INSERT INTO #phones (n, id)
SELECT CAST(RIGHT(TelNumber, 1) AS int), TelNumberID
FROM dbo.Clinic_PatientsTelNumbers
WHERE TelNumberID > @before_phones AND TelNumber IN (N'sample-1', N'sample-2');
GO

-- Two workers claim, the second one rows 4 and 5; a third finds nothing. Row 3 was sent by old code, row 4 has its
-- schedule message sent.
DECLARE @from bigint = (SELECT MIN(id) FROM #sample), @later bigint = (SELECT id FROM #sample WHERE n = 4);
EXEC dbo.Clinic_ClaimAppointmentMessages @WorkerID = N'sample:2', @Limit = 2, @FromAppointmentID = @later;
EXEC dbo.Clinic_ClaimAppointmentMessages @WorkerID = N'sample:1', @Limit = 10, @FromAppointmentID = @from;
EXEC dbo.Clinic_ClaimAppointmentMessages @WorkerID = N'sample:3', @Limit = 10, @FromAppointmentID = @from;
EXEC dbo.Clinic_ClaimScheduleMessages @WorkerID = N'sample:4', @Limit = 10, @FromAppointmentID = @from;
GO

-- check: each_message_is_claimed_once
SELECT CONCAT(N'worker ', wanted.worker, N' should hold ', wanted.held, N' messages, holds ', COUNT(a.AppointmentID)) AS failure
FROM (VALUES (N'sample:1', 2), (N'sample:2', 2), (N'sample:3', 0)) AS wanted (worker, held)
LEFT JOIN dbo.Clinic_PatientsAppointments AS a
    ON a.AppointmentID IN (SELECT id FROM #sample) AND a.WhatsAppStatus = 1 AND a.WhatsAppWorkerID = wanted.worker
       AND a.WhatsAppProcessedAt > DATEADD(MINUTE, -1, SYSUTCDATETIME()) AND a.WhatsAppRetryCount = 0
GROUP BY wanted.worker, wanted.held
HAVING COUNT(a.AppointmentID) <> wanted.held;
GO

-- check: what_old_code_has_sent_is_left_alone
SELECT CONCAT(N'row ', s.n, N' should be ', wanted.statuses, N', is ', a.WhatsAppStatus, N' ', a.ScheduleWhatsAppStatus) AS failure
FROM (VALUES (1, N'1 1'), (2, N'1 1'), (3, N'0 1'), (4, N'1 0'), (5, N'1 1')) AS wanted (n, statuses)
JOIN #sample AS s ON s.n = wanted.n
JOIN dbo.Clinic_PatientsAppointments AS a ON a.AppointmentID = s.id
WHERE CONCAT(a.WhatsAppStatus, N' ', a.ScheduleWhatsAppStatus) <> wanted.statuses;
GO

-- Worker 1 sends its first message, and reports it twice. Its second fails, is claimed by worker 3, reported late by
-- worker 1, and fails for good.
DECLARE @from bigint = (SELECT MIN(id) FROM #sample), @status tinyint;
DECLARE @first bigint = (SELECT MIN(AppointmentID) FROM dbo.Clinic_PatientsAppointments WHERE WhatsAppWorkerID = N'sample:1');
DECLARE @second bigint = (SELECT MAX(AppointmentID) FROM dbo.Clinic_PatientsAppointments WHERE WhatsAppWorkerID = N'sample:1');
EXEC dbo.Clinic_FinishAppointmentMessage
    @AppointmentID = @first, @WorkerID = N'sample:1', @RetryCount = 0, @Sent = 1, @Status = @status OUTPUT;
INSERT INTO #answers (step, wanted, got) VALUES (N'a message was sent', N'2', CAST(@status AS nvarchar(10)));
EXEC dbo.Clinic_FinishAppointmentMessage
    @AppointmentID = @first, @WorkerID = N'sample:1', @RetryCount = 0, @Sent = 0, @Status = @status OUTPUT;
INSERT INTO #answers (step, wanted, got) VALUES (N'a report after the success', N'none', CAST(@status AS nvarchar(10)));
EXEC dbo.Clinic_FinishAppointmentMessage
    @AppointmentID = @second, @WorkerID = N'sample:1', @RetryCount = 0, @Sent = 0, @Status = @status OUTPUT;
INSERT INTO #answers (step, wanted, got) VALUES (N'a failure with retries left', N'0', CAST(@status AS nvarchar(10)));
EXEC dbo.Clinic_ClaimAppointmentMessages @WorkerID = N'sample:3', @Limit = 10, @FromAppointmentID = @from;
EXEC dbo.Clinic_FinishAppointmentMessage
    @AppointmentID = @second, @WorkerID = N'sample:1', @RetryCount = 0, @Sent = 1, @Status = @status OUTPUT;
INSERT INTO #answers (step, wanted, got) VALUES (N'a report of an older claim', N'none', CAST(@status AS nvarchar(10)));
EXEC dbo.Clinic_FinishAppointmentMessage
    @AppointmentID = @second, @WorkerID = N'sample:3', @RetryCount = 1, @Sent = 0, @Status = @status OUTPUT,
    @MaxRetries = 1;
INSERT INTO #answers (step, wanted, got) VALUES (N'a failure of the last retry', N'3', CAST(@status AS nvarchar(10)));
INSERT INTO #answers (step, wanted, got)
SELECT N'the old flag of the sent message', N'1', CAST(IsWhatsAppSent AS nvarchar(10))
FROM dbo.Clinic_PatientsAppointments WHERE AppointmentID = @first;
INSERT INTO #answers (step, wanted, got)
SELECT N'the old flag of the failed message', N'0', CAST(IsWhatsAppSent AS nvarchar(10))
FROM dbo.Clinic_PatientsAppointments WHERE AppointmentID = @second;
GO

-- check: results_are_answered
SELECT CONCAT(step, N': expected ', wanted, N', got ', COALESCE(got, N'none')) AS failure
FROM #answers
WHERE COALESCE(got, N'none') <> wanted;
GO

-- Worker 2 dies six minutes ago: one of its messages has a retry left, the other none. The schedule messages are young.
DECLARE @from bigint = (SELECT MIN(id) FROM #sample), @phones bigint = (SELECT MIN(id) FROM #phones);
DECLARE @pending int, @failed int, @adopted int;
UPDATE dbo.Clinic_PatientsAppointments
SET WhatsAppProcessedAt = DATEADD(MINUTE, -6, SYSUTCDATETIME()),
    WhatsAppRetryCount = CASE WHEN AppointmentID = (SELECT MAX(id) FROM #sample) THEN 3 ELSE 2 END
WHERE AppointmentID >= @from AND WhatsAppWorkerID = N'sample:2';
EXEC dbo.Clinic_TakeBackMessages
    @FromAppointmentID = @from, @FromTelNumberID = @phones, @Pending = @pending OUTPUT, @Failed = @failed OUTPUT;
EXEC dbo.Clinic_AdoptOldFlags @FromAppointmentID = @from, @FromTelNumberID = @phones, @Adopted = @adopted OUTPUT;
INSERT INTO #answers (step, wanted, got)
VALUES (N'messages taken back', N'1 1', CONCAT(@pending, N' ', @failed)),
       (N'messages that old code has sent', N'3', CAST(@adopted AS nvarchar(10)));
GO

-- check: dead_workers_lose_their_messages
SELECT CONCAT(step, N': expected ', wanted, N', got ', COALESCE(got, N'none')) AS failure
FROM #answers
WHERE step IN (N'messages taken back', N'messages that old code has sent') AND COALESCE(got, N'none') <> wanted
UNION ALL
SELECT CONCAT(N'row ', s.n, N' should be ', wanted.life, N', is ', got.life)
FROM (VALUES
    (3, N'2 of nobody, 0 retries; schedule 1'),
    (4, N'0 of nobody, 3 retries; schedule 2'),
    (5, N'3 of sample:2, 3 retries; schedule 1')
) AS wanted (n, life)
JOIN #sample AS s ON s.n = wanted.n
JOIN (
    SELECT AppointmentID,
           CONCAT(WhatsAppStatus, N' of ', COALESCE(WhatsAppWorkerID, N'nobody'), N', ', WhatsAppRetryCount,
                  N' retries; schedule ', ScheduleWhatsAppStatus) AS life
    FROM dbo.Clinic_PatientsAppointments
) AS got ON got.AppointmentID = s.id
WHERE got.life <> wanted.life;
GO

-- Phone numbers and schedule messages go the same way.
DECLARE @phones bigint = (SELECT MIN(id) FROM #phones), @status tinyint;
EXEC dbo.Clinic_ClaimTelNumberMessages @WorkerID = N'sample:5', @Limit = 10, @FromTelNumberID = @phones;
DECLARE @phone bigint = (SELECT MIN(TelNumberID) FROM dbo.Clinic_PatientsTelNumbers WHERE WhatsAppWorkerID = N'sample:5');
EXEC dbo.Clinic_FinishTelNumberMessage
    @TelNumberID = @phone, @WorkerID = N'sample:5', @RetryCount = 0, @Sent = 1, @Status = @status OUTPUT;
DECLARE @schedule bigint = (SELECT id FROM #sample WHERE n = 1), @schedule_status tinyint;
EXEC dbo.Clinic_FinishScheduleMessage
    @AppointmentID = @schedule, @WorkerID = N'sample:4', @RetryCount = 0, @Sent = 1, @Status = @schedule_status OUTPUT;
DELETE FROM #answers;
INSERT INTO #answers (step, wanted, got)
VALUES (N'a phone number was sent to', N'2', CAST(@status AS nvarchar(10))),
       (N'a schedule message was sent', N'2', CAST(@schedule_status AS nvarchar(10)));
GO

-- check: every_workflow_ends
SELECT CONCAT(step, N': expected ', wanted, N', got ', COALESCE(got, N'none')) AS failure
FROM #answers
WHERE COALESCE(got, N'none') <> wanted
UNION ALL
SELECT CONCAT(N'phone number ', p.n, N' should be sent, has status ', t.WhatsAppStatus)
FROM #phones AS p
JOIN dbo.Clinic_PatientsTelNumbers AS t ON t.TelNumberID = p.id
WHERE t.WhatsAppStatus <> 2 OR t.IsWhatsAppSent <> 1;
GO

DELETE FROM dbo.Clinic_PatientsAppointments WHERE AppointmentID IN (SELECT id FROM #sample);
DELETE FROM dbo.Clinic_PatientsTelNumbers WHERE TelNumberID IN (SELECT id FROM #phones);
DROP TABLE #sample;
DROP TABLE #phones;
DROP TABLE #answers;
GO
