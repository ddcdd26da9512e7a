-- What a job may be given when it is enqueued, and what any language does by SQL in its own transaction.

alter table jobs
    -- how long one attempt may take; null: as the worker has it for jobs of this name
    add column timeout_ms integer check (timeout_ms > 0),
    -- a job that has not started by then is cancelled in place of being run
    add column expires_at timestamptz,
    -- words of the producer's, to find jobs by
    add column tags       text[],
    -- {"type": "fixed" | "exponential", "delay_ms": …, "limit_ms": …}; null: as the worker has it
    add column backoff    jsonb;

-- Only jobs that have tags pay for it.
create index jobs_tagged on jobs using gin (tags) where tags is not null;
-- Groups whose last member was completed by SQL, and that the sweep has still to close. Empty but for moments.
create table groups_to_close (
    group_id uuid primary key
);

-- A version 7 UUID: sorted by time. Ids of jobs must be, so that they are listed and pruned in order.
create function uuid7() returns uuid language sql volatile parallel safe as $$
    select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) placing
        substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6), 52, 1), 53, 1),
        'hex')::uuid
$$;

-- Enqueues many jobs in the caller's transaction, in one statement. `jobs` is an array of objects:
--   name (the only one that must be there), payload, queue, priority, max_attempts, delay and run_at, timeout, expires_in,
--   retain (numbers of seconds), backoff, unique_key, fair_key, tags, group, client_id, trace_parent.
-- Returns the id of each job that was enqueued with its place in the array, from 1. One whose unique key is taken has no row.
-- The sweep hears of it with the commit, and hands the jobs to the broker.
create function enqueue_many(jobs jsonb) returns table (n bigint, id uuid) language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
    wrong record;
begin
    if jsonb_typeof(jobs) is distinct from 'array' then
        raise exception 'enqueue_many takes an array of jobs, and this is %', coalesce(jsonb_typeof(jobs), 'null')
            using errcode = 'invalid_parameter_value';
    end if;
    select j.n, case
            when jsonb_typeof(j.job) <> 'object' then 'is no object'
            when coalesce(j.job->>'name', '') = '' then 'has no name'
            when j.job->>'queue' = '' then 'has an empty queue'
            when octet_length((j.job->'payload')::text) > 262144
                then 'has a payload of ' || octet_length((j.job->'payload')::text) || ' bytes, and 262144 is the most: send an id, and keep the content elsewhere'
            when unknown.keys is not null then 'has what no job has: ' || unknown.keys
        end as problem
    into wrong
    from jsonb_array_elements(jobs) with ordinality as j (job, n),
    lateral (select string_agg(key, ', ') as keys from jsonb_object_keys(case jsonb_typeof(j.job) when 'object' then j.job else '{}' end) as key
             where key not in ('name', 'payload', 'queue', 'priority', 'max_attempts', 'delay', 'run_at', 'timeout', 'expires_in',
                               'retain', 'backoff', 'unique_key', 'fair_key', 'tags', 'group', 'client_id', 'trace_parent', 'version')) unknown
    where jsonb_typeof(j.job) <> 'object' or coalesce(j.job->>'name', '') = '' or j.job->>'queue' = ''
       or octet_length((j.job->'payload')::text) > 262144 or unknown.keys is not null
    order by j.n limit 1;
    if found then
        raise exception 'job % of % %', wrong.n, jsonb_array_length(jobs), wrong.problem using errcode = 'invalid_parameter_value';
    end if;
    -- members: only into groups that take them
    perform g.id from groups g
    where g.id in (select (j->>'group')::uuid from jsonb_array_elements(jobs) as j where j ? 'group')
    order by g.id for no key update;
    select (j->>'group')::uuid as id into wrong from jsonb_array_elements(jobs) as j
    where j->>'group' is not null
      and not exists (select from groups g where g.id = (j->>'group')::uuid and g.state = 'open' and not g.sealed) limit 1;
    if found then
        raise exception 'group % takes no more members', wrong.id using errcode = 'object_not_in_prerequisite_state';
    end if;
    return query
    with input as (
        select j.n, uuid7() as id, j.job, coalesce((j.job->>'run_at')::timestamptz, now())
                   + coalesce((j.job->>'delay')::double precision, 0) * interval '1 second' as due
        from jsonb_array_elements(jobs) with ordinality as j (job, n)
    ), inserted as (
        insert into jobs (id, name, queue, priority, payload, state, max_attempts, run_at, group_id, unique_key, client_id,
                          trace_parent, fair_key, version, retain_seconds, timeout_ms, expires_at, tags, backoff)
        select i.id, i.job->>'name', coalesce(i.job->>'queue', 'default'), coalesce((i.job->>'priority')::smallint, 4),
               coalesce(i.job->'payload', '{}'), 'scheduled', coalesce((i.job->>'max_attempts')::integer, 8), i.due,
               (i.job->>'group')::uuid, i.job->>'unique_key', (i.job->>'client_id')::integer, i.job->>'trace_parent',
               coalesce(i.job->>'fair_key', i.job->>'client_id'), coalesce((i.job->>'version')::smallint, 1),
               (i.job->>'retain')::double precision::integer, ((i.job->>'timeout')::double precision * 1000)::integer,
               i.due + (i.job->>'expires_in')::double precision * interval '1 second',
               (select array_agg(tag) from jsonb_array_elements_text(nullif(i.job->'tags', 'null')) as tag), nullif(i.job->'backoff', 'null')
        from input i
        on conflict (unique_key) where unique_key is not null and state in ('available', 'scheduled') do nothing
        returning jobs.id, jobs.group_id
    ), counted as (
        update groups g set total = g.total + m.n
        from (select group_id, count(*) as n from inserted where group_id is not null group by group_id) m where g.id = m.group_id
    )
    select i.n, i.id from inserted join input i using (id) order by i.n;
    perform pg_notify(current_schema(), 'jobs');
