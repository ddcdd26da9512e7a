-- $1 queue, $2 priority, $3 ids, $4 keys, $5 payloads, $6 refill, $7 room, $8 share of a line, $9 wake-up, $10 to the front of
-- the lines, whatever the room
-- A known id is not pushed twice, so a push may be repeated. As many as there is room for come in, beyond that each line still
-- gets its share. A line of which some had to stay outside lets in none that come later, until those have come in by a refill.
with fresh as (
    select i.*, not $6 and exists (
               select from gristmill.broker_outside o where o.queue = $1 and o.priority = $2 and o.fair_key = i.key) as closed
    from unnest($3::uuid[], $4::text[], $5::bytea[]) with ordinality as i (id, key, payload, nth)
    left join lateral (select true as yes from gristmill.broker_jobs b where b.id = i.id and b.queue = $1 limit 1) known on true
    where known.yes is null
), counted as (
    select f.*, row_number() over (partition by closed order by nth) as of_all,
           row_number() over (partition by closed, key order by nth) as of_key
    from fresh f
), lines as (
    select l.key, (select count(*) from (
               select from gristmill.broker_jobs b
               where b.queue = $1 and b.place = 0 and b.priority = $2 and b.fair_key = l.key limit $8) w) as length
    from (select distinct key from counted where not closed and of_all > $7) l
), judged as (
    select c.*, not closed and ($10 or of_all <= $7 or of_key + l.length <= $8) as enters
    from counted c left join lines l on l.key = c.key
), entered as (
    insert into gristmill.broker_jobs (queue, id, priority, fair_key, position, payload)
    select $1, id, $2, key, case when $10 then -1 else 1 end * nextval('gristmill.broker_positions'), payload
    from judged where enters order by case when $10 then -nth else nth end
    on conflict do nothing
    returning 1
), outside as (
    insert into gristmill.broker_outside (queue, priority, fair_key)
    select distinct $1, $2::smallint, key from judged where not enters
    on conflict do nothing
)
select (select count(*) from entered),
       array(select id from judged where not enters),
       case when exists (select from entered) then pg_notify('gristmill_broker', $9)::text end
