-- Passes on a database that was built by up.sql and on a live one that is to be adopted: what the other scripts rely
-- on. Everything else may be there or missing.

-- check: standing_columns
SELECT CONCAT(N'column ', needed.tbl, N'.', needed.col, N' should be ', needed.kinds,
              COALESCE(N', is ' + TYPE_NAME(found.system_type_id), N', is missing')) AS failure
FROM (VALUES
    (N'Clinic_PatientsAppointments', N'AppointmentID', N'int, bigint'),
    (N'Clinic_PatientsAppointments', N'IsWhatsAppSent', N'bit'),
    (N'Clinic_PatientsAppointments', N'IsScheduleWhatsAppSent', N'bit'),
    (N'Clinic_PatientsTelNumbers', N'TelNumberID', N'int, bigint'),
    (N'Clinic_PatientsTelNumbers', N'IsWhatsAppSent', N'bit')
) AS needed (tbl, col, kinds)
LEFT JOIN sys.columns AS found
    ON found.object_id = OBJECT_ID(N'dbo.' + needed.tbl, N'U') AND found.name = needed.col
WHERE found.column_id IS NULL OR CHARINDEX(TYPE_NAME(found.system_type_id), needed.kinds) = 0;
GO

-- Claims and finishes name a row by its number: two rows of one number would be one message for both.
-- check: standing_keys
SELECT CONCAT(N'column ', needed.tbl, N'.', needed.col, N' is not unique') AS failure
FROM (VALUES
    (N'Clinic_PatientsAppointments', N'AppointmentID'),
    (N'Clinic_PatientsTelNumbers', N'TelNumberID')
) AS needed (tbl, col)
WHERE NOT EXISTS (
    SELECT 1
    FROM sys.indexes AS i
    JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal > 0
    WHERE i.object_id = OBJECT_ID(N'dbo.' + needed.tbl, N'U') AND i.is_unique = 1 AND i.is_disabled = 0
    GROUP BY i.index_id
    HAVING COUNT(*) = 1 AND MAX(COL_NAME(k.object_id, k.column_id)) = needed.col
);
GO
