-- What the workers need to find: the columns, checks and indexes of the status, and the procedures.

-- check: status_columns
SELECT CONCAT(N'column ', needed.tbl, N'.', needed.col, N' should be ', needed.wanted,
              COALESCE(N', is ' + found.is_now, N', is missing')) AS failure
FROM (VALUES
    (N'Clinic_PatientsAppointments', N'WhatsAppStatus', N'tinyint not null default 0'),
    (N'Clinic_PatientsAppointments', N'WhatsAppWorkerID', N'nvarchar(128) null'),
    (N'Clinic_PatientsAppointments', N'WhatsAppProcessedAt', N'datetime2(3) null'),
    (N'Clinic_PatientsAppointments', N'WhatsAppRetryCount', N'int not null default 0'),
    (N'Clinic_PatientsAppointments', N'ScheduleWhatsAppStatus', N'tinyint not null default 0'),
    (N'Clinic_PatientsAppointments', N'ScheduleWhatsAppWorkerID', N'nvarchar(128) null'),
    (N'Clinic_PatientsAppointments', N'ScheduleWhatsAppProcessedAt', N'datetime2(3) null'),
    (N'Clinic_PatientsAppointments', N'ScheduleWhatsAppRetryCount', N'int not null default 0'),
    (N'Clinic_PatientsTelNumbers', N'WhatsAppStatus', N'tinyint not null default 0'),
    (N'Clinic_PatientsTelNumbers', N'WhatsAppWorkerID', N'nvarchar(128) null'),
    (N'Clinic_PatientsTelNumbers', N'WhatsAppProcessedAt', N'datetime2(3) null'),
    (N'Clinic_PatientsTelNumbers', N'WhatsAppRetryCount', N'int not null default 0')
) AS needed (tbl, col, wanted)
LEFT JOIN (
    SELECT c.object_id, c.name,
           CONCAT(TYPE_NAME(c.system_type_id),
                  CASE TYPE_NAME(c.system_type_id)
                      WHEN N'nvarchar' THEN CONCAT(N'(', c.max_length / 2, N')')
                      WHEN N'datetime2' THEN CONCAT(N'(', c.scale, N')')
                  END,
                  CASE c.is_nullable WHEN 1 THEN N' null' ELSE N' not null' END,
                  N' default ' + REPLACE(REPLACE(d.definition, N'(', N''), N')', N'')) AS is_now
    FROM sys.columns AS c
    LEFT JOIN sys.default_constraints AS d ON d.parent_object_id = c.object_id AND d.parent_column_id = c.column_id
) AS found ON found.object_id = OBJECT_ID(N'dbo.' + needed.tbl, N'U') AND found.name = needed.col
WHERE found.is_now IS NULL OR found.is_now <> needed.wanted;
GO

-- check: status_values_are_checked
SELECT CONCAT(N'check ', needed.name,
              CASE WHEN found.name IS NULL THEN N' is missing' ELSE N' is switched off' END) AS failure
FROM (VALUES
    (N'CK_Clinic_PatientsAppointments_WhatsAppStatus'),
    (N'CK_Clinic_PatientsAppointments_ScheduleWhatsAppStatus'),
    (N'CK_Clinic_PatientsTelNumbers_WhatsAppStatus')
) AS needed (name)
LEFT JOIN sys.check_constraints AS found ON found.object_id = OBJECT_ID(N'dbo.' + needed.name, N'C')
WHERE found.name IS NULL OR found.is_disabled = 1 OR found.is_not_trusted = 1;
GO

-- check: status_indexes
SELECT CONCAT(N'index ', needed.idx, N' of ', needed.tbl, N' (', needed.col, N') is missing or disabled') AS failure
FROM (VALUES
    (N'Clinic_PatientsAppointments', N'IX_Appointments_WhatsAppStatus', N'WhatsAppStatus'),
    (N'Clinic_PatientsAppointments', N'IX_Appointments_ScheduleWhatsAppStatus', N'ScheduleWhatsAppStatus'),
    (N'Clinic_PatientsTelNumbers', N'IX_Patients_WhatsAppStatus', N'WhatsAppStatus')
) AS needed (tbl, idx, col)
WHERE NOT EXISTS (
    SELECT 1
    FROM sys.indexes AS i
    JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal = 1
    WHERE i.object_id = OBJECT_ID(N'dbo.' + needed.tbl, N'U') AND i.is_disabled = 0
      AND COL_NAME(k.object_id, k.column_id) = needed.col
      AND i.name = needed.idx
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
