-- What somebody says to a job, in the order in which it was said.
create table job_signals (
    job_id   uuid        not null references jobs (id) on delete cascade,
    seq      bigint      not null generated always as identity,
    name     text        not null,
    payload  jsonb       not null,
    sent_at  timestamptz not null default now(),
    -- a wait has it
    taken_at timestamptz,
    primary key (job_id, seq)
);

-- Says something to a job: the next wait for a signal of this name has it, once; a job that waits for it comes at once. True: it
-- is kept until then. False: the job has ended, or there is none.
create function signal(job uuid, name text, payload jsonb default null) returns boolean language plpgsql
set search_path from current as $$
declare
    standing text;
begin
    if coalesce(name, '') = '' or length(name) > 200 then
        raise exception 'the name of a signal has % characters; 1 to 200 are allowed', length(coalesce(name, ''))
            using errcode = 'invalid_parameter_value';
    end if;
    if octet_length(payload::text) > 16384 then
        raise exception 'a signal of % bytes is too large: at most 16384 are kept', octet_length(payload::text)
            using errcode = 'invalid_parameter_value';
    end if;
    -- Against the end of the run that waits for it: one of the two sees the other.
    select j.state into standing from jobs j where j.id = job for no key update;
    if standing is null or standing in ('completed', 'dead', 'cancelled') then
        return false;
    end if;
    if (select count(*) from job_signals s where s.job_id = job and s.taken_at is null) >= 1000 then
        raise exception 'job % has 1000 signals that it has not waited for', job using errcode = 'program_limit_exceeded';
    end if;
    insert into job_signals (job_id, name, payload) values (job, signal.name, coalesce(signal.payload, 'null'));
    update jobs j set run_at = now() where j.id = job and j.state = 'scheduled' and j.waits_for = signal.name and j.run_at > now();
    if found then
        perform pg_notify(current_schema(), 'jobs');
    end if;
    return true;
end $$;

-- Looks for a signal for the wait called `of_name`, which ends `ms` milliseconds after it began. `done`: it is over, with
-- {"payload": …}, or with null when its time was over first. Else `left_ms` is left of it.
create function await_signal(job uuid, of_attempt integer, of_name text, of_signal text, ms bigint, at timestamptz)
returns table (held boolean, done boolean, result jsonb, left_ms bigint) language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
    wait job_steps;
    sent job_signals;
begin
    perform from jobs j where j.id = job and j.state = 'available' and j.attempt = of_attempt for update nowait;
    if not found then
        return query select false, false, null::jsonb, 0::bigint;
        return;
    end if;
    update jobs j set resumes = true where j.id = job and not j.resumes;
    insert into job_steps (job_id, kind, name, until) values (job, 'wait', of_name, at + ms * interval '1 millisecond')
    on conflict do nothing;
    select s.* into wait from job_steps s where s.job_id = job and s.kind = 'wait' and s.name = of_name;
    if wait.done_at is null then
        select s.* into sent from job_signals s
        where s.job_id = job and s.name = of_signal and s.taken_at is null order by s.seq limit 1;
        if found then
            update job_signals s set taken_at = at where s.job_id = job and s.seq = sent.seq;
            wait.result := jsonb_build_object('payload', sent.payload);
            wait.done_at := at;
        elsif wait.until <= at then
            wait.done_at := at;
        end if;
        update job_steps s set result = wait.result, done_at = wait.done_at
        where wait.done_at is not null and s.job_id = job and s.kind = 'wait' and s.name = of_name;
    end if;
    return query select true, wait.done_at is not null, wait.result,
                        greatest(ceil(extract(epoch from wait.until - at) * 1000), 0)::bigint;
end $$;
