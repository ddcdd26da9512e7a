-- Mails that are kept, by age: those that have been kept for long enough are dropped.
create index mails_kept on mails (created_at) where kept;

-- How many bills of a run are mailed; null: it has not ended, or nobody wrote it down yet.
alter table billing_runs add column mails bigint;
