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
    check (completed + failed + cancelled <= total)
);

create index groups_open on groups (id) where finished_at is null;

create table jobs (
    id           uuid primary key, -- version 7: sorted by time of creation
    name         text        not null,
    queue        text        not null,
    priority     smallint    not null check (priority between 0 and 9), -- 0 is the most urgent
    payload      jsonb       not null,
    state        text        not null check (state in ('available', 'scheduled', 'completed', 'dead', 'cancelled')),
    attempt      integer     not null default 0, -- attempts that ended without success
    max_attempts integer     not null check (max_attempts > 0),
    run_at       timestamptz not null default now(),
    group_id     uuid references groups (id) on delete cascade,
    unique_key   text,
    client_id    integer,
    trace_parent text,
    last_error   text,
    created_at   timestamptz not null default now(),
    finished_at  timestamptz
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- Every index on a finished row is paid for by every job: there is none on finished_at,
-- pruning walks the primary key, which is in order of time.
create index jobs_available on jobs (id) where state = 'available';
create index jobs_scheduled on jobs (run_at) where state = 'scheduled';
create index jobs_group on jobs (group_id) where group_id is not null;
create unique index jobs_unique_key on jobs (unique_key) where unique_key is not null and state in ('available', 'scheduled');
