-- Enqueues many jobs in the caller's transaction, in one statement. `jobs` is an array of objects:
--   name (the only one that must be there), payload, queue, priority, max_attempts, delay and run_at, timeout, expires_in,
--   retain (numbers of seconds), backoff, unique_key, unique_mode, fair_key, order_key, tags, group, client_id, trace_parent.
-- Returns the id of each job that was enqueued with its place in the array, from 1. One whose unique key is taken has no row. With
-- a unique_mode of "replace" or "debounce" the job that has the key takes what the new one says, and its row has that job's id. It
-- must wait for that: be scheduled, or in line for a worker in the broker of Postgres. Where Redis is the broker nobody can tell here
-- one that is due from one that runs, and it stays as it is.
-- The sweep hears of it with the commit, and hands the jobs to the broker.
create or replace function gristmill.enqueue_many(jobs jsonb) returns table (n bigint, id uuid) language plpgsql
    set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
    set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
declare
    wrong  record;
    -- keys of jobs that may replace another one
    wanted text[];
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
            when j.job->>'unique_mode' not in ('keep', 'replace', 'debounce')
                then 'has a unique_mode of ' || (j.job->>'unique_mode') || ': it is keep, replace or debounce'
        end as problem
    into wrong
    from jsonb_array_elements(jobs) with ordinality as j (job, n),
    lateral (select string_agg(key, ', ') as keys from jsonb_object_keys(case jsonb_typeof(j.job) when 'object' then j.job else '{}' end) as key
             where key not in ('name', 'payload', 'queue', 'priority', 'max_attempts', 'delay', 'run_at', 'timeout', 'expires_in',
                               'retain', 'backoff', 'unique_key', 'unique_mode', 'fair_key', 'order_key', 'tags', 'group', 'client_id', 'trace_parent', 'version')) unknown
    where jsonb_typeof(j.job) <> 'object' or coalesce(j.job->>'name', '') = '' or j.job->>'queue' = ''
       or octet_length((j.job->'payload')::text) > 262144 or unknown.keys is not null
       or j.job->>'unique_mode' not in ('keep', 'replace', 'debounce')
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
      and not coalesce((select g.state = 'open' and not g.sealed from groups g where g.id = (j->>'group')::uuid), false) limit 1;
    if found then
        raise exception 'group % takes no more members', wrong.id using errcode = 'object_not_in_prerequisite_state';
    end if;
    wanted := array(
        select i->>'unique_key' from jsonb_array_elements(jobs) as i
        where i->>'unique_mode' in ('replace', 'debounce') and i->>'unique_key' is not null);
    if wanted <> '{}' then
        return query select * from enqueue_replacing(jobs, wanted);
    else
        return query
        with input as (
            select j.n, uuid7() as id, j.job, coalesce((j.job->>'run_at')::timestamptz, now())
                       + coalesce((j.job->>'delay')::double precision, 0) * interval '1 second' as due
            from jsonb_array_elements(jobs) with ordinality as j (job, n)
        ), inserted as (
            insert into jobs (id, name, queue, priority, payload, state, max_attempts, run_at, group_id, unique_key, client_id,
                              trace_parent, fair_key, order_key, version, retain_seconds, timeout_ms, expires_at, tags, backoff)
            select i.id, i.job->>'name', coalesce(i.job->>'queue', 'default'), coalesce((i.job->>'priority')::smallint, 4),
                   coalesce(i.job->'payload', '{}'), 'scheduled', coalesce((i.job->>'max_attempts')::integer, 8), i.due,
                   (i.job->>'group')::uuid, i.job->>'unique_key', (i.job->>'client_id')::integer, i.job->>'trace_parent',
                   coalesce(i.job->>'fair_key', i.job->>'client_id'), i.job->>'order_key', coalesce((i.job->>'version')::smallint, 1),
                   (i.job->>'retain')::double precision::integer, ((i.job->>'timeout')::double precision * 1000)::integer,
                   i.due + (i.job->>'expires_in')::double precision * interval '1 second',
                   (select array_agg(tag) from jsonb_array_elements_text(nullif(i.job->'tags', 'null')) as tag), nullif(i.job->'backoff', 'null')
            from input i
            order by i.n
            on conflict (unique_key) where unique_key is not null and state in ('available', 'scheduled') do nothing
            returning jobs.id, jobs.group_id
        ), counted as (
            update groups g set total = g.total + m.n
            from (select group_id, count(*) as n from inserted where group_id is not null group by group_id) m where g.id = m.group_id
        )
        -- looked up and not joined, as in `complete_jobs`
        select i.n, i.id from input i where coalesce(i.id in (select id from inserted), false) order by i.n;
    end if;
    perform pg_notify(current_schema(), 'jobs');
end $$;
