-- The two tables that stand on every server. Nothing that stands is touched: only a table that is missing is created,
-- so a fresh database can be built, and a live one adopted with `baseline`.
SET QUOTED_IDENTIFIER ON;
GO

IF OBJECT_ID(N'dbo.Clinic_PatientsAppointments', N'U') IS NULL
    CREATE TABLE dbo.Clinic_PatientsAppointments (
        AppointmentID          int IDENTITY(1, 1) NOT NULL,
        PatientID              int                NOT NULL,
        AppointmentDate        datetime           NOT NULL,
        IsWhatsAppSent         bit                NOT NULL
            CONSTRAINT DF_Clinic_PatientsAppointments_IsWhatsAppSent DEFAULT (0),
        IsScheduleWhatsAppSent bit                NOT NULL
            CONSTRAINT DF_Clinic_PatientsAppointments_IsScheduleWhatsAppSent DEFAULT (0),
        CONSTRAINT PK_Clinic_PatientsAppointments PRIMARY KEY CLUSTERED (AppointmentID)
    );
GO

IF OBJECT_ID(N'dbo.Clinic_PatientsTelNumbers', N'U') IS NULL
    CREATE TABLE dbo.Clinic_PatientsTelNumbers (
        TelNumberID    int IDENTITY(1, 1) NOT NULL,
        PatientID      int                NOT NULL,
        TelNumber      nvarchar(32)       NOT NULL,
        IsWhatsAppSent bit                NOT NULL
            CONSTRAINT DF_Clinic_PatientsTelNumbers_IsWhatsAppSent DEFAULT (0),
        CONSTRAINT PK_Clinic_PatientsTelNumbers PRIMARY KEY CLUSTERED (TelNumberID)
    );
GO
