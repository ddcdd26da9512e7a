-- What the ledger says about jobs that are about to run, without locks: one row of lists, as a row for each job costs more than the rest
-- of its answer. One that is not still to be done is not in them. `flags`: 1 grouped, 2 nested, 4 stopped, 8 expired, 16 resumes,
-- 32 limited. Of timeouts and backoffs only those that differ from what the worker has: objects by the job's id.
create or replace function gristmill.job_statuses(
    ids uuid[], out known uuid[], out attempts integer[], out rounds integer[], out max_attempts integer[], out flags integer[],
    out timeouts_ms jsonb, out backoffs jsonb
) language plpgsql stable
    set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
begin
    select array_agg(j.id), array_agg(j.attempt), array_agg(j.attempt + j.rounds), array_agg(j.max_attempts),
           array_agg(
               case when j.group_id is null then 0 when g.root_id is null then 1 else 3 end
               + case when j.cancel_requested_at is not null or coalesce(g.state, 'open') <> 'open' then 4 else 0 end
               + case when j.expires_at < now() then 8 else 0 end
               + case when j.resumes then 16 else 0 end
               + case when j.name = any(array(select l.name from gristmill.job_limits l where l.is_limited)) then 32 else 0 end),
           jsonb_object_agg(j.id, j.timeout_ms) filter (where j.timeout_ms is not null),
           jsonb_object_agg(j.id, j.backoff) filter (where j.backoff is not null)
    into known, attempts, rounds, max_attempts, flags, timeouts_ms, backoffs
    from gristmill.jobs j left join gristmill.groups g on g.id = j.group_id
    where j.id = any($1) and j.state = 'available';
end $$;
