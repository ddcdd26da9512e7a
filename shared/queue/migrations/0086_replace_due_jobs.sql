-- By SQL, too, a job with a unique key replaces one that is due, where that waits in the broker of Postgres. And one that is replaced
-- begins another round (0085).

-- Enqueues many jobs in the caller's transaction, in one statement. `jobs` is an array of objects:
--   name (the only one that must be there), payload, queue, priority, max_attempts, delay and run_at, timeout, expires_in,
--   retain (numbers of seconds), backoff, unique_key, unique_mode, fair_key, order_key, tags, group, client_id, trace_parent.
-- Returns the id of each job that was enqueued with its place in the array, from 1. One whose unique key is taken has no row. With
-- a unique_mode of "replace" or "debounce" the job that has the key takes what the new one says, and its row has that job's id. It
-- must wait for that: be scheduled, or in line for a worker in the broker of Postgres. Where Redis is the broker nobody can tell here
-- one that is due from one that runs, and it stays as it is.
-- The sweep hears of it with the commit, and hands the jobs to the broker.
create or replace function enqueue_many(jobs jsonb) returns table (n bigint, id uuid) language plpgsql set search_path from current as $$
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
      and not exists (select from groups g where g.id = (j->>'group')::uuid and g.state = 'open' and not g.sealed) limit 1;
    if found then
        raise exception 'group % takes no more members', wrong.id using errcode = 'object_not_in_prerequisite_state';
    end if;
    wanted := array(
        select i->>'unique_key' from jsonb_array_elements(jobs) as i
        where i->>'unique_mode' in ('replace', 'debounce') and i->>'unique_key' is not null);
    if wanted <> '{}' then
        -- who replaces a job holds its row before the broker's, as everybody does
        perform j.id from jobs j where j.unique_key = any(wanted) and j.state in ('available', 'scheduled') order by j.id for update;
    end if;
    return query
    with input as (
        select j.n, uuid7() as id, j.job, coalesce((j.job->>'run_at')::timestamptz, now())
                   + coalesce((j.job->>'delay')::double precision, 0) * interval '1 second' as due
        from jsonb_array_elements(jobs) with ordinality as j (job, n)
    ), replacing as (
        -- of several with one key the last one
        select distinct on (i.job->>'unique_key') i.*,
               i.job->>'unique_mode' = 'debounce' or i.job ?| array['run_at', 'delay'] as has_time
        from input i where i.job->>'unique_mode' in ('replace', 'debounce') and i.job->>'unique_key' is not null
        order by i.job->>'unique_key', i.n desc
    ), withdrawn as (
        -- one that is being claimed at this moment is not deleted
        delete from broker_jobs b using jobs j
        where j.unique_key = any(wanted) and j.state = 'available' and j.cancel_requested_at is null
          and b.id = j.id and b.queue = j.queue and b.place <> 1
        returning b.id
    ), replaced as (
        update jobs j set
            name = i.job->>'name', queue = coalesce(i.job->>'queue', 'default'), state = 'scheduled',
            rounds = j.rounds + j.attempt + 1, attempt = 0, gate = case when j.gate in ('turn', 'slot') then j.gate end,
            priority = coalesce((i.job->>'priority')::smallint, 4), payload = coalesce(i.job->'payload', '{}'),
            max_attempts = coalesce((i.job->>'max_attempts')::integer, 8),
            run_at = case when j.due_at is not null or not i.has_time then j.run_at else i.due end,
            due_at = case when j.due_at is not null then case when i.has_time then i.due else j.due_at end end,
            client_id = (i.job->>'client_id')::integer, trace_parent = i.job->>'trace_parent',
            fair_key = coalesce(i.job->>'fair_key', i.job->>'client_id'), version = coalesce((i.job->>'version')::smallint, 1),
            retain_seconds = (i.job->>'retain')::double precision::integer,
            timeout_ms = ((i.job->>'timeout')::double precision * 1000)::integer,
            expires_at = case when i.has_time then i.due else coalesce(j.due_at, j.run_at) end
                         + (i.job->>'expires_in')::double precision * interval '1 second',
            tags = (select array_agg(tag) from jsonb_array_elements_text(nullif(i.job->'tags', 'null')) as tag),
            backoff = nullif(i.job->'backoff', 'null')
        from replacing i
        where j.unique_key = i.job->>'unique_key' and j.cancel_requested_at is null
          and (j.state = 'scheduled' or (j.state = 'available' and j.id in (select w.id from withdrawn w)))
        returning i.n, j.id, j.unique_key
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
        where not exists (select from replaced r where r.unique_key = i.job->>'unique_key')
        order by i.n
        on conflict (unique_key) where unique_key is not null and state in ('available', 'scheduled') do nothing
        returning jobs.id, jobs.group_id
    ), counted as (
        update groups g set total = g.total + m.n
        from (select group_id, count(*) as n from inserted where group_id is not null group by group_id) m where g.id = m.group_id
    )
    select i.n, i.id from inserted join input i using (id) union all select r.n, r.id from replaced r order by 1;
    perform pg_notify(current_schema(), 'jobs');
end $$;
