//! Claims: of files, their payments, and what becomes of both when they are taken back.

use std::time::Duration;

use gristmill_claims::{
    accounting,
    claims::{self, Claim, Filter, State},
    jobs::{self, ProcessPayment},
    providers, void,
};
use gristmill_clients::{ClaimGrouping, ClaimSettings, Settings, settings};
use gristmill_pipelines::{Kind, generate};
use gristmill_queue::{Job as _, JobSpec, NewSchedule, Options};
use gristmill_uploads::{
    NewUpload, Policy, ReceiveOutcome, RemoveOutcome, State as UploadState, Upload,
    client_limits::{self, OwnLimits},
    read,
};
use jiff::{
    ToSpan as _,
    civil::{Date, date},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::harness::{Harness, accepted};

const DIRTY: &str = "\u{feff}Service Date ,\"SUBMITTED procedure \",Quadrant,\"plan/group #\",subscriber#,\"provider npi\",\"PROVIDER fees\",\"allowed Fees\",\"Member Coinsurance\",\"member COPAY\"\r\n";

/// A visit as real files have it: 0, 0, 81.25 and 35.60.
const VISIT: &str = "3/28/18 0:00,D0180,,GRP-1000,3730189502,1497775530,$100.00 ,$100.00 ,$0.00 ,$0.00 \r\n\
    3/28/18 0:00,D0210,,GRP-1000,3730189502,1497775530,$108.00 ,$108.00 ,$0.00 ,$0.00 \r\n\
    3/28/18 0:00,D4346,,GRP-1000,3730189502,1497775530,$130.00 ,$65.00 ,$16.25 ,$0.00 \r\n\
    3/28/18 0:00,D4211,UR,GRP-1000,3730189502,1497775530,$178.00 ,$178.00 ,$35.60 ,$0.00 \r\n";

fn new_upload(harness: &Harness, policy: Policy) -> NewUpload {
    NewUpload { kind: Kind::Claims, ..harness.new_upload(policy) }
}

async fn accept(harness: &Harness, policy: Policy, file: impl AsRef<[u8]>) -> Upload {
    accepted(harness.receive(new_upload(harness, policy), file).await)
}

async fn run_file(harness: &Harness, file: impl AsRef<[u8]>) -> Upload {
    let upload = accept(harness, Policy::Partial, file).await;
    harness.drain().await;
    harness.find(upload.id).await
}

async fn all(harness: &Harness) -> Vec<Claim> {
    claims::list(&harness.stack.pool, harness.client_id, &Filter::default(), None, 100).await.unwrap()
}

async fn top(harness: &Harness, from: Option<Date>, to: Option<Date>) -> Vec<(String, i64)> {
    let found = providers::top(&harness.stack.pool, harness.client_id, from, to, 10).await.unwrap();
    found
        .into_iter()
        .map(|provider| (provider.provider_npi, i64::try_from(provider.net_fee_minor.0).unwrap()))
        .collect()
}

/// Account, purpose and amount of everything in the books.
async fn entries(harness: &Harness) -> Vec<(String, String, i64)> {
    sqlx::query_as(
        "select a.kind || ' ' || a.reference, e.purpose, e.amount_minor
         from ledger_entries e join ledger_accounts a on a.id = e.account_id order by 2, 1",
    )
    .fetch_all(&harness.stack.pool)
    .await
    .unwrap()
}

/// What the auditor looks for is nowhere.
async fn in_order(harness: &Harness) {
    assert_eq!(accounting::disagreements(&harness.stack.pool).await.unwrap(), []);
    assert_eq!(harness.count("select coalesce(sum(amount_minor), 0)::bigint from ledger_entries").await, 0);
    assert_eq!(providers::miscounted(&harness.stack.pool, 1_000).await.unwrap(), []);
}

fn entry(account: &str, purpose: &str, amount: i64) -> (String, String, i64) {
    (account.to_owned(), purpose.to_owned(), amount)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dirty_file_becomes_claims_that_are_paid() {
    let harness = Harness::new(1 << 20).await;
    let bad = "3/28/18 0:00,X4211,UR,GRP-1000,3730189502,1497775530,$178.00 ,$178.00 ,$35.60 ,$0.00 \n";
    let other = "3/29/18 0:00,D2740,,GRP-2000,1,1234567893,\"$1,250.00 \",\"$1,300.00\",($10.00),-1\n";
    let upload = run_file(&harness, format!("{DIRTY}{VISIT}{bad}{other}\n\n")).await;
    assert_eq!(
        (upload.state, upload.rows.accepted, upload.rows.rejected, upload.rows.duplicate),
        (UploadState::Completed, 5, 1, 0)
    );
    let rejects = harness.rejects(upload.id).await;
    assert_eq!((rejects[0].line, rejects[0].column_name.as_deref()), (6, Some("submitted procedure")));
    let message = rejects[0].message.as_deref().unwrap();
    assert!(message.ends_with("(rule procedure_starts_with_d)"), "{message}");

    let found = all(&harness).await;
    let facts: Vec<_> = found.iter().map(|claim| (claim.lines, claim.net_fee_minor, claim.state)).collect();
    assert_eq!(facts.len(), 2);
    assert!(facts.contains(&(4, 11_685, State::Posted)) && facts.contains(&(1, -6_100, State::Posted)), "{facts:?}");
    let visit = found.iter().find(|claim| claim.lines == 4).unwrap();
    let lines = claims::lines(&harness.stack.pool, visit.id).await.unwrap();
    let fees: Vec<_> = lines.iter().map(|line| (line.line, line.net_fee_minor)).collect();
    assert_eq!(fees, [(2, 0), (3, 0), (4, 8_125), (5, 3_560)]);
    assert_eq!(lines[3].quadrant.as_deref(), Some("UR"));
    assert_eq!(
        entries(&harness).await,
        [
            entry("plan GRP-1000", "payment", -11_685),
            entry("plan GRP-2000", "payment", 6_100),
            entry("provider 1234567893", "payment", -6_100),
            entry("provider 1497775530", "payment", 11_685),
        ]
    );
    let both = vec![("1497775530".to_owned(), 11_685), ("1234567893".to_owned(), -6_100)];
    assert_eq!(top(&harness, None, None).await, both);
    assert_eq!(top(&harness, Some(date(2018, 3, 29)), None).await, both[1..]);
    assert_eq!(top(&harness, None, Some(date(2018, 3, 28))).await, both[..1]);
    in_order(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_over_chunks_that_run_at_once_is_one() {
    let harness = Harness::new(150).await;
    let stop = CancellationToken::new();
    let workers = [harness.start(4, &stop), harness.start(4, &stop)];
    let upload = accept(&harness, Policy::Partial, format!("{DIRTY}{}", VISIT.repeat(10))).await;
    let upload = harness.ended(upload.id).await;
    assert!(upload.chunks.total > 10, "{upload:?}");
    let found = all(&harness).await;
    assert_eq!((found.len(), found[0].lines, found[0].net_fee_minor), (1, 40, 116_850));
    stop.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    harness.drain().await;
    assert_eq!(all(&harness).await[0].state, State::Posted);
    in_order(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_atomic_file_with_a_bad_line_leaves_no_claim() {
    let harness = Harness::new(150).await;
    let upload = accept(&harness, Policy::Atomic, format!("{DIRTY}{VISIT}3/28/18,,,,,,,,,\n")).await;
    harness.drain().await;
    assert_eq!(harness.find(upload.id).await.state, UploadState::Failed);
    assert_eq!(
        (all(&harness).await, entries(&harness).await, top(&harness, None, None).await),
        (vec![], vec![], vec![])
    );
    for table in ["select count(*) from claim_lines", "select count(*) from provider_totals"] {
        assert_eq!(harness.count(table).await, 0, "{table}");
    }
    let whole = accept(&harness, Policy::Atomic, format!("{DIRTY}{VISIT}")).await;
    harness.drain().await;
    assert_eq!(harness.find(whole.id).await.state, UploadState::Completed);
    assert_eq!(all(&harness).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_settings_change_what_is_checked_and_what_a_claim_is() {
    let harness = Harness::new(1 << 20).await;
    let claims = ClaimSettings { rules: vec!["npi_luhn".to_owned()], grouping: ClaimGrouping::Line };
    settings::put(&harness.stack.pool, harness.client_id, &Settings { claims, ..Settings::default() }).await.unwrap();
    let wrong = VISIT.replace("1497775530", "1497775531");
    let upload = run_file(&harness, format!("{DIRTY}{VISIT}{wrong}")).await;
    assert_eq!((upload.rows.accepted, upload.rows.rejected), (4, 4));
    assert_eq!(harness.rejects(upload.id).await[0].code, "bad_npi");
    assert_eq!(all(&harness).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_still_to_come_is_not_paid() {
    let harness = Harness::new(1 << 20).await;
    let next_week = jiff::Zoned::now().checked_add(7.days()).unwrap().date();
    let file = format!(
        "{DIRTY}{next_week},D0180,,G,1,1497775530,1,1,0,0\r\n\
         {month}/{day}/{year},D0180,,G,2,1497775530,1,1,0,0\r\n\
         12/31/99,D0180,,G,3,1497775530,1,1,0,0\r\n",
        month = next_week.month(),
        day = next_week.day(),
        year = next_week.year(),
    );
    let upload = run_file(&harness, file).await;
    assert_eq!((upload.rows.accepted, upload.rows.rejected), (1, 2));
    assert!(harness.rejects(upload.id).await.iter().all(|reject| reject.code == "bad_date"));
    assert_eq!(all(&harness).await[0].service_date.to_jiff(), date(1999, 12, 31));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_file_again_is_known_and_by_force_makes_new_claims() {
    let harness = Harness::new(1 << 20).await;
    let file = format!("{DIRTY}{VISIT}");
    let first = run_file(&harness, &file).await;
    let again = harness.receive(new_upload(&harness, Policy::Partial), &file).await.unwrap();
    assert!(matches!(again, ReceiveOutcome::Same(same) if same.id == first.id));
    assert_eq!(all(&harness).await.len(), 1);
    accepted(harness.receive(NewUpload { force: true, ..new_upload(&harness, Policy::Partial) }, &file).await);
    harness.drain().await;
    assert_eq!(all(&harness).await.len(), 2);
    let of_first = Filter { upload_id: Some(first.id), ..Filter::default() };
    let listed = claims::list(&harness.stack.pool, harness.client_id, &of_first, None, 100).await.unwrap();
    assert_eq!(listed.iter().map(|claim| claim.upload_id).collect::<Vec<_>>(), [Some(first.id)]);
    assert_eq!(top(&harness, None, None).await, [("1497775530".to_owned(), 2 * 11_685)]);
}

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
async fn two_workers_and_a_second_job_post_once() {
    let harness = Harness::new(1 << 20).await;
    let mut file = Vec::new();
    let counts = generate::claims(&generate::Options { rows: 600, seed: 2, ..Default::default() }, &mut file).unwrap();
    let upload = accept(&harness, Policy::Partial, &file).await;
    let stop = CancellationToken::new();
    let workers = [harness.start(2, &stop), harness.start(2, &stop)];
    harness.ended(upload.id).await;
    // What a redelivery after a lost acknowledgement comes to, for each claim.
    let ids: Vec<Uuid> = sqlx::query_scalar("select id from claims").fetch_all(&harness.stack.pool).await.unwrap();
    let again: Vec<ProcessPayment> = ids.iter().map(|&claim_id| ProcessPayment { claim_id }).collect();
    let mut tx = harness.stack.pool.begin().await.unwrap();
    let jobs = harness.env.queue.enqueue_all(&mut tx, &again, &Options::default()).await.unwrap();
    tx.commit().await.unwrap();
    harness.env.queue.push(jobs).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    harness.drain().await;
    assert_eq!(harness.count("select count(*) from claims where state = 'posted'").await, ids.len() as i64);
    assert_eq!(harness.count("select count(*) from ledger_postings").await, ids.len() as i64);
    assert_eq!(harness.count("select sum(lines)::bigint from claims").await, counts.accepted as i64);
    let owed = harness.count(
        "select sum(e.amount_minor)::bigint from ledger_entries e join ledger_accounts a on a.id = e.account_id
         where a.kind = 'provider'",
    );
    assert_eq!(owed.await, harness.count("select sum(net_fee_minor)::bigint from claim_lines").await);
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

#[tokio::test(flavor = "multi_thread")]
async fn the_books_are_not_changed_and_add_up() {
    let harness = Harness::new(1 << 20).await;
    run_file(&harness, format!("{DIRTY}{VISIT}")).await;
    for forbidden in [
        "update ledger_entries set amount_minor = 1",
        "delete from ledger_entries",
        "delete from ledger_postings",
        "insert into ledger_entries select claim_id, purpose, account_id + 100, 5 from ledger_entries limit 1",
    ] {
        let refused = sqlx::raw_sql(forbidden).execute(&harness.stack.pool).await;
        assert!(refused.is_err(), "{forbidden}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_from_a_frozen_plan_dies_and_the_schedule_brings_it_back() {
    let harness = Harness::new(1 << 20).await;
    let pool = &harness.stack.pool;
    accounting::freeze(pool, harness.client_id, "GRP-1000", true, Some("audit")).await.unwrap();
    run_file(&harness, format!("{DIRTY}{VISIT}")).await;
    for _ in 0..ProcessPayment::MAX_ATTEMPTS {
        sqlx::query("update jobs set run_at = now() where state = 'scheduled'").execute(pool).await.unwrap();
        harness.drain().await;
    }
    assert_eq!(harness.count("select count(*) from jobs where name = 'payments.process' and state = 'dead'").await, 1);
    let claim = all(&harness).await.remove(0);
    assert_eq!(
        (claim.state, claim.detail.as_deref()),
        (State::Pending, Some("the account of the plan GRP-1000 is frozen (audit)"))
    );
    assert_eq!(entries(&harness).await, []);

    // The scheduler's own, as a tick of it runs.
    let spec = JobSpec::of(&jobs::redrive()).unwrap();
    harness.env.queue.schedules().put(&NewSchedule::new("payments-redrive", "*/10 * * * *", spec)).await.unwrap();
    accounting::freeze(pool, harness.client_id, "GRP-1000", false, None).await.unwrap();
    harness.env.queue.schedules().run_now("payments-redrive").await.unwrap();
    harness.drain().await;
    let claim = all(&harness).await.remove(0);
    assert_eq!((claim.state, claim.detail), (State::Posted, None));
    assert_eq!(harness.count("select count(*) from jobs where state = 'dead'").await, 0);
    in_order(&harness).await;
}

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
    assert_eq!(harness.count("select count(*) from jobs where state = 'dead'").await, 0);
}

const COLUMNS: &str = "Service Date,Submitted Procedure,Quadrant,Plan/Group #,Subscriber#,Provider NPI,Provider Fees,\
    Allowed Fees,Member Coinsurance,Member Copay\n";

/// Lines of claims: what is behind the member's number is the plan, and what one line comes to.
fn fees(lines: &[(&str, &str, &str)]) -> String {
    let line = |(subscriber, plan, fee): &(&str, &str, &str)| {
        format!("2024-02-03,D0180,,{plan},{subscriber},1497775530,{fee},0,0,0\n")
    };
    lines.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_comes_to_too_much_costs_its_own_lines() {
    // One chunk, and one for each few lines: no chunk sees the claim whole.
    for chunk_bytes in [1 << 20, 150] {
        let harness = Harness::new(chunk_bytes).await;
        let (most, least) = ("9999999999.99", "-9999999999.99");
        for (lines, bad, told) in [
            (
                &[("1", "A", "5"), ("2", "A", most), ("2", "B", "0.01")][..],
                &[3, 4][..],
                "the 2 lines of its claim come to 10000000000.00,",
            ),
            (
                &[("1", "A", least), ("2", "A", "5"), ("1", "A", "-0.01")],
                &[2, 4],
                "the 2 lines of its claim come to -10000000000.00,",
            ),
            // The claim comes to 7, and one of its plans would have to pay too much: none of its lines is taken.
            (
                &[
                    ("3", "A", "1"),
                    ("1", "A", most),
                    ("1", "B", least),
                    ("1", "A", most),
                    ("1", "B", least),
                    ("1", "C", "7"),
                ],
                &[3, 4, 5, 6, 7],
                "the 2 lines of its claim that the plan \"A\" pays come to 19999999999.98,",
            ),
            (
                &[("1", "A", most); 20],
                &(2..22).collect::<Vec<_>>(),
                "the 20 lines of its claim come to 199999999999.80,",
            ),
        ] {
            let upload = run_file(&harness, format!("{COLUMNS}{}", fees(lines))).await;
            let (all, rejected) = (lines.len() as i64, bad.len() as i64);
            let rows = (upload.rows.read, upload.rows.accepted, upload.rows.rejected);
            assert_eq!(
                (upload.state, rows),
                (UploadState::Completed, (all, all - rejected, rejected)),
                "{:?}",
                upload.detail
            );
            let rejects = harness.rejects(upload.id).await;
            assert_eq!(rejects.iter().map(|reject| reject.line).collect::<Vec<_>>(), bad);
            for reject in rejects {
                assert_eq!((reject.code.as_str(), reject.column_name.as_deref()), ("claim_too_large", None));
                assert!(reject.message().starts_with(told), "{}", reject.message());
                let (subscriber, plan, fee) = lines[usize::try_from(reject.line).unwrap() - 2];
                assert_eq!(reject.raw, fees(&[(subscriber, plan, fee)]).trim_end().as_bytes());
            }
        }
        assert_eq!(harness.count("select count(*) from claims").await, 3, "those of 5, 5 and 1 beside them");
        assert_eq!(harness.count("select count(*) from claim_lines").await, 3);
        assert_eq!(top(&harness, None, None).await, [("1497775530".to_owned(), 1_100)]);
        assert_eq!(harness.count("select sum(n)::bigint from chunk_reasons where code = 'claim_too_large'").await, 29);
        let good = fees(&[("1", "A", most), ("2", "A", most), ("2", "A", least), ("2", "B", least), ("3", "A", most)]);
        let upload = run_file(&harness, format!("{COLUMNS}{good}")).await;
        assert_eq!((upload.state, upload.rows.accepted), (UploadState::Completed, 5), "{upload:?}");
        assert_eq!(top(&harness, None, None).await, [("1497775530".to_owned(), 999_999_999_999 + 1_100)]);
        in_order(&harness).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_atomic_file_with_a_claim_that_comes_to_too_much_leaves_its_rejects() {
    let harness = Harness::new(150).await;
    let text = format!("{COLUMNS}{}", fees(&[("1", "A", "5"), ("2", "A", "9999999999.99"), ("2", "B", "0.01")]));
    let upload = accept(&harness, Policy::Atomic, text).await;
    harness.drain().await;
    let upload = harness.find(upload.id).await;
    assert_eq!((upload.state, upload.reason.as_deref()), (UploadState::Failed, Some("rejected_rows")));
    assert_eq!((upload.rows.accepted, upload.rows.rejected), (1, 2));
    let codes: Vec<_> = harness.rejects(upload.id).await.into_iter().map(|reject| (reject.line, reject.code)).collect();
    assert_eq!(codes, [(3, "claim_too_large".to_owned()), (4, "claim_too_large".to_owned())]);
    for table in [
        "select count(*) from claims",
        "select count(*) from claim_lines",
        "select count(*) from provider_totals",
        "select count(*) from ledger_entries",
    ] {
        assert_eq!(harness.count(table).await, 0, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_claims_that_come_to_too_much_count_towards_the_limit_of_rejects() {
    let harness = Harness::new(400).await;
    let own = OwnLimits { max_rejects: Some(3), ..OwnLimits::default() };
    client_limits::put(&harness.stack.pool, harness.client_id, &own).await.unwrap();
    let bad = "2024-02-03,X,,A,1,1497775530,1,0,0,0\n";
    let upload = run_file(&harness, format!("{COLUMNS}{bad}{}", fees(&[("1", "A", "9999999999.99"); 20]))).await;
    let rows = (upload.rows.read, upload.rows.accepted, upload.rows.rejected);
    assert_eq!((upload.state, rows), (UploadState::Completed, (21, 0, 21)), "{:?}", upload.detail);
    let kept: Vec<_> = harness.rejects(upload.id).await.into_iter().map(|reject| (reject.line, reject.code)).collect();
    assert_eq!(kept[..2], [(2, "bad_procedure".to_owned()), (3, "claim_too_large".to_owned())]);
    assert_eq!((kept.len(), upload.rejects_not_kept), (3, 18));
    let unkept = read::unkept(&harness.stack.pool, upload.id).await.unwrap();
    assert_eq!((unkept.len(), unkept[0].code.as_str(), unkept[0].records), (1, "claim_too_large", 18));
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
