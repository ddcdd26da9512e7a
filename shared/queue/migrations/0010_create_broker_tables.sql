-- The broker, where that is Postgres itself: which worker runs a job now. All of it is unlogged and may be lost at any time: the
-- ledger is the truth, and the sweep pushes again what an emptied broker does not know.

create unlogged sequence broker_positions;

-- Jobs that wait for a worker, or are with one.
create unlogged table broker_jobs (
    queue text collate "C" not null,
    id uuid not null,
    priority smallint not null,
    fair_key text collate "C" not null,
    -- in its line, which is that of its queue, priority and key
    position bigint not null,
    -- 0: in line, 1: leased, 2: back in line after a delay, 3: then at the end of it
    place smallint not null default 0,
    -- of the lease or the delay, in milliseconds of the queue's clock
    ends bigint,
    -- that have ended
    deliveries bigint not null default 0,
    -- those of them that ended without success: see src/broker/failed_deliveries.rs
    failed text not null default '',
    -- the delivery that nothing runs beside
    alone bigint,
    payload bytea not null,
    primary key (id, queue)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0);
create index broker_jobs_in_line on broker_jobs (queue, priority, fair_key, position) where place = 0;
create index broker_jobs_away on broker_jobs (queue, place, fair_key) where place <> 0;

-- A queue's own time: what Postgres' clock showed when it was last asked, and what the queue's did.
create unlogged table broker_clocks (
    queue text collate "C" primary key,
    showed bigint not null,
    counted bigint not null
) with (fillfactor = 50);

-- Queues that are paused or have limits, as the table of the queues says.
create unlogged table broker_limits (
    queue text collate "C" primary key,
    version bigint not null,
    paused boolean not null,
    concurrency integer,
    rate_per_second double precision,
    burst double precision,
    key_concurrency integer,
    -- the starts that are saved up, and since when
    tokens double precision,
    filled_at bigint
) with (fillfactor = 50);

-- Lines of which some jobs had to stay outside.
create unlogged table broker_outside (
    queue text collate "C" not null,
    priority smallint not null,
    fair_key text collate "C" not null,
    primary key (queue, priority, fair_key)
);

-- Jobs acknowledged, by tens of seconds and by process, so that no two processes write one row.
create unlogged table broker_acknowledged (
    queue text collate "C" not null,
    slot bigint not null,
    process uuid not null,
    jobs bigint not null,
    primary key (queue, slot, process)
) with (fillfactor = 50);

-- Live workers, and what each of their queues does.
create unlogged table broker_workers (
    id uuid primary key,
    heard bigint not null,
    heartbeat text not null,
    known_jobs text,
    drain boolean not null default false
) with (fillfactor = 50);
create unlogged table broker_worker_queues (
    worker_id uuid not null,
    entry uuid not null,
    view text not null,
    primary key (worker_id, entry)
) with (fillfactor = 50);

-- What running jobs last said of their progress.
create unlogged table broker_progress (
    job_id uuid primary key,
    done bigint not null,
    total bigint not null,
    said bigint not null
);

-- Has a row as long as the broker has its data.
create unlogged table broker_epoch (
    one boolean primary key default true check (one)
);
