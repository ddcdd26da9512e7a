-- $1 queue, $2 lease in ms
-- The queue's time goes on by what has passed since it was last asked, by a third of a lease at most, and never back: Postgres'
-- clock may step, and no lease may end, or last, because of that. A silence longer than that is a step, or nobody could have
-- renewed a lease in it. (A reap at least is one question.)
insert into gristmill.broker_clocks as c (queue, showed, counted)
select $1, shows, shows from (select (extract(epoch from pg_catalog.clock_timestamp()) * 1000)::bigint as shows) t
on conflict (queue) do update set
    counted = c.counted + least(greatest(excluded.showed - c.showed, 0), $2 / 3), showed = excluded.showed
where excluded.showed - c.showed not between 0 and 99
