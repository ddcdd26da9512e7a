-- Lines of an attempt that has some already: those that are not there yet go behind them, and the first ones are dropped.
insert into gristmill.job_logs as l (job_id, attempt, lines, dropped)
select i.id, i.attempt, i.lines::jsonb, i.dropped
from unnest($1::uuid[], $2::integer[], $3::text[], $4::bigint[]) as i (id, attempt, lines, dropped)
where exists (select from gristmill.jobs j where j.id = i.id)
order by i.id, i.attempt
on conflict (job_id, attempt) do update set (lines, dropped) = (
    select coalesce(jsonb_agg(line order by part, n) filter (where place <= $5 and bytes <= $6), '[]'),
           l.dropped + excluded.dropped + count(*) filter (where place > $5 or bytes > $6)
    from (
        select part, n, line, row_number() over backwards as place,
               sum(octet_length(line->>'message')) over backwards as bytes
        from (
            select 1 as part, n, line from jsonb_array_elements(l.lines) with ordinality as e (line, n)
            union all
            select 2, n, line from jsonb_array_elements(excluded.lines) with ordinality as e (line, n)
            where not l.lines @> jsonb_build_array(line)
        ) both_parts
        window backwards as (order by part desc, n desc)
    ) counted
)
