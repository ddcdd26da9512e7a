-- Uploads that have ended and are still to be purged: few, unless their purges are lost.
create index uploads_unpurged on uploads (id) where purged_at is null and state in ('failed', 'cancelled');
