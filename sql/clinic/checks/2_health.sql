-- What the workers and the hourly jobs should have done: something that stands still shows here.

-- check: claims_are_not_stuck
SELECT CONCAT(stuck.key_name, stuck.id, N': ', stuck.status_name, N' is PROCESSING since ',
              COALESCE(CONVERT(nvarchar(30), stuck.since, 126), N'nobody knows when'),
              N' (UTC), and nobody took it back') AS failure
FROM (
    SELECT TOP (10) N'AppointmentID ', AppointmentID, N'WhatsAppStatus', WhatsAppProcessedAt
    FROM dbo.Clinic_PatientsAppointments
    WHERE WhatsAppStatus = 1
      AND (WhatsAppProcessedAt < DATEADD(HOUR, -2, SYSUTCDATETIME()) OR WhatsAppProcessedAt IS NULL)
    UNION ALL
    SELECT TOP (10) N'AppointmentID ', AppointmentID, N'ScheduleWhatsAppStatus', ScheduleWhatsAppProcessedAt
    FROM dbo.Clinic_PatientsAppointments
    WHERE ScheduleWhatsAppStatus = 1
      AND (ScheduleWhatsAppProcessedAt < DATEADD(HOUR, -2, SYSUTCDATETIME()) OR ScheduleWhatsAppProcessedAt IS NULL)
    UNION ALL
    SELECT TOP (10) N'TelNumberID ', TelNumberID, N'WhatsAppStatus', WhatsAppProcessedAt
    FROM dbo.Clinic_PatientsTelNumbers
    WHERE WhatsAppStatus = 1
      AND (WhatsAppProcessedAt < DATEADD(HOUR, -2, SYSUTCDATETIME()) OR WhatsAppProcessedAt IS NULL)
) AS stuck (key_name, id, status_name, since);
GO

-- check: claims_have_a_worker
SELECT CONCAT(claimed.key_name, claimed.id, N': ', claimed.prefix, N'Status is PROCESSING, ', claimed.prefix,
              N'WorkerID is empty') AS failure
FROM (
    SELECT TOP (10) N'AppointmentID ', AppointmentID, N'WhatsApp'
    FROM dbo.Clinic_PatientsAppointments
    WHERE WhatsAppStatus = 1 AND COALESCE(WhatsAppWorkerID, N'') = N''
    UNION ALL
    SELECT TOP (10) N'AppointmentID ', AppointmentID, N'ScheduleWhatsApp'
    FROM dbo.Clinic_PatientsAppointments
    WHERE ScheduleWhatsAppStatus = 1 AND COALESCE(ScheduleWhatsAppWorkerID, N'') = N''
    UNION ALL
    SELECT TOP (10) N'TelNumberID ', TelNumberID, N'WhatsApp'
    FROM dbo.Clinic_PatientsTelNumbers
    WHERE WhatsAppStatus = 1 AND COALESCE(WhatsAppWorkerID, N'') = N''
) AS claimed (key_name, id, prefix);
GO
