-- A time that was filled in cannot be told from one that an event set, and does no harm: it goes with its column.
DO $do$
BEGIN
    RAISE NOTICE 'nothing to undo: the times that were filled in go with the columns of 002_add_status_timestamps';
END
$do$;
