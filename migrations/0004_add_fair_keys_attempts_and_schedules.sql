-- What a job, a group and a queue can do beside being done.

alter table jobs drop constraint jobs_state_check;
alter table jobs add constraint jobs_state_check
    check (state in ('available', 'scheduled', 'completed', 'dead', 'cancelled', 'parked'));

alter table jobs
    -- jobs of one queue take turns by this key (the client, unless the caller says otherwise)
    add column fair_key            text,
    -- seconds that a finished job is kept; null: as long as everything
    add column retain_seconds      integer check (retain_seconds >= 0),
    -- the attempt that ended it; the ones that failed are in job_attempts
    add column started_at          timestamptz,
    add column worker              text,
    add column result              jsonb,
    -- a running job is cancelled when its body has stopped, not when somebody asks for it
    add column cancel_requested_at timestamptz,
    -- the version of the binary that could not read it: another one may
    add column parked_by           text;

-- Finished jobs that people look for. Completed ones are not among them: an index on them is paid for by every job.
create index jobs_unusual on jobs (state, id) where state in ('dead', 'cancelled', 'parked');

-- Every attempt that did not succeed.
create table job_attempts (
    job_id     uuid        not null references jobs (id) on delete cascade,
    seq        bigint      not null generated always as identity,
    attempt    integer     not null, -- which one it was, from 1
    delivery   bigint      not null, -- of how many hand-overs by the broker
    outcome    text        not null check (outcome in
                   ('retried', 'timed_out', 'panicked', 'lost_worker', 'discarded', 'cancelled', 'snoozed', 'parked')),
    error      text,
    worker     text,
    started_at timestamptz,
    ended_at   timestamptz not null default now(),
    primary key (job_id, seq)
);

-- Keys that keep further jobs out for a time, whatever became of the first one.
create table job_keys (
    key    text        primary key,
    job_id uuid        not null,
    until  timestamptz not null
);

alter table groups
    -- a nested group counts as one member of its parent
    add column parent_id   uuid references groups (id) on delete cascade,
    add column name        text,
    add column client_id   integer,
    -- how often it has ended: more than once when failed members were run again
    add column completions integer not null default 0;
create index groups_parent on groups (parent_id) where parent_id is not null;

-- What is said of a queue; one that is not here has no limits and is not paused. Redis has a copy.
create table queues (
    name            text             primary key,
    paused          boolean          not null default false,
    -- jobs of it that run at a time, in all workers
    concurrency     integer          check (concurrency > 0),
    -- starts a second, and how many may start at once after a silence
    rate_per_second double precision check (rate_per_second > 0),
    burst           integer          check (burst > 0),
    -- jobs of one key that run at a time
    key_concurrency integer          check (key_concurrency > 0),
    updated_at      timestamptz      not null default now()
);

-- Jobs by the clock.
create table schedules (
    name           text        primary key,
    cron           text        not null, -- five fields, or six with seconds first
    time_zone      text        not null default 'UTC', -- of the IANA database
    -- ticks that nobody was there for: none of them, the last one, or every one
    catch_up       text        not null default 'latest' check (catch_up in ('skip', 'latest', 'all')),
    jitter_seconds integer     not null default 0 check (jitter_seconds >= 0),
    paused         boolean     not null default false,
    -- the job: {"name", "queue", "priority", "max_attempts", "payload"}
    job            jsonb       not null,
    -- ticks up to here are dealt with
    ticked_until   timestamptz not null default now(),
    -- the first tick after that; null: there is none
    next_at        timestamptz,
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now()
);
create index schedules_next on schedules (next_at) where not paused;

-- A tick fires once, whatever the number of schedulers: by its key.
create table schedule_ticks (
    schedule   text        not null references schedules (name) on delete cascade,
    fire_at    timestamptz not null,
    cause      text        not null check (cause in ('due', 'caught_up', 'run_now', 'missed')),
    job_id     uuid, -- null: missed
    created_at timestamptz not null default now(),
    primary key (schedule, fire_at)
);
create index schedule_ticks_missed on schedule_ticks (schedule) where cause = 'missed';
