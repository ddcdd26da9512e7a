//! Claims that come to more than a claim may.

use gristmill_uploads::{
    Policy, State as UploadState,
    client_limits::{self, OwnLimits},
    read,
};

use super::{COLUMNS, accept, fees, in_order, run_file, top};
use crate::harness::Harness;

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
