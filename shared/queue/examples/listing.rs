//! How long a page of jobs takes when the ledger has many: every kind of filter, first pages and later ones.
//!
//! `cargo run --release -p gristmill-queue --example listing -- [JOBS]`, on durable engines of its own. One job of 5,000 is
//! dead, one of 50,000 is cancelled, 20,000 wait, 2,000 are scheduled; there is a group of a tenth of all.

use std::time::{Duration, Instant};

use gristmill_platform::{engines::Engines, testing};
use gristmill_queue::{GroupId, JobFilter, JobState, Queue, QueueConfig};
use jiff::{Timestamp, ToSpan as _};
use sqlx::PgPool;
use uuid::Uuid;

type Error = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let jobs: i64 = std::env::args().nth(1).map_or(Ok(3_000_000), |jobs| jobs.parse())?;
    let dir = tempfile::tempdir()?;
    let engines = Engines::start(dir.path()).await?;
    let stack = testing::stack_on(&engines).await;
    let group = fill(&stack.pool, jobs).await?;
    let queue = Queue::connect(stack.pool.clone(), QueueConfig::new(&stack.redis_url)).await?;

    println!("{jobs} jobs; ms of 20 pages of 50: median, longest; jobs found, whether there are more pages");
    let (old, new) = (Timestamp::now() - 240.hours(), Timestamp::now() - 1.hours());
    let states = |states: &[JobState]| JobFilter { states: states.to_vec(), ..JobFilter::default() };
    let cases = [
        ("all", JobFilter::default()),
        ("dead", states(&[JobState::Dead])),
        ("dead, cancelled, parked", states(&[JobState::Dead, JobState::Cancelled, JobState::Parked])),
        ("dead with a text in its error", JobFilter { error: Some("no. 5 ".into()), ..states(&[JobState::Dead]) }),
        ("available", states(&[JobState::Available])),
        ("scheduled", states(&[JobState::Scheduled])),
        ("completed", states(&[JobState::Completed])),
        ("of a common name", JobFilter { name: Some("common".into()), ..JobFilter::default() }),
        ("of a rare name", JobFilter { name: Some("rare".into()), ..JobFilter::default() }),
        ("of a name that is not", JobFilter { name: Some("none".into()), ..JobFilter::default() }),
        ("of a small client", JobFilter { client_id: Some(7.into()), ..JobFilter::default() }),
        ("of a large group", JobFilter { group: Some(group), ..JobFilter::default() }),
        ("dead of a large group", JobFilter { group: Some(group), ..states(&[JobState::Dead]) }),
        ("of some days ago", JobFilter { created_after: Some(old), created_before: Some(new), ..JobFilter::default() }),
    ];
    for (what, filter) in cases {
        let (mut times, mut found, mut cursor) = (Vec::new(), 0, None);
        while times.len() < 20 {
            let started = Instant::now();
            let page = queue.jobs().list(&filter, cursor, 50).await?;
            times.push(started.elapsed());
            found += page.jobs.len();
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        times.sort_unstable();
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        let (median, longest) = (ms(times[times.len() / 2]), ms(times[times.len() - 1]));
        println!("{what:<32} {median:6.1} {longest:6.1}  {found:>5}  {}", cursor.is_some());
    }
    for (what, filter) in [("all", JobFilter::default()), ("dead", states(&[JobState::Dead]))] {
        let started = Instant::now();
        let count = queue.jobs().count(&filter).await?;
        println!(
            "count {what}: {} in {:.1} ms, all of them: {}",
            count.jobs,
            started.elapsed().as_secs_f64() * 1e3,
            count.exact
        );
    }
    Ok(())
}

/// A ledger as it is after two weeks.
async fn fill(pool: &PgPool, jobs: i64) -> Result<GroupId, Error> {
    let started = Instant::now();
    let begun = (Timestamp::now() - 336.hours()).as_millisecond();
    let step = (336 * 3_600_000 / jobs).max(1);
    let first = begun + jobs / 2 * step;
    let group = Uuid::from_u128(u128::from(first.unsigned_abs()) << 80 | 0x7000_8000_0000_0000_0000);
    sqlx::query(
        "insert into gristmill.groups (id, policy, total, completed, sealed, state, finished_at, created_at)
         values ($1, 'continue', $2, $2, true, 'completed', to_timestamp(($3 + $2 * $4) / 1000.0), to_timestamp($3 / 1000.0))",
    )
    .bind(group)
    .bind(jobs / 10)
    .bind(first)
    .bind(step)
    .execute(pool)
    .await?;
    sqlx::query(
        "insert into gristmill.jobs (id, name, queue, priority, payload, state, max_attempts, attempt, run_at, created_at, finished_at,
                           client_id, group_id, last_error)
         select (lpad(to_hex(j.at), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid,
                case when n % 400000 = 7 then 'rare' when n % 3 = 0 then 'common' else 'usual' end, 'default', 4,
                '{\"upload_id\": \"019a4b1e-8c5d-7e30-9a41-5f6d2c7b8e90\", \"no\": 17}', j.state, 8, 0,
                case when j.state = 'scheduled' then now() + interval '1 day' else to_timestamp(j.at / 1000.0) end,
                to_timestamp(j.at / 1000.0),
                case when j.state in ('available', 'scheduled') then null else to_timestamp(j.at / 1000.0) end,
                case when n % 100000 = 11 then 7 else n % 5 end,
                case when n > $1 / 2 and n <= $1 / 2 + $1 / 10 then $4::uuid end,
                case when j.state = 'dead' then 'it failed: no. ' || n % 100 || ' of its kind' end
         from generate_series(1, $1::bigint) n
         cross join lateral (select $2 + n * $3 as at,
            case when n % 5000 = 3 then 'dead' when n % 50000 = 4 then 'cancelled' when n > $1 - 20000 then 'available'
                 when n % ($1 / 2000) = 5 then 'scheduled' else 'completed' end as state) j",
    )
    .bind(jobs)
    .bind(begun)
    .bind(step)
    .bind(group)
    .execute(pool)
    .await?;
    sqlx::query("vacuum analyze gristmill.jobs").execute(pool).await?;
    println!("filled in {:.0} s", started.elapsed().as_secs_f64());
    Ok(GroupId::from(group))
}
