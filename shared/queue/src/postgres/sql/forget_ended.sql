-- $1 and $2 the id and queue behind which to look, $3 how many, $4 lease in ms
-- What nobody is to do any more leaves the broker, but for those whose lease goes on: these are their owner's. Returns where to go
-- on, if there may be more, and those that are gone.
with page as materialized (
    select b.id, b.queue from gristmill.broker_jobs b where (b.id, b.queue) > ($1, $2) order by b.id, b.queue limit $3
), ended as materialized (
    select b.at from page p
    left join lateral (select j.state from gristmill.jobs j where j.id = p.id limit 1) j on true
    left join gristmill.broker_clocks c on c.queue = p.queue
    cross join (select (extract(epoch from pg_catalog.clock_timestamp()) * 1000)::bigint as shows) t
    cross join lateral (
        select b.ctid as at from gristmill.broker_jobs b where b.id = p.id and b.queue = p.queue
          and (b.place <> 1 or b.ends <= coalesce(c.counted + least(greatest(t.shows - c.showed, 0), $4 / 3), t.shows))
        for update skip locked) b
    where j.state is distinct from 'available'
), gone as (
    delete from gristmill.broker_jobs b where b.ctid = any (array(select at from ended)) returning b.id
)
select (select p.id from page p order by p.id desc, p.queue desc limit 1),
       (select p.queue from page p order by p.id desc, p.queue desc limit 1),
       (select count(*) from page),
       array(select id from gone)
