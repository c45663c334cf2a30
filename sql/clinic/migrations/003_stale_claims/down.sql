-- Takes the procedures away. What a dead worker holds stays PROCESSING until they are back.
DROP PROCEDURE IF EXISTS dbo.Clinic_AdoptOldFlags;
DROP PROCEDURE IF EXISTS dbo.Clinic_TakeBackMessages;
GO
