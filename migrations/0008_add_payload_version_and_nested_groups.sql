-- What jobs and groups need to be run by more than one version, and inside each other.

alter table jobs
    -- the shape of the payload: Job::VERSION of the binary that wrote it
    add column version smallint not null default 1 check (version > 0);

-- Both are empty but for the jobs that ask for it.
create index jobs_cancelling on jobs (id) where cancel_requested_at is not null and state = 'available';
create index jobs_retained on jobs (id) where retain_seconds is not null;
create index job_keys_until on job_keys (until);

alter table groups
    -- the outermost group around a nested one: who changes more than one level locks its row first
    add column root_id uuid check ((root_id is null) = (parent_id is null));
