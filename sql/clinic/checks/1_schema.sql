-- What the workers need to find. Types, defaults and columns of indexes are held by the verify script of the migration
-- that made them.

-- check: status_columns
SELECT CONCAT(N'column ', needed.tbl, N'.', needed.prefix, parts.name, N' is missing') AS failure
FROM (VALUES
    (N'Clinic_PatientsAppointments', N'WhatsApp'),
    (N'Clinic_PatientsAppointments', N'ScheduleWhatsApp'),
    (N'Clinic_PatientsTelNumbers', N'WhatsApp')
) AS needed (tbl, prefix)
CROSS JOIN (VALUES (N'Status'), (N'WorkerID'), (N'ProcessedAt'), (N'RetryCount')) AS parts (name)
WHERE COL_LENGTH(N'dbo.' + needed.tbl, needed.prefix + parts.name) IS NULL;
GO

-- check: status_values_are_checked
SELECT CONCAT(N'check CK_', needed.col, N' is missing or switched off') AS failure
FROM (VALUES
    (N'Clinic_PatientsAppointments_WhatsAppStatus'),
    (N'Clinic_PatientsAppointments_ScheduleWhatsAppStatus'),
    (N'Clinic_PatientsTelNumbers_WhatsAppStatus')
) AS needed (col)
WHERE NOT EXISTS (
    SELECT 1
    FROM sys.check_constraints AS c
    WHERE c.object_id = OBJECT_ID(N'dbo.CK_' + needed.col, N'C') AND c.is_disabled = 0 AND c.is_not_trusted = 0
);
GO

-- check: status_indexes
SELECT CONCAT(N'index ', needed.idx, N' of ', needed.tbl, N' is missing or disabled') AS failure
FROM (VALUES
    (N'Clinic_PatientsAppointments', N'IX_Appointments_WhatsAppStatus'),
    (N'Clinic_PatientsAppointments', N'IX_Appointments_ScheduleWhatsAppStatus'),
    (N'Clinic_PatientsTelNumbers', N'IX_Patients_WhatsAppStatus')
) AS needed (tbl, idx)
WHERE NOT EXISTS (
    SELECT 1
    FROM sys.indexes AS i
    WHERE i.object_id = OBJECT_ID(N'dbo.' + needed.tbl, N'U') AND i.name = needed.idx AND i.is_disabled = 0
);
GO

-- check: procedures_stand
SELECT CONCAT(N'procedure ', needed.name, N' is missing') AS failure
FROM (VALUES
    (N'Clinic_ClaimAppointmentMessages'),
    (N'Clinic_ClaimScheduleMessages'),
    (N'Clinic_ClaimTelNumberMessages'),
    (N'Clinic_FinishAppointmentMessage'),
    (N'Clinic_FinishScheduleMessage'),
    (N'Clinic_FinishTelNumberMessage'),
    (N'Clinic_TakeBackMessages'),
    (N'Clinic_AdoptOldFlags')
) AS needed (name)
WHERE OBJECT_ID(N'dbo.' + needed.name, N'P') IS NULL;
GO
