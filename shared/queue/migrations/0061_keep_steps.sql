-- What a run of a job has recorded for those after it.
alter table jobs
    -- there is something of it in job_steps
    add column resumes boolean not null default false,
    -- the signal that a scheduled job waits for; its run_at is the end of that wait
    add column waits_for text;

create table job_steps (
    job_id  uuid        not null references jobs (id) on delete cascade,
    kind    text        not null check (kind in ('step', 'sleep', 'wait', 'cursor')),
    -- of a step its own; of a sleep its number; of a wait the signal's and a number; of the cursor it is empty
    name    text        not null,
    -- of a step what it came to; of a wait {"payload": …}, or null when its time was over first; of the cursor itself
    result  jsonb,
    -- of a sleep or a wait: not longer than this
    until   timestamptz,
    -- null: it is not over
    done_at timestamptz,
    primary key (job_id, kind, name)
) with (fillfactor = 70);

-- Records a step or the cursor of a job that is this run's: of the attempt after `of_attempt` failed ones. A step is recorded
-- once: `kept` is what stands there now, by whomever. `held` false: the job is not to be done any more, or in another attempt.
-- It waits for no lock on the job's row (55P03), as the run itself may hold it in another transaction.
create function keep_step(job uuid, of_attempt integer, of_kind text, of_name text, value jsonb, at timestamptz)
returns table (held boolean, kept jsonb) language plpgsql set search_path from current as $$
begin
    perform from jobs j where j.id = job and j.state = 'available' and j.attempt = of_attempt for update nowait;
    if not found then
        return query select false, null::jsonb;
        return;
    end if;
    update jobs j set resumes = true where j.id = job and not j.resumes;
    insert into job_steps as s (job_id, kind, name, result, done_at) values (job, of_kind, of_name, value, at)
    on conflict (job_id, kind, name) do update set result = excluded.result, done_at = excluded.done_at where s.kind = 'cursor';
    return query select true, s.result from job_steps s where s.job_id = job and s.kind = of_kind and s.name = of_name;
end $$;

-- Begins a sleep of so many milliseconds, or finds the one that was begun: `left_ms` is what is left of it.
create function keep_sleep(job uuid, of_attempt integer, of_name text, ms bigint, at timestamptz)
returns table (held boolean, left_ms bigint) language plpgsql set search_path from current as $$
begin
    perform from jobs j where j.id = job and j.state = 'available' and j.attempt = of_attempt for update nowait;
    if not found then
        return query select false, 0::bigint;
        return;
    end if;
    update jobs j set resumes = true where j.id = job and not j.resumes;
    insert into job_steps (job_id, kind, name, until) values (job, 'sleep', of_name, at + ms * interval '1 millisecond')
    on conflict do nothing;
    return query select true, greatest(ceil(extract(epoch from s.until - at) * 1000), 0)::bigint
    from job_steps s where s.job_id = job and s.kind = 'sleep' and s.name = of_name;
end $$;
