-- windlass: schedule hourly
-- windlass: repeat 50ms
--
-- Messages that old code has sent: their flag is set, their status is still PENDING. They become SENT; no claim takes
-- them in the meantime. When no old code is left there is nothing to do. By hand: again until the number is 0.
DECLARE @adopted int;
EXEC dbo.Clinic_AdoptOldFlags @Batch = 500, @Adopted = @adopted OUTPUT;
SELECT @adopted AS adopted;
GO
