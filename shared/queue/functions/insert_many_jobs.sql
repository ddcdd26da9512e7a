-- Writes jobs of any kinds into the ledger. One row: those that are due, and those that are not. One whose key is taken is in neither.
create or replace function gristmill.insert_many_jobs(
    ids uuid[], names text[], queues text[], priorities smallint[], payloads text[], max_attempts integer[], run_at_us bigint[],
    delays_ms bigint[], group_ids uuid[], unique_keys text[], client_ids integer[], trace_parents text[], fair_keys text[],
    versions smallint[], retain_seconds integer[], timeouts_ms integer[], expire_in_ms bigint[], tags text[], backoffs text[],
    order_keys text[]
) returns table (due uuid[], later uuid[]) language plpgsql
    set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
begin
    return query
    with input as (
        select i.*, coalesce(timestamptz 'epoch' + i.run_at * interval '1 microsecond', now()) + i.delay * interval '1 millisecond' as due
        from unnest($1::uuid[], $2::text[], $3::text[], $4::smallint[], $5::text[], $6::integer[], $7::bigint[], $8::bigint[], $9::uuid[],
                    $10::text[], $11::integer[], $12::text[], $13::text[], $14::smallint[], $15::integer[], $16::integer[], $17::bigint[],
                    $18::text[], $19::text[], $20::text[])
             with ordinality as i (id, name, queue, priority, payload, max_attempts, run_at, delay, group_id,
                                   unique_key, client_id, trace_parent, fair_key, version, retain_seconds, timeout_ms, expires_in,
                                   tags, backoff, order_key, n)
    ), inserted as (
        insert into gristmill.jobs (id, name, queue, priority, payload, state, max_attempts, run_at, group_id, unique_key, client_id,
                                    trace_parent, fair_key, version, retain_seconds, timeout_ms, expires_at, tags, backoff, order_key)
        select id, name, queue, priority, payload::jsonb, case when due > now() then 'scheduled' else 'available' end, max_attempts, due,
               group_id, unique_key, client_id, trace_parent, fair_key, version, retain_seconds, timeout_ms,
               due + expires_in * interval '1 millisecond',
               case when tags is not null then array(select jsonb_array_elements_text(tags::jsonb)) end, backoff::jsonb, order_key
        from input order by n
        on conflict (unique_key) where unique_key is not null and state in ('available', 'scheduled') do nothing
        returning id, group_id, state = 'available' as ready
    ), counted as (
        update gristmill.groups g set total = g.total + m.members
        from (select group_id, count(*) as members from inserted where group_id is not null group by group_id) m where g.id = m.group_id
    )
    select array(select id from inserted where ready), array(select id from inserted where not ready);
end $$;
