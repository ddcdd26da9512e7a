//! What an undone upload and a void claim take back.

use gristmill_claims::{accounting, claims::State, void};
use gristmill_pipelines::generate;
use gristmill_uploads::RemoveOutcome;
use jiff::civil::date;

use super::{DIRTY, VISIT, all, entries, entry, in_order, run_file, top};
use crate::harness::Harness;

#[tokio::test(flavor = "multi_thread")]
async fn undoing_an_upload_takes_back_sums_and_books() {
    let harness = Harness::new(400).await;
    let kept = run_file(&harness, format!("{DIRTY}{VISIT}")).await;
    let mut file = Vec::new();
    generate::claims(&generate::Options { rows: 60, seed: 1, ..Default::default() }, &mut file).unwrap();
    let undone = run_file(&harness, &file).await;
    // One of them is void already, and must not be subtracted twice.
    let one = all(&harness).await.into_iter().find(|claim| claim.upload_id == Some(undone.id)).unwrap();
    let mut tx = harness.stack.pool.begin().await.unwrap();
    void::one(&mut tx, one.id).await.unwrap();
    tx.commit().await.unwrap();
    in_order(&harness).await;

    let removed = harness.uploads.remove(harness.client_id, undone.id).await.unwrap();
    assert!(matches!(removed, RemoveOutcome::Undone(_)));
    // At once, before any job has run.
    let only = vec![("1497775530".to_owned(), 11_685)];
    assert_eq!(top(&harness, None, None).await, only);
    assert_eq!(top(&harness, Some(date(2018, 1, 1)), Some(date(2030, 1, 1))).await, only);
    assert_eq!(all(&harness).await.iter().map(|claim| claim.upload_id).collect::<Vec<_>>(), [Some(kept.id)]);
    in_order(&harness).await;
    harness.drain().await;
    let balance: Vec<(String, i64)> = sqlx::query_as(
        "select a.kind, sum(e.amount_minor)::bigint from ledger_entries e join ledger_accounts a on a.id = e.account_id
         group by a.id, a.kind having sum(e.amount_minor) <> 0 order by 1",
    )
    .fetch_all(&harness.stack.pool)
    .await
    .unwrap();
    assert_eq!(balance, [("plan".to_owned(), -11_685), ("provider".to_owned(), 11_685)]);
    assert_eq!(harness.count("select count(*) from claims").await, 1);
    assert_eq!(harness.count("select count(*) from claim_lines").await, 4);
    assert!(harness.count("select count(*) from ledger_postings where purpose = 'reversal'").await > 10);
    in_order(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_voided_once() {
    let harness = Harness::new(1 << 20).await;
    run_file(&harness, format!("{DIRTY}{VISIT}")).await;
    let claim = all(&harness).await.remove(0);
    for _ in 0..2 {
        let mut tx = harness.stack.pool.begin().await.unwrap();
        void::one(&mut tx, claim.id).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(all(&harness).await[0].state, State::Void);
    assert_eq!(
        entries(&harness).await,
        [
            entry("plan GRP-1000", "payment", -11_685),
            entry("provider 1497775530", "payment", 11_685),
            entry("plan GRP-1000", "reversal", 11_685),
            entry("provider 1497775530", "reversal", -11_685),
        ]
    );
    assert_eq!(top(&harness, None, None).await, []);
    // A payment that comes late finds nothing to pay.
    let mut tx = harness.stack.pool.begin().await.unwrap();
    assert_eq!(accounting::pay(&mut tx, claim.id).await.unwrap(), accounting::PaymentOutcome::Nothing);
    tx.commit().await.unwrap();
    in_order(&harness).await;
}
