-- $1 the job, $2 to $6 and $10 to $18 what it is to be, $7 whether it gets a time, $8 not before then, $9 so many ms after that
with timed as (
    select j.id, j.gate in ('turn', 'slot') as gated,
           case when $7 then coalesce($8, now()) + $9 * interval '1 millisecond' else coalesce(j.due_at, j.run_at) end as due
    from gristmill.jobs j where j.id = $1
)
update gristmill.jobs j set
    name = $2, queue = $3, priority = $4, payload = $5::jsonb, max_attempts = $6,
    rounds = j.rounds + j.attempt + 1, attempt = 0,
    state = case when t.gated or t.due > now() then 'scheduled' else 'available' end,
    run_at = case when t.gated then j.run_at else t.due end,
    due_at = case when t.gated then t.due end,
    gate = case when t.gated then j.gate end,
    client_id = $10, trace_parent = $11, fair_key = $12, version = $13, retain_seconds = $14, timeout_ms = $15,
    expires_at = t.due + $16 * interval '1 millisecond', tags = $17, backoff = $18::jsonb
from timed t where j.id = t.id
returning j.id, j.name, j.queue, j.priority, j.payload::text, j.version, j.client_id, j.trace_parent, j.fair_key,
          (extract(epoch from j.run_at) * 1000)::bigint as due, j.state = 'available' as ready
