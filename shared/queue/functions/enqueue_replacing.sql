-- Enqueues jobs of which some may replace the one that has their key: see `enqueue_many`, which has checked them. `wanted` are those keys.
create or replace function gristmill.enqueue_replacing(jobs jsonb, wanted text[]) returns table (n bigint, id uuid) language plpgsql
    set search_path from current set plan_cache_mode = force_custom_plan set jit = off
as $$
#variable_conflict use_column
begin
    -- who replaces a job holds its row before the broker's, as everybody does
    perform j.id from jobs j where j.unique_key = any(wanted) and j.state in ('available', 'scheduled') order by j.id for update;
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
end $$;
