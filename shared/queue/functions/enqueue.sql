-- Enqueues one job in the caller's transaction. Returns its id, or null when a job with this unique key waits already; with a unique_mode
-- of "replace" or "debounce" that job's id, if it was replaced.
create or replace function gristmill.enqueue(
    name text, payload jsonb default '{}', queue text default 'default', delay interval default null,
    run_at timestamptz default null, priority integer default 4, max_attempts integer default 8, timeout interval default null,
    expires_in interval default null, unique_key text default null, fair_key text default null, tags text[] default null,
    "group" uuid default null, retain interval default null, backoff jsonb default null, client_id integer default null,
    trace_parent text default null, order_key text default null, unique_mode text default null
) returns uuid language plpgsql
    set search_path from current set plan_cache_mode = force_generic_plan set jit = off
as $$
begin
    return (select e.id from enqueue_many(jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
        'name', name, 'queue', queue, 'delay', extract(epoch from delay), 'run_at', run_at, 'priority', priority,
        'max_attempts', max_attempts, 'timeout', extract(epoch from timeout), 'expires_in', extract(epoch from expires_in),
        'unique_key', unique_key, 'fair_key', fair_key, 'tags', tags, 'group', "group", 'retain', extract(epoch from retain),
        'backoff', backoff, 'client_id', client_id, 'trace_parent', trace_parent, 'order_key', order_key, 'unique_mode', unique_mode))
        || jsonb_build_object('payload', coalesce(payload, 'null')))) e);
end $$;
