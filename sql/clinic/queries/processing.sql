-- What is being sent just now, and by whom: the question that the index of the status answers.
SELECT AppointmentID, WhatsAppWorkerID, WhatsAppProcessedAt
FROM dbo.Clinic_PatientsAppointments
WHERE WhatsAppStatus = 1;
