-- $1 queue, $2 lease in ms, $3 jobs wanted, $4 the priority to begin at, $5 from the least urgent one up, $6 the keys behind
-- which turns begin, by priority, $7 only a queue without limits, $8 its limit of concurrency, $9 its limit by key
-- Leases jobs of one priority: the first one from $4 on that has any. Its keys take turns, and each gets
-- its share of what is wanted. One row for each lease, or one without a lease.
with recursive clock as (
    select coalesce((select c.counted + least(greatest(t.shows - c.showed, 0), $2 / 3)
                     from gristmill.broker_clocks c where c.queue = $1), t.shows) as now
    from (select (extract(epoch from pg_catalog.clock_timestamp()) * 1000)::bigint as shows) t
), room as (
    select case when $7 and exists (select from gristmill.broker_limits l where l.queue = $1) then -1
                when $8::int is null then $3
                else least($3, $8 - (select count(*) from gristmill.broker_jobs b where b.queue = $1 and b.place = 1)) end as jobs
), level as (
    select case when (select jobs from room) <= 0 then null
                when $5 then (select max(priority) from gristmill.broker_jobs b
                              where b.queue = $1 and b.place = 0 and b.priority <= $4)
                else (select min(priority) from gristmill.broker_jobs b
                      where b.queue = $1 and b.place = 0 and b.priority >= $4) end as priority
), turn as (
    select coalesce(($6::text[])[priority + 1], '') collate "C" as key from level
), running as (
    select fair_key as key, count(*) as jobs from gristmill.broker_jobs b
    where b.queue = $1 and b.place = 1 and b.fair_key <> '' group by fair_key
), behind (key, n, full_up) as (
    (select key, 0::bigint, false from turn)
    union all
    select next.key, b.n + (not next.full_up)::int, next.full_up
    from behind b cross join lateral (
        select j.fair_key as key,
               $9::int is not null and coalesce((select r.jobs from running r where r.key = j.fair_key), 0) >= $9 as full_up
        from gristmill.broker_jobs j
        where j.queue = $1 and j.place = 0 and j.priority = (select priority from level) and j.fair_key > b.key
        order by j.fair_key limit 1) next
    where b.n < (select jobs from room)
), first as (
    select j.fair_key as key,
           $9::int is not null and coalesce((select r.jobs from running r where r.key = j.fair_key), 0) >= $9 as full_up
    from gristmill.broker_jobs j
    where j.queue = $1 and j.place = 0 and j.priority = (select priority from level) and j.fair_key <= (select key from turn)
      and (select max(n) from behind) < (select jobs from room)
    order by j.fair_key limit 1
), before (key, n, full_up) as (
    select key, (select max(n) from behind) + (not full_up)::int, full_up from first
    union all
    select next.key, b.n + (not next.full_up)::int, next.full_up
    from before b cross join lateral (
        select j.fair_key as key,
               $9::int is not null and coalesce((select r.jobs from running r where r.key = j.fair_key), 0) >= $9 as full_up
        from gristmill.broker_jobs j
        where j.queue = $1 and j.place = 0 and j.priority = (select priority from level)
          and j.fair_key > b.key and j.fair_key <= (select key from turn)
        order by j.fair_key limit 1) next
    where b.n < (select jobs from room)
), lines as (
    select key, n from behind where n > 0 and not full_up union all select key, n from before where not full_up
), share as (
    select greatest(1, (select jobs from room) / greatest(1, (select count(*) from lines))) as jobs
), picked as materialized (
    select j.ctid, l.n from lines l cross join lateral (
        select b.ctid from gristmill.broker_jobs b
        where b.queue = $1 and b.place = 0 and b.priority = (select priority from level) and b.fair_key = l.key
        order by b.position
        limit case when $9::int is null or l.key = '' then (select jobs from share)
                   else least((select jobs from share), $9 - coalesce((select r.jobs from running r where r.key = l.key), 0)) end
        for update skip locked) j
    limit greatest(0, (select jobs from room))
), claimed as (
    update gristmill.broker_jobs b set place = 1, ends = (select now from clock) + $2
    where b.ctid = any (array(select ctid from picked))
    returning b.id, b.deliveries, b.failed, b.fair_key, b.position, b.payload
), started as (
    -- a lease has an end by a time that goes on
    insert into gristmill.broker_clocks (queue, showed, counted)
    select $1, now, now from clock
    where exists (select from picked) and not exists (select from gristmill.broker_clocks c where c.queue = $1)
    on conflict do nothing
), seen as materialized (
    select (select jobs from room) as room, l.priority,
           exists (select from behind where full_up) or exists (select from before where full_up) as throttled,
           case when $5 then exists (select from gristmill.broker_jobs b
                                     where b.queue = $1 and b.place = 0 and b.priority < l.priority)
                else exists (select from gristmill.broker_jobs b
                             where b.queue = $1 and b.place = 0 and b.priority > l.priority) end as more
    from level l
)
select s.*, c.id, c.deliveries, c.failed, c.fair_key, c.payload from seen s left join claimed c on true order by c.position
