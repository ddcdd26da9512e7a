-- The same where jobs may be in groups (see `complete_jobs`, which has the same update): groups count them, and a sealed group whose last member this was closes. A
-- row (`done`) for each job that was completed by this call, and those of `close_groups`.
create or replace function gristmill.complete_members(ids uuid[], worker text, ran jsonb, results jsonb, fresh uuid[]) returns table (
    kind text, id uuid, name text, queue text, priority smallint, payload text, version smallint, client_id integer, trace_parent text,
    fair_key text, due bigint
) language plpgsql
    set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
declare
    completed_ids uuid[];
    full_ids      uuid[];
begin
    with done as (
        update gristmill.jobs j set state = 'completed', finished_at = now(), worker = $2,
            started_at = clock_timestamp() - ($3->>j.id::text)::bigint * interval '1 microsecond',
            result = $4->j.id::text
        where j.id = any($1) and j.state = 'available'
        returning j.id, j.group_id
    ), members as (
        select group_id as id, count(*) as n from done where group_id is not null group by group_id
    ), counted as (
        update gristmill.groups g set completed = g.completed + m.n from members m where g.id = m.id
        returning g.id, g.sealed and g.finished_at is null and g.completed + g.failed + g.cancelled = g.total as is_full
    )
    select array(select id from done), array(select id from counted where is_full) into completed_ids, full_ids;
    if full_ids <> '{}' then
        return query select * from gristmill.close_groups(full_ids, $5);
    end if;
    return query
    select 'done', d.id, '', '', 0::smallint, '', 0::smallint, null::integer, null::text, null::text, 0::bigint
    from unnest(completed_ids) as d (id);
end $$;
