//! Queues and schedules.

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_has_no_time_left() {
    let site = Site::open().await;
    sqlx::raw_sql(
        "insert into gristmill.queues (name, paused) values ('chunks', true);
         insert into gristmill.jobs (id, queue, name, payload, priority, max_attempts, state)
         select gen_random_uuid(), 'chunks', 'x', '{}', 5, 8, 'available' from generate_series(1, 3)",
    )
    .execute(&site.stack.pool)
    .await
    .unwrap();
    let queues = site.until("/queues", "the jobs", |text| text.contains(r#"queue=chunks">3</a>"#)).await;
    assert!(queues.contains(r#"<td class="number">paused</td>"#), "{queues}");
    let overview = site.page("/").await.1;
    assert!(!overview.contains("of work left") && !overview.contains(">0 ms</td>"), "{overview}");
}

/// A schedule of every minute has more ticks in a day than a page of ticks.
#[tokio::test(flavor = "multi_thread")]
async fn every_tick_of_a_day_is_in_its_strip() {
    let site = Site::open().await;
    sqlx::raw_sql(
        "insert into gristmill.schedules (name, cron, time_zone, job, next_at)
         values ('often', '* * * * *', 'UTC', '{\"name\": \"x\", \"queue\": \"q\", \"priority\": 5, \"max_attempts\": 8, \"payload\": {}}',
                 now() + interval '1 day');
         insert into gristmill.schedule_ticks (schedule, fire_at, cause, job_id)
         select 'often', date_trunc('hour', now()) - n * interval '1 minute', 'due', gen_random_uuid() from generate_series(1, 1320) n;
         insert into gristmill.schedule_ticks (schedule, fire_at, cause)
         select 'often', date_trunc('hour', now()) - interval '20 hours 30 seconds', 'missed'",
    )
    .execute(&site.stack.pool)
    .await
    .unwrap();
    let (_, text) = site.page("/schedules").await;
    assert_eq!(text.matches(": 30 ran, 0 died, 0 missed").count(), 43, "{text}");
    assert_eq!(text.matches(": 30 ran, 0 died, 1 missed").count(), 1, "{text}");
}
