with input as (
    select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
                         $9::int[])
                  as i (id, outcome, delay, error, delivery, worker, ran, seen)
), held as (
    select j.id, j.attempt, j.max_attempts, j.cancel_requested_at is not null as unwanted
    from jobs j join input i on i.id = j.id where j.state = 'available' and j.attempt = coalesce(i.seen, j.attempt)
    order by j.id for update of j
), verdicts as (
    select i.*, h.attempt, (i.outcome in ('retried', 'timed_out', 'panicked', 'lost_worker', 'discarded'))::int as failures,
           clock_timestamp() - i.ran * interval '1 microsecond' as started_at,
           case when i.outcome = 'cancelled' then 'cancelled'
                when i.outcome in ('lost_worker', 'discarded') then 'dead'
                when i.outcome in ('retried', 'timed_out', 'panicked') and h.attempt + 1 >= h.max_attempts then 'dead'
                when h.unwanted then 'cancelled'
                when i.outcome = 'parked' then 'parked'
                else 'scheduled' end as state
    from input i join held h using (id)
), settled as (
    update jobs j set
        attempt = j.attempt + v.failures,
        state = v.state,
        last_error = coalesce(v.error, j.last_error),
        run_at = case when v.state = 'scheduled' then now() + v.delay * interval '1 millisecond' else j.run_at end,
        finished_at = case when v.state in ('dead', 'cancelled') then now() end,
        started_at = v.started_at, worker = v.worker,
        parked_by = case when v.state = 'parked' then $8 end
    from verdicts v where j.id = v.id
    returning j.id, j.state, j.group_id
), snoozed_again as (
    update job_attempts a set delivery = v.delivery, worker = v.worker, ended_at = clock_timestamp()
    from verdicts v where v.outcome = 'snoozed' and v.delivery is not null
      and a.job_id = v.id and a.attempt = v.attempt + 1 and a.outcome = 'snoozed'
    returning a.job_id
), history as (
    insert into job_attempts (job_id, attempt, delivery, outcome, error, worker, started_at, ended_at)
    select v.id, v.attempt + 1, v.delivery, v.outcome, v.error, v.worker, v.started_at, clock_timestamp()
    from verdicts v where v.delivery is not null and v.id not in (select job_id from snoozed_again)
)
select * from settled
