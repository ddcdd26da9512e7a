-- Jobs that are in no group and still to be done become completed: the ids of those that did by this call, in one row, as a row for each
-- costs more than the rest of its answer. `ran` and `results` are objects that have by a job's id for how long it ran, in microseconds,
-- and its result. They are looked into and not joined: a planner that knows nothing of the table yet takes one job for all that it will
-- find, and would compare each job with each.
create or replace function gristmill.complete_jobs(ids uuid[], worker text, ran jsonb, results jsonb) returns uuid[] language plpgsql
    set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
declare
    completed_ids uuid[];
begin
    with done as (
        update gristmill.jobs j set state = 'completed', finished_at = now(), worker = $2,
            started_at = clock_timestamp() - ($3->>j.id::text)::bigint * interval '1 microsecond',
            result = $4->j.id::text
        where j.id = any($1) and j.state = 'available'
        returning j.id
    )
    select array_agg(id) into completed_ids from done;
    return coalesce(completed_ids, '{}');
end $$;
