-- A handler that wants to know its tick asks by its job.
create index schedule_ticks_by_job on schedule_ticks (job_id) where job_id is not null;
