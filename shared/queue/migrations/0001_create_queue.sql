-- The ledger: what must still be done. "Running" is the broker's knowledge and is not written here,
-- so a job costs one insert and one update.

create table groups (
    id          uuid primary key,
    policy      text        not null check (policy in ('continue', 'fail_fast')),
    -- members enqueued so far; final once sealed
    total       bigint      not null default 0,
    completed   bigint      not null default 0,
    failed      bigint      not null default 0,
    cancelled   bigint      not null default 0,
    sealed      boolean     not null default false,
    -- the job to enqueue when the last member finished: {"name", "queue", "priority", "max_attempts", "payload"}
    on_complete jsonb,
    on_failure  jsonb,
    -- failing: a member of a fail_fast group has failed, the last ones are still stopping
    state       text        not null default 'open' check (state in ('open', 'failing', 'completed', 'failed', 'cancelled')),
    created_at  timestamptz not null default now(),
    finished_at timestamptz,
    -- a nested group counts as one member of its parent
    parent_id   uuid references groups (id) on delete cascade,
    name        text,
    client_id   integer,
    -- how often it has ended: more than once when failed members were run again
    completions integer     not null default 0,
    -- the outermost group around a nested one: who changes more than one level locks its row first
    root_id     uuid,
    check (completed + failed + cancelled <= total),
    check ((root_id is null) = (parent_id is null))
);
create index groups_open on groups (id) where finished_at is null;
create index groups_parent on groups (parent_id) where parent_id is not null;

create table jobs (
    id           uuid primary key, -- version 7: sorted by time of creation
    name         text        not null,
    queue        text        not null,
    priority     smallint    not null check (priority between 0 and 9), -- 0 is the most urgent
    payload      jsonb       not null,
    state        text        not null
        check (state in ('available', 'scheduled', 'completed', 'dead', 'cancelled', 'parked')),
    attempt      integer     not null default 0, -- attempts that ended without success
    max_attempts integer     not null check (max_attempts > 0),
    run_at       timestamptz not null default now(),
    group_id     uuid references groups (id) on delete cascade,
    unique_key   text,
    client_id    integer,
    trace_parent text,
    last_error   text,
    created_at   timestamptz not null default now(),
    finished_at  timestamptz,
    -- jobs of one queue take turns by this key (the client, unless the caller says otherwise)
    fair_key            text,
    -- seconds that a finished job is kept; null: as long as everything
    retain_seconds      integer check (retain_seconds >= 0),
    -- the attempt that ended it; the ones that failed are in job_attempts
    started_at          timestamptz,
    worker              text,
    result              jsonb,
    -- a running job is cancelled when its body has stopped, not when somebody asks for it
    cancel_requested_at timestamptz,
    -- the version of the binary that could not read it: another one may
    parked_by           text,
    -- the shape of the payload: Job::VERSION of the binary that wrote it
    version             smallint not null default 1 check (version > 0),
    -- how often somebody, or a schedule, has brought a finished job back: what ends an automatic redrive
    redriven            integer not null default 0,
    -- the `finished_at` of the end that an application has seen to
    end_seen_at         timestamptz
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- Every index on a finished row is paid for by every job.
create index jobs_available on jobs (id) where state = 'available';
create index jobs_scheduled on jobs (run_at) where state = 'scheduled';
-- Members of a group by their state: what ended goes from beside a million dead ones without a look at these.
create index jobs_members on jobs (group_id, state) where group_id is not null;
create unique index jobs_unique_key on jobs (unique_key) where unique_key is not null and state in ('available', 'scheduled');
-- Finished jobs that people look for. Completed ones are not among them: an index on them is paid for by every job.
create index jobs_unusual on jobs (state, id) where state in ('dead', 'cancelled', 'parked');
create index jobs_unusual_by_client on jobs (client_id, state, id)
    where state in ('dead', 'cancelled', 'parked') and client_id is not null;
-- Both are empty but for the jobs that ask for it.
create index jobs_cancelling on jobs (id) where cancel_requested_at is not null and state = 'available';
create index jobs_retained on jobs (id) where retain_seconds is not null;
-- What waits, or waits for somebody, by queue: counted up to a bound, and the oldest of it found at once. Only who asks by
-- queue may use it, and says so by `queue <> ''`: where statistics were made of an idle queue, the planner expects next to
-- no waiting job, and would read a whole backlog to find jobs by their ids.
create index jobs_waiting on jobs (state, queue, run_at)
    where state in ('available', 'scheduled', 'dead', 'parked') and queue <> '';
-- Beyond that bound the planner says about how many there are: of both columns together.
create statistics jobs_queues (mcv) on state, queue from jobs;
-- What is to be pruned, by when it ended and not by its id: an id need not be of version 7.
create index jobs_prunable on jobs (finished_at)
    where state in ('completed', 'cancelled') and group_id is null and retain_seconds is null;
create index jobs_dead on jobs (finished_at) where state = 'dead';

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
create index job_keys_until on job_keys (until);

-- What is said of a queue; one that is not here has no limits and is not paused. The broker has a copy.
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
    updated_at      timestamptz      not null default now(),
    -- a queue that drains: when no job of before this time is due any more, it is paused
    draining_at     timestamptz,
    -- whether somebody has said what a queue is held to; that it was paused, drained or resumed says nothing of that
    limits_said     boolean          not null default false
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

-- Jobs that are due and for which the broker has no place yet: their queue has as many there as it may. In the order of
-- their turns: each line (a queue, a priority and a fair key) waits for itself. A row may outlive its job.
create table waiting_room (
    queue    text     not null,
    priority smallint not null,
    fair_key text     not null,
    job_id   uuid     not null,
    primary key (queue, priority, fair_key, job_id)
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- Workers that are to take no more jobs, and that the broker has not been told of yet. Empty but for moments.
create table worker_drains (
    worker_id uuid        primary key,
    asked_at  timestamptz not null default now()
);
