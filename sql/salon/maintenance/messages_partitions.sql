-- windlass: schedule daily
-- windlass: lock-timeout 200ms
--
-- Makes the partitions of this month and the five after it, and drops those in which every message is older than
-- six months. Daily, though it acts once a month: a day without it is then no day without a partition.
-- One row a partition made or dropped; no row when there is nothing to do.
SELECT action, partition_name FROM public.maintain_messages_partitions();
