-- Closes those of these groups that are sealed and whose members have all ended, and inserts their joins, which get ids of `fresh`. Says
-- which joins those are (`join`, or `waits` where its turn has to come), and what there is to count in parents (`ended`: the parent's
-- id, and the state as name).
create or replace function gristmill.close_groups(ids uuid[], fresh uuid[]) returns table (
    kind text, id uuid, name text, queue text, priority smallint, payload text, version smallint, client_id integer, trace_parent text,
    fair_key text, due bigint
) language plpgsql
    set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
begin
    return query
    with ready as (
        select id from gristmill.groups where id = any($1) and sealed and finished_at is null and completed + failed + cancelled = total
        order by id for no key update
    ), ended as (
        update gristmill.groups g set state = case when g.failed > 0 or g.state = 'failing' then 'failed' else 'completed' end,
            completions = g.completions + 1, finished_at = now()
        from ready where g.id = ready.id
        returning g.*
    ), specs as (
        select case e.state
                when 'completed' then e.on_complete
                when 'failed' then case e.policy when 'continue' then coalesce(e.on_failure, e.on_complete) else e.on_failure end
            end as spec, e.id as join_of from ended e
    ), joined as (
        insert into gristmill.jobs (id, name, queue, priority, payload, version, state, max_attempts, retain_seconds,
                                    client_id, trace_parent, fair_key, order_key, join_of)
        select $2[row_number() over ()], spec->>'name', spec->>'queue', (spec->>'priority')::smallint, spec->'payload',
               coalesce((spec->>'version')::smallint, 1), 'available', (spec->>'max_attempts')::int,
               (spec->>'retain_seconds')::int, (spec->>'client_id')::int, spec->>'trace_parent', spec->>'client_id',
               spec->>'order_key', join_of
        from specs where spec is not null and spec <> 'null'
        returning *
    )
    select case state when 'available' then 'join' else 'waits' end, id, name, queue, priority, payload::text, version, client_id,
           trace_parent, fair_key, (extract(epoch from run_at) * 1000)::bigint
    from joined
    union all
    select 'ended', parent_id, state, '', 0::smallint, '', 0::smallint, null, null, null, 0
    from ended where parent_id is not null;
end $$;
