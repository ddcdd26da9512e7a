-- $1 queue, $2 lease in ms, $3 ids, $4 numbers
-- Returns the ids that somebody else has or will get: the caller lost them. It lives, so that was not their doing. A lease that
-- is being ended at this moment is left alone.
with clock as (
    select coalesce((select c.counted + least(greatest(t.shows - c.showed, 0), $2 / 3)
                     from gristmill.broker_clocks c where c.queue = $1), t.shows) as now
    from (select (extract(epoch from pg_catalog.clock_timestamp()) * 1000)::bigint as shows) t
), held as materialized (
    select b.at, b.id, b.deliveries + 1 <> i.number as lost, i.number
    from unnest($3::uuid[], $4::bigint[]) as i (id, number)
    cross join lateral (
        select b.ctid as at, b.id, b.deliveries from gristmill.broker_jobs b where b.id = i.id and b.queue = $1
        for update skip locked) b
), renewed as (
    update gristmill.broker_jobs b set ends = (select now from clock) + $2
    where b.ctid = any (array(select at from held where not lost)) and b.place = 1
), cleared as (
    update gristmill.broker_jobs b set failed = regexp_replace(b.failed, '(^|[abf])' || h.number || '[ab]', '\1')
    from held h where h.lost and b.ctid = h.at
)
select id::text from held where lost
