//! What the claims of each provider add up to.

use gristmill_claims::providers;
use gristmill_pipelines::generate;
use gristmill_uploads::{Policy, RemoveOutcome, State as UploadState};
use jiff::civil::{Date, date};
use tokio_util::sync::CancellationToken;

use super::{COLUMNS, accept, fees, in_order, run_file, top};
use crate::harness::Harness;

#[tokio::test(flavor = "multi_thread")]
async fn sums_of_any_days_are_those_of_the_lines() {
    let harness = Harness::new(64 << 10).await;
    let mut file = Vec::new();
    let options = generate::Options { rows: 4_000, bad: 0.02, seed: 9, ..Default::default() };
    let counts = generate::claims(&options, &mut file).unwrap();
    let upload = run_file(&harness, &file).await;
    assert_eq!((upload.rows.accepted as u64, upload.rows.rejected as u64), (counts.accepted, counts.rejected));
    for (from, to) in [
        (None, None),
        (Some(date(2024, 1, 1)), Some(date(2024, 1, 31))),
        (Some(date(2024, 3, 5)), Some(date(2025, 7, 9))),
        (Some(date(2025, 2, 2)), None),
        (None, Some(date(2024, 2, 2))),
        (Some(date(2024, 5, 5)), Some(date(2024, 5, 5))),
        (Some(date(2030, 1, 1)), None),
    ] {
        let expected: Vec<(String, i64)> = sqlx::query_as(
            "select provider_npi, sum(net_fee_minor)::bigint from claim_lines
             where ($1::text is null or service_date >= $1::date) and ($2::text is null or service_date <= $2::date)
             group by 1 order by 2 desc, 1 limit 10",
        )
        .bind(from.map(|day| day.to_string()))
        .bind(to.map(|day| day.to_string()))
        .fetch_all(&harness.stack.pool)
        .await
        .unwrap();
        assert_eq!(top(&harness, from, to).await, expected, "{from:?} to {to:?}");
    }
    in_order(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_the_same_providers_that_close_at_once_add_up() {
    let harness = Harness::new(1 << 20).await;
    let mut uploads = Vec::new();
    for seed in 0..6 {
        let mut file = Vec::new();
        generate::claims(&generate::Options { rows: 2_000, seed, ..Default::default() }, &mut file).unwrap();
        uploads.push(accept(&harness, Policy::Partial, &file).await);
    }
    let stop = CancellationToken::new();
    let workers = [harness.start(2, &stop), harness.start(2, &stop)];
    for upload in &uploads {
        assert_eq!(harness.ended(upload.id).await.state, UploadState::Completed);
    }
    // And are undone at once.
    let undoings = uploads[..3].iter().map(|upload| harness.uploads.remove(harness.client_id, upload.id));
    for undone in futures::future::join_all(undoings).await {
        assert!(matches!(undone.unwrap(), RemoveOutcome::Undone(_)));
    }
    in_order(&harness).await;
    stop.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    harness.drain().await;
    in_order(&harness).await;
    assert_eq!(harness.count("select sum(lines)::bigint from provider_totals").await, 6_000);
    assert_eq!(harness.count("select sum(lines)::bigint from provider_spans where level = 7").await, 6_000);
    assert_eq!(harness.count("select count(*) from gristmill.jobs where state = 'dead'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_takes_a_providers_sum_beyond_64_bits_and_back() {
    let harness = Harness::new(1 << 20).await;
    let sums = async |from: Option<Date>| {
        let found = providers::top(&harness.stack.pool, harness.client_id, from, None, 10).await.unwrap();
        found.iter().map(|provider| provider.net_fee_minor.0).collect::<Vec<_>>()
    };
    run_file(&harness, format!("{COLUMNS}{}", fees(&[("1", "A", "1")]))).await;
    // As after some nine million of the greatest claims more.
    for sql in [
        "update provider_totals set net_fee_minor = 9223372036854775807",
        "update provider_spans set net_fee_minor = 9223372036854775807",
    ] {
        sqlx::query(sql).execute(&harness.stack.pool).await.unwrap();
    }
    let upload =
        run_file(&harness, format!("{COLUMNS}{}", fees(&[("2", "A", "9999999999.99"), ("3", "A", "9999999999.99")])))
            .await;
    assert_eq!(upload.state, UploadState::Completed, "{upload:?}");
    let beyond = i128::from(i64::MAX) + 2 * 999_999_999_999;
    assert_eq!((sums(None).await, sums(Some(date(2024, 2, 3))).await), (vec![beyond], vec![beyond]));
    let removed = harness.uploads.remove(harness.client_id, upload.id).await.unwrap();
    assert!(matches!(removed, RemoveOutcome::Undone(_)));
    harness.drain().await;
    let before = i128::from(i64::MAX);
    assert_eq!((sums(None).await, sums(Some(date(2024, 2, 3))).await), (vec![before], vec![before]));
}
