-- Stages of these flows that are to wait no more: because all before them have ended, or one of them badly.
select s.group_id, s.flow_id, b.stops
from gristmill.flow_stages s
cross join lateral (
    select coalesce(bool_and(p.finished_at is not null and not coalesce(w.held, false)), true) as ended,
           s.after_failure = 'cancel' and coalesce(bool_or(p.state in ('failed', 'cancelled')), false) as stops
    from gristmill.groups p left join gristmill.flow_stages w on w.group_id = p.id
    where p.id = any(s.after)
) b
where s.flow_id = any($1) and s.held and (b.ended or b.stops)
