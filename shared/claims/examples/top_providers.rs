//! What a client with many claims pays for: the top providers, of all days and of some, and the close of a further upload.
//! The tables are filled by SQL, a million lines an upload, and entered by the code that closes uploads.
//! `cargo run --release -p gristmill-claims --example top_providers -- [millions of lines] [providers]`

use std::time::{Duration, Instant};

use gristmill_claims::{enter, providers, void};
use gristmill_pipelines::claims::ids_of_upload;
use gristmill_platform::testing;
use gristmill_queue::{Queue, QueueConfig};
use gristmill_uploads::UploadId;
use jiff::civil::{Date, date};
use uuid::Uuid;

const ASKED: usize = 2_000;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let millions: i32 = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let providers: i32 = arguments.next().map_or(Ok(1_000), |text| text.parse())?;
    let stack = testing::stack().await;
    let config = QueueConfig { namespace: stack.namespace.clone(), ..QueueConfig::new(&stack.redis_url) };
    let queue = Queue::connect(stack.pool.clone(), config).await?;
    sqlx::raw_sql("insert into clients (name) values ('acme')").execute(&stack.pool).await?;
    let mut last = UploadId::from(Uuid::nil());
    for n in 0..millions {
        let upload_id = UploadId::from(Uuid::now_v7());
        fill(&stack, upload_id, providers).await?;
        let begun = Instant::now();
        let mut tx = stack.pool.begin().await?;
        // The first slice of payments stays in the ledger: nobody works here.
        drop(enter::upload(&mut tx, &queue, 1.into(), upload_id).await?);
        tx.commit().await?;
        println!(
            "{:>3} million lines; claims of the last one entered in {:.1} s",
            n + 1,
            begun.elapsed().as_secs_f64()
        );
        last = upload_id;
    }
    let mut tx = stack.pool.begin().await?;
    let begun = Instant::now();
    drop(void::upload(&mut tx, &queue, 1.into(), last).await?);
    println!("the last upload would cease to count in {:.1} s", begun.elapsed().as_secs_f64());
    tx.rollback().await?;
    for table in ["provider_spans", "provider_totals"] {
        sqlx::raw_sql(&format!("vacuum analyze {table}")).execute(&stack.pool).await?;
    }
    for table in ["claim_lines", "claims", "provider_spans", "provider_totals"] {
        let (rows, bytes): (i64, i64) =
            sqlx::query_as(&format!("select (select count(*) from {table}), pg_total_relation_size('{table}')"))
                .fetch_one(&stack.pool)
                .await?;
        println!("{table}: {rows} rows, {} MiB", bytes >> 20);
    }
    for (what, from, to) in [
        ("all days", None, None),
        ("a day", Some(date(2024, 5, 17)), Some(date(2024, 5, 17))),
        ("a month", Some(date(2024, 5, 1)), Some(date(2024, 5, 31))),
        ("a year", Some(date(2024, 1, 1)), Some(date(2024, 12, 31))),
        ("the worst range", Some(date(2024, 1, 2)), Some(date(2025, 12, 30))),
        ("from a day on", Some(date(2025, 3, 3)), None),
    ] {
        ask(&stack, what, from, to).await?;
    }
    Ok(())
}

/// A million lines of some 330,000 visits within two years.
async fn fill(stack: &testing::Stack, upload_id: UploadId, providers: i32) -> Result<(), Error> {
    sqlx::query(
        "insert into uploads (id, client_id, kind, policy, state, group_id, first_block)
         values ($1, 1, 'claims', 'partial', 'completed', $1, 0)",
    )
    .bind(upload_id)
    .execute(&stack.pool)
    .await?;
    let (first, _) = ids_of_upload(upload_id.get());
    // Ids as the pipeline makes them: the time of the upload, bits of a hash of the visit, the line.
    let head = first.simple().to_string();
    sqlx::query(
        "insert into claim_lines
         select (visit.head || lpad(to_hex(line), 9, '0'))::uuid, 1, $1, line, (visit.head || visit.tail)::uuid,
                fees, fees, fees / 4, 0, fees / 4, date '2024-01-01' + visit.day, 'D0120', null, 'GRP-1000', visit.n::text, visit.npi
         from generate_series(2, 1000001) as line
         cross join lateral (
             select n, substr($2, 1, 12) || '8' || substr(hash, 1, 3) || '8' || substr(hash, 4, 6) as head, substr(hash, 10, 9) as tail,
                    (1000000000 + ('x' || substr(hash, 20, 6))::bit(24)::int % $3)::text as npi,
                    ('x' || substr(hash, 26, 6))::bit(24)::int % 731 as day
             from (select line / 3 as n, md5($2 || line / 3) as hash) as made
         ) as visit
         cross join lateral (select 5000 + line % 20000 as fees) as money
         order by 1",
    )
    .bind(upload_id)
    .bind(head)
    .bind(providers)
    .execute(&stack.pool)
    .await?;
    Ok(())
}

async fn ask(stack: &testing::Stack, what: &str, from: Option<Date>, to: Option<Date>) -> Result<(), Error> {
    let mut took = Vec::with_capacity(ASKED);
    let mut found = 0;
    for _ in 0..ASKED {
        let begun = Instant::now();
        found = providers::top(&stack.pool, 1.into(), from, to, 10).await?.len();
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    let at = |share: f64| took[(share * (ASKED - 1) as f64) as usize].as_secs_f64() * 1e3;
    let mean = took.iter().sum::<Duration>().as_secs_f64() * 1e3 / ASKED as f64;
    println!("{what:>15}: p50 {:.2} ms, p99 {:.2} ms, mean {mean:.2} ms ({found} providers)", at(0.5), at(0.99));
    Ok(())
}
