-- One appointment, as a worker opens it to write its message.
SELECT AppointmentID, PatientID, AppointmentDate
FROM dbo.Clinic_PatientsAppointments
WHERE AppointmentID = 1;
