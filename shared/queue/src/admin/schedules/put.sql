insert into gristmill.schedules as s (name, cron, time_zone, catch_up, jitter_seconds, job, ticked_until, next_at, overlap,
                                      starts_at, ends_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict (name) do update set
    cron = excluded.cron, time_zone = excluded.time_zone, catch_up = excluded.catch_up,
    jitter_seconds = excluded.jitter_seconds, job = excluded.job, overlap = excluded.overlap,
    starts_at = excluded.starts_at, ends_at = excluded.ends_at, updated_at = now(),
    ticked_until = case when (s.cron, s.time_zone, s.starts_at, s.ends_at)
                             is not distinct from (excluded.cron, excluded.time_zone, excluded.starts_at, excluded.ends_at)
                        then s.ticked_until else excluded.ticked_until end,
    next_at = case when (s.cron, s.time_zone, s.starts_at, s.ends_at)
                        is not distinct from (excluded.cron, excluded.time_zone, excluded.starts_at, excluded.ends_at)
                   then s.next_at else excluded.next_at end
where (s.cron, s.time_zone, s.catch_up, s.jitter_seconds, s.job, s.overlap, s.starts_at, s.ends_at) is distinct from
      (excluded.cron, excluded.time_zone, excluded.catch_up, excluded.jitter_seconds, excluded.job, excluded.overlap,
       excluded.starts_at, excluded.ends_at)
