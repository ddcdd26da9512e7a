select d.day::date as day, coalesce(u.messages, 0) as messages, coalesce(u.credits, 0) as credits
from generate_series($2::date, $3::date, interval '1 day') as d (day)
left join (
    -- at most 20,000,000 a message: 64 bits are enough for 461 billion of them
    select s.day, sum(s.messages)::bigint as messages,
           sum(coalesce(r.credit_cost * s.messages, s.credits))::bigint as credits
    from (
        select (m.sent_at at time zone $4)::date as day, m.upload_id, m.report_id, count(*) as messages,
               sum(m.text_credits)::bigint as credits
        from messages m
        where m.client_id = $1
          and m.sent_at >= $2::date::timestamp at time zone $4
          and m.sent_at < ($3::date + 1)::timestamp at time zone $4
        group by 1, 2, 3
    ) s
    -- looked up, as `offset 0` has it: a planner that knows nothing of them would go through all for each group
    cross join lateral (select from uploads where id = s.upload_id and state = 'completed' and rows_dropped_at is null offset 0) u
    left join lateral (
        select credit_cost from upload_reports where upload_id = s.upload_id and report_id = s.report_id offset 0
    ) r on true
    group by s.day
) u on u.day = d.day::date
order by d.day
