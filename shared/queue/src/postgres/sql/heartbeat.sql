-- $1 worker, $2 heartbeat, $3 entry of the queue, $4 what the queue does, $5 known jobs or null, $6 seconds until a worker is gone
-- Records that a worker is alive and what one of its queues does. Returns whether the worker must drain, and whether the registry
-- has its known jobs: a worker sends them once, and again after they were lost.
with clock as (
    select extract(epoch from pg_catalog.clock_timestamp())::bigint as now
), others as materialized (
    select w.id, w.heard <= c.now - $6 as gone from gristmill.broker_workers w, clock c
    -- a heartbeat of the future: Postgres' clock has stepped back, live workers send another one
    where w.id <> $1 and (w.heard <= c.now - $6 or w.heard > c.now + 1)
    for update of w skip locked
), corrected as (
    update gristmill.broker_workers w set heard = (select now from clock) from others o where w.id = o.id and not o.gone
), gone as (
    delete from gristmill.broker_workers w using others o where w.id = o.id and o.gone
), their_queues as (
    delete from gristmill.broker_worker_queues q using others o where q.worker_id = o.id and o.gone
), queue as (
    insert into gristmill.broker_worker_queues (worker_id, entry, view) values ($1, $3, $4)
    on conflict (worker_id, entry) do update set view = excluded.view
)
insert into gristmill.broker_workers as w (id, heard, heartbeat, known_jobs)
select $1, now, $2, $5 from clock
on conflict (id) do update set heard = excluded.heard, heartbeat = excluded.heartbeat,
                               known_jobs = coalesce(excluded.known_jobs, w.known_jobs)
returning drain, known_jobs is not null
