-- Whether the rows of the segments $1 may go, which are kept for $2 seconds: all their uploads are completed for so long, and
-- nothing is open that needs them.
select not exists (
        select from unnest($1::int[]) as s (id)
        cross join lateral uploads_of_segment(s.id) as m (id)
        join uploads u on u.id = m.id
        -- what was undone and purged has no rows
        where not (u.state in ('failed', 'cancelled') and u.purged_at is not null)
          and (u.state = 'completed' and u.completed_at < now() - $2 * interval '1 second'
               -- every debt is billed, and no run will look at them again
               and (u.kind <> 'debts' or u.billed_through is not null and u.next_due is null)) is not true
    )
    -- no run that has looked at them is under way, held, or ended a short time ago
    and not exists (
        select from billing_runs r
        where coalesce(r.finished_at, 'infinity') >= now() - $2 * interval '1 second'
          and exists (select from billing_run_uploads b where b.run_id = r.id and b.segments && $1)
    )
    -- every bill is paid or cancelled
    and not exists (select from bills where segment = any($1) and state = 'open')
    -- and none was paid a short time ago. Each is looked up, as `offset 0` has it: a planner that knows nothing of the bills would go
    -- through all payments
    and not exists (
        select from bills b
        cross join lateral (
            select from payments p
            where p.client_id = b.client_id and p.debt_id = b.debt_id and p.created_at >= now() - $2 * interval '1 second'
            offset 0
        ) p
        where b.segment = any($1)
    )
