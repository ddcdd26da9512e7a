-- What becomes of jobs whose attempts did not succeed. `ids` are sorted; `said` is an object that has by a job's id what is said of it;
-- `reader` is who parks.
-- What is said is looked up and not joined: a planner that knows nothing of the table yet takes one job for all that it will find,
-- and would compare each job with each. Of a round's number, deliveries have the lowest 21 bits (src/remote/ticket.rs).
create or replace function gristmill.settle_jobs(ids uuid[], said jsonb, reader text)
returns table (id uuid, state text, group_id uuid) language plpgsql
    set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
begin
    return query
    with held as (
        select j.id, j.attempt, j.max_attempts, j.cancel_requested_at is not null as unwanted, $2->j.id::text as said
        from gristmill.jobs j
        where j.id = any($1) and j.state = 'available'
          and (j.attempt + j.rounds) % 2097152 = coalesce(($2->j.id::text->>'round')::int, j.attempt + j.rounds) % 2097152
        order by j.id for update of j
    ), verdicts as (
        select h.id, h.attempt, i.outcome, i.delay, i.error, i.delivery, i.worker, i.waits_for,
               (i.outcome in ('retried', 'timed_out', 'panicked', 'lost_worker', 'discarded'))::int as failures,
               clock_timestamp() - i.ran * interval '1 microsecond' as started_at,
               case when i.outcome = 'cancelled' then 'cancelled'
                    when i.outcome in ('lost_worker', 'discarded') then 'dead'
                    when i.outcome in ('retried', 'timed_out', 'panicked') and h.attempt + 1 >= h.max_attempts then 'dead'
                    when h.unwanted then 'cancelled'
                    when i.outcome = 'parked' then 'parked'
                    else 'scheduled' end as state
        from held h cross join lateral jsonb_to_record(h.said)
             as i (outcome text, delay bigint, error text, delivery bigint, worker text, ran bigint, waits_for text)
    ), settled as (
        update gristmill.jobs j set
            attempt = j.attempt + v.failures,
            rounds = j.rounds + 1 - v.failures,
            state = v.state,
            last_error = coalesce(v.error, j.last_error),
            run_at = case when v.state = 'scheduled' then now() + v.delay * interval '1 millisecond' else j.run_at end,
            finished_at = case when v.state in ('dead', 'cancelled') then now() end,
            started_at = v.started_at, worker = v.worker,
            parked_by = case when v.state = 'parked' then $3 end,
            waits_for = case when v.state = 'scheduled' then v.waits_for end
        from verdicts v where j.id = v.id
        returning j.id, j.state, j.group_id
    ), snoozed_again as (
        update gristmill.job_attempts a set delivery = v.delivery, worker = v.worker, ended_at = clock_timestamp()
        from verdicts v where v.outcome = 'snoozed' and v.delivery is not null
          and a.job_id = v.id and a.attempt = v.attempt + 1 and a.outcome = 'snoozed'
        returning a.job_id
    ), history as (
        insert into gristmill.job_attempts (job_id, attempt, delivery, outcome, error, worker, started_at, ended_at)
        select v.id, v.attempt + 1, v.delivery, v.outcome, v.error, v.worker, v.started_at, clock_timestamp()
        from verdicts v where v.delivery is not null and v.id not in (select job_id from snoozed_again)
    )
    select id, state, group_id from settled;
end $$;
