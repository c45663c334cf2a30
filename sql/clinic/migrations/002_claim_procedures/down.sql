-- Takes the procedures away. Rows keep their status; nothing is claimed until the procedures are back.
DROP PROCEDURE IF EXISTS dbo.Clinic_FinishTelNumberMessage;
DROP PROCEDURE IF EXISTS dbo.Clinic_FinishScheduleMessage;
DROP PROCEDURE IF EXISTS dbo.Clinic_FinishAppointmentMessage;
DROP PROCEDURE IF EXISTS dbo.Clinic_ClaimTelNumberMessages;
DROP PROCEDURE IF EXISTS dbo.Clinic_ClaimScheduleMessages;
DROP PROCEDURE IF EXISTS dbo.Clinic_ClaimAppointmentMessages;
GO
