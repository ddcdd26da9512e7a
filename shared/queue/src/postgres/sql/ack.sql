-- $1 queue, $2 ids, $3 numbers, $4 process, $5 wake-up
-- Removes jobs that their last owner acknowledges. Only a count stays, for a minute.
with held as materialized (
    select b.at from (select * from unnest($2::uuid[], $3::bigint[]) as i (id, number) order by id) i
    cross join lateral (
        select b.ctid as at from gristmill.broker_jobs b where b.id = i.id and b.queue = $1 and b.deliveries + 1 = i.number
        for update) b
), gone as (
    delete from gristmill.broker_jobs b where b.ctid = any (array(select at from held)) returning 1
), counted as (
    insert into gristmill.broker_acknowledged as a (queue, slot, process, jobs)
    select $1, floor(extract(epoch from pg_catalog.clock_timestamp()) / 10)::bigint, $4, n from (select count(*) as n from gone) g
    where n > 0
    on conflict (queue, slot, process) do update set jobs = a.jobs + excluded.jobs
)
select case when exists (select from gristmill.broker_limits l
                         where l.queue = $1 and (l.concurrency is not null or l.key_concurrency is not null))
            then pg_notify('gristmill_broker', $5)::text end
