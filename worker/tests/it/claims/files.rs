//! Claims of files: dirty ones, many chunks, atomic ones, and the client's rules.

use gristmill_claims::claims::{self, Filter, State};
use gristmill_clients::{ClaimGrouping, ClaimSettings, Settings, settings};
use gristmill_uploads::{NewUpload, Policy, ReceiveOutcome, State as UploadState};
use jiff::civil::date;
use tokio_util::sync::CancellationToken;

use super::{DIRTY, VISIT, accept, all, entries, entry, in_order, new_upload, run_file, top};
use crate::harness::{Harness, accepted};

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