end $$;

-- Enqueues one job in the caller's transaction. Returns its id, or null when a job with this unique key waits already.
create function enqueue(
    name text, payload jsonb default '{}', queue text default 'default', delay interval default null,
    run_at timestamptz default null, priority integer default 4, max_attempts integer default 8, timeout interval default null,
    expires_in interval default null, unique_key text default null, fair_key text default null, tags text[] default null,
    "group" uuid default null, retain interval default null, backoff jsonb default null, client_id integer default null,
    trace_parent text default null
) returns uuid language sql set search_path from current as $$
    select id from enqueue_many(jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
        'name', name, 'queue', queue, 'delay', extract(epoch from delay), 'run_at', run_at, 'priority', priority,
        'max_attempts', max_attempts, 'timeout', extract(epoch from timeout), 'expires_in', extract(epoch from expires_in),
        'unique_key', unique_key, 'fair_key', fair_key, 'tags', tags, 'group', "group", 'retain', extract(epoch from retain),
        'backoff', backoff, 'client_id', client_id, 'trace_parent', trace_parent))
        || jsonb_build_object('payload', coalesce(payload, 'null'))))
$$;

-- Finishes a job in the transaction of its effect, whatever language that is written in: true means that the effect is this
-- run's to have; false that the job is done, cancelled or gone, and the transaction should be rolled back. With the commit
-- the job is completed, exactly once. Its group is counted with it, and closed, with its join, by the sweep at once after it.
create function complete(job uuid, result jsonb default null) returns boolean language plpgsql set search_path from current as $$
declare
    member_of uuid;
begin
    if octet_length(result::text) > 16384 then
        raise exception 'a result of % bytes is too large: at most 16384 are kept', octet_length(result::text)
            using errcode = 'invalid_parameter_value';
    end if;
    select j.group_id into member_of from jobs j where j.id = job and j.state = 'available' for update;
    if not found then
        return false;
    end if;
    update jobs j set state = 'completed', finished_at = now(), result = complete.result where j.id = job;
    if member_of is not null then
        -- the outermost group before the one inside
        perform g.id from groups g
        where g.id = member_of or g.id = (select i.root_id from groups i where i.id = member_of)
        order by g.root_id is not null, g.id for no key update;
        update groups g set completed = g.completed + 1 where g.id = member_of;
        insert into groups_to_close
            select g.id from groups g
            where g.id = member_of and g.sealed and g.finished_at is null and g.completed + g.failed + g.cancelled = g.total
            on conflict do nothing;
        if found then
            perform pg_notify(current_schema(), 'groups');
        end if;
    end if;
    return true;
end $$;
