-- Writes jobs of one kind into the ledger: one statement for any number. The group gate comes first, so that nothing is inserted into
-- a group that takes no more members; the new rows are invisible to others until the commit. One row: the jobs that are
-- due, those that are not, and whether the group is open.
create or replace function gristmill.insert_jobs(
    ids uuid[], payloads text[], name text, queue text, priority smallint, max_attempts integer, group_id uuid, run_at timestamptz,
    unique_key text, client_id integer, trace_parents text[], fair_key text, version smallint, retain_seconds integer, delay_ms bigint,
    sealed_too boolean, timeout_ms integer, expires_in_ms bigint, tags text[], backoff text, order_key text
) returns table (due uuid[], later uuid[], open boolean) language plpgsql
    set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
begin
    return query
    with gate as (
        select id from gristmill.groups where id = $7 and state = 'open' and (not sealed or $16) for no key update
    ), inserted as (
        insert into gristmill.jobs (id, name, queue, priority, payload, state, max_attempts, run_at, group_id, unique_key, client_id,
                          trace_parent, fair_key, version, retain_seconds, timeout_ms, expires_at, tags, backoff, order_key)
        select i.id, $3, $4, $5, i.payload::jsonb,
               case when coalesce($8, now()) + $15 * interval '1 millisecond' > now() then 'scheduled' else 'available' end,
               $6, coalesce($8, now()) + $15 * interval '1 millisecond', $7, $9, $10, i.trace_parent, $12, $13, $14,
               $17, coalesce($8, now()) + ($15 + $18) * interval '1 millisecond', $19, $20::jsonb, $21
        from unnest($1::uuid[], $2::text[], $11::text[]) as i (id, payload, trace_parent)
        where $7 is null or exists (select from gate)
        on conflict (unique_key) where unique_key is not null and state in ('available', 'scheduled') do nothing
        returning id, state = 'available' as ready
    ), counted as (
        update gristmill.groups set total = total + (select count(*) from inserted) where id in (select id from gate)
    )
    select array(select id from inserted where ready), array(select id from inserted where not ready), exists (select from gate);
end $$;
