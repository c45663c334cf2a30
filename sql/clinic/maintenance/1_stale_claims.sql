-- windlass: schedule hourly
-- windlass: repeat 50ms
--
-- Messages whose worker died with them: PROCESSING for over 5 minutes. Back to PENDING with their retry count raised,
-- or FAILED after 3 retries. Workers call the same procedure when they find nothing to claim, so the hour is only the
-- longest that such a row can wait. By hand: again until both numbers are 0.
DECLARE @pending int, @failed int;
EXEC dbo.Clinic_TakeBackMessages
    @Minutes = 5, @MaxRetries = 3, @Batch = 500, @Pending = @pending OUTPUT, @Failed = @failed OUTPUT;
SELECT @pending AS back_to_pending, @failed AS failed;
GO
