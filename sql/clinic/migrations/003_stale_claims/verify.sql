-- check: stale_claim_procedures
SELECT CONCAT(N'procedure ', needed.name, N' is missing') AS failure
FROM (VALUES
    (N'Clinic_TakeBackMessages'),
    (N'Clinic_AdoptOldFlags')
) AS needed (name)
WHERE OBJECT_ID(N'dbo.' + needed.name, N'P') IS NULL;
GO
