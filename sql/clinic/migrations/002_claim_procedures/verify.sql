-- check: claim_procedures
SELECT CONCAT(N'procedure ', needed.name, N' is missing') AS failure
FROM (VALUES
    (N'Clinic_ClaimAppointmentMessages'),
    (N'Clinic_ClaimScheduleMessages'),
    (N'Clinic_ClaimTelNumberMessages'),
    (N'Clinic_FinishAppointmentMessage'),
    (N'Clinic_FinishScheduleMessage'),
    (N'Clinic_FinishTelNumberMessage')
) AS needed (name)
WHERE OBJECT_ID(N'dbo.' + needed.name, N'P') IS NULL;
GO
