-- $1 queue, $2 lease in ms, $3 ids, $4 numbers, $5 delays in ms, $6 reasons, $7 wake-up
-- Gives back what this owner holds: at once to its place in line, or when the delay is over, by the reaper. A failure (reason 1)
-- is a failed delivery, a mere wait is not. What its owner cannot read (2) goes to the end of its line then, behind what it can.
with clock as (
    select coalesce((select c.counted + least(greatest(t.shows - c.showed, 0), $2 / 3)
                     from gristmill.broker_clocks c where c.queue = $1), t.shows) as now
    from (select (extract(epoch from pg_catalog.clock_timestamp()) * 1000)::bigint as shows) t
), held as materialized (
    select b.at, i.number, i.delay, i.reason
    from (select * from unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::smallint[]) as i (id, number, delay, reason)
          order by id) i
    cross join lateral (
        select b.ctid as at from gristmill.broker_jobs b
        where b.id = i.id and b.queue = $1 and b.place = 1 and b.deliveries + 1 = i.number
        for update) b
), released as (
    update gristmill.broker_jobs b set
        place = case when h.delay <= 0 then 0 when h.reason = 2 then 3 else 2 end,
        ends = (select now from clock) + h.delay,
        deliveries = b.deliveries + (h.delay <= 0)::int,
        failed = b.failed || case when h.reason = 1 then h.number || 'f' else '' end,
        alone = null
    from held h where b.ctid = h.at
    returning 1
)
select case when exists (select from released) then pg_notify('gristmill_broker', $7)::text end
