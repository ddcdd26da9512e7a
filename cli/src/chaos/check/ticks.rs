use sqlx::PgPool;

use super::{Finding, some};
use crate::chaos::cluster::SCHEDULE;

/// Every second from the first tick to the last is there once, with one job that is done.
pub(super) async fn once(pool: &PgPool) -> anyhow::Result<Finding> {
    let causes: Vec<(String, i64)> = sqlx::query_as(
        "select cause, count(*) from gristmill.schedule_ticks where schedule = $1 group by cause order by cause",
    )
    .bind(SCHEDULE)
    .fetch_all(pool)
    .await?;
    let wrong: Vec<(String, i64)> = sqlx::query_as(
        "with due as (
            -- its first tick may be that of the second in which it was written down
            select generate_series(least(date_trunc('second', s.created_at) + interval '1 second',
                                         (select min(fire_at) from gristmill.schedule_ticks where schedule = $1)),
                                   date_trunc('second', s.ticked_until), interval '1 second') as at
            from gristmill.schedules s where s.name = $1
         )
         select coalesce(d.at, t.fire_at)::text, count(j.id)
         from due d full join (select * from gristmill.schedule_ticks where schedule = $1) t on t.fire_at = d.at
         left join gristmill.jobs j on j.id = t.job_id and j.state = 'completed'
         group by d.at, t.fire_at
         having count(j.id) <> 1 or d.at is null
         order by 1",
    )
    .bind(SCHEDULE)
    .fetch_all(pool)
    .await?;
    let stray: i64 = sqlx::query_scalar(
        "select count(*) from gristmill.jobs j where name = 'chaos.tick'
         and not exists (select from gristmill.schedule_ticks t where t.schedule = $1 and t.job_id = j.id)",
    )
    .bind(SCHEDULE)
    .fetch_one(pool)
    .await?;
    let mut wrong = some(wrong, |(at, jobs)| format!("the tick of {at} has {jobs} completed jobs"));
    wrong.extend((stray > 0).then(|| format!("{stray} jobs of no tick")));
    Ok(Finding {
        promise: "every tick fired once: one a second, none missing",
        counted: causes.iter().map(|(cause, n)| format!("{n} {cause}")).collect::<Vec<_>>().join(", "),
        wrong,
    })
}
