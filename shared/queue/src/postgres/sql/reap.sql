-- $1 queue, $2 lease in ms, $3 limit, $4 max deliveries, $5 lease of a dead letter in ms, $6 wake-up
-- Leases and delays that ran out: back in line, and those that have used up their deliveries to the caller, under a lease of its
-- own until it has stored them as dead letters. One row for each: what its delivery was, and, of the latter, the job.
-- In the text of failed deliveries b stands for one that others ran beside, of which only the first two count (or fewer, if fewer
-- deliveries are allowed), a for one that ran alone, and f for a failure.
with clock as (
    select coalesce((select c.counted + least(greatest(t.shows - c.showed, 0), $2 / 3)
                     from gristmill.broker_clocks c where c.queue = $1), t.shows) as now
    from (select (extract(epoch from pg_catalog.clock_timestamp()) * 1000)::bigint as shows) t
), ended as materialized (
    select b.ctid as at, b.place, b.deliveries + 1 as number, b.failed, b.alone,
           length(translate(b.failed, '0123456789', '')) as strikes,
           length(translate(b.failed, '0123456789af', '')) as beside
    from gristmill.broker_jobs b
    where b.queue = $1 and b.place <> 0 and b.ends <= (select now from clock)
    order by b.ends limit $3
    for update skip locked
), judged as (
    -- storing a dead letter may outlast its lease: that is no delivery
    select e.*, e.place = 1 and not (e.strikes > e.beside and e.strikes >= $4) as lost, coalesce(e.alone = e.number, false) as was_alone
    from ended e
), told as (
    select j.*, case when not j.lost then j.failed
                     when j.was_alone then j.failed || j.number || 'a'
                     when j.beside < greatest(1, least(2, $4 - 1)) then j.failed || j.number || 'b'
                     else j.failed end as now_failed
    from judged j
), verdicts as (
    select t.*, length(translate(now_failed, '0123456789', '')) > length(translate(now_failed, '0123456789af', ''))
                and length(translate(now_failed, '0123456789', '')) >= $4 as dead
    from told t
), reaped as (
    update gristmill.broker_jobs b set
        place = v.dead::int,
        ends = case when v.dead then (select now from clock) + $5 end,
        position = case when v.place = 3 and not v.dead then nextval('gristmill.broker_positions') else b.position end,
        deliveries = v.number, failed = v.now_failed, alone = null
    from verdicts v where b.ctid = v.at
    returning b.id, b.priority, b.fair_key, v.number, v.lost, v.was_alone, v.dead, b.failed,
              case when v.dead then b.payload end as payload
)
select *, case when exists (select from reaped where not dead) then pg_notify('gristmill_broker', $6)::text end from reaped
