-- Scheduled jobs that have become due are made available. Several sweepers share the work.
create or replace function gristmill.promote_due(most bigint) returns table (
    id uuid, name text, queue text, priority smallint, payload text, version smallint, client_id integer, trace_parent text,
    fair_key text, due bigint, called boolean
) language plpgsql
    set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
begin
    return query
    with due as (
        select id from gristmill.jobs where state = 'scheduled' and run_at <= now() order by run_at limit $1 for update skip locked
    )
    update gristmill.jobs j set state = 'available', gate = case when j.gate = 'called' then j.gate end from due where j.id = due.id
    returning j.id, j.name, j.queue, j.priority, j.payload::text, j.version, j.client_id, j.trace_parent, j.fair_key,
              (extract(epoch from j.run_at) * 1000)::bigint, j.gate is not null;
end $$;
