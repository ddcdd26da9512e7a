-- $1 queue, $2 jobs to count at most, $3 lines to count at most
-- How many jobs the broker holds of the queue, and how many lines these are.
with recursive line (priority, key, n) as (
    (select b.priority, b.fair_key, 1 from gristmill.broker_jobs b
     where b.queue = $1 and b.place = 0 order by b.priority, b.fair_key limit 1)
    union all
    select next.*, l.n + 1 from line l cross join lateral (
        select b.priority, b.fair_key from gristmill.broker_jobs b
        where b.queue = $1 and b.place = 0 and (b.priority, b.fair_key) > (l.priority, l.key)
        order by b.priority, b.fair_key limit 1) next
    where l.n < $3
)
select (select count(*) from (
           (select from gristmill.broker_jobs b where b.queue = $1 and b.place = 0 limit $2)
           union all
           (select from gristmill.broker_jobs b where b.queue = $1 and b.place <> 0 limit $2)) held),
       (select count(*) from line)
