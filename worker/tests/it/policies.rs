use std::sync::Arc;

use futures::TryStreamExt as _;
use gristmill_pipelines::{Rules, generate};
use gristmill_uploads::{
    NewUpload, Policy, Rows, State,
    client_limits::{self, OwnLimits},
    read, rejects_csv,
};

use crate::harness::{HEADER, Harness, accepted, file, row};

fn rows(read: i64, accepted: i64, rejected: i64, duplicate: i64) -> Rows {
    Rows { read, accepted, rejected, duplicate, ..Rows::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_file_keeps_its_good_rows() {
    let harness = Harness::new(200).await;
    let text = format!("{HEADER}{}no,columns\n{}{}", row(1), row(2), row(1));
    let upload = harness.run_file(&text).await;
    assert_eq!((upload.state, upload.rows), (State::Completed, rows(4, 2, 1, 1)));
    assert_eq!(upload.bytes, text.len() as i64);
    assert!(upload.first_row_at.is_some() && upload.completed_at.is_some());
    assert_eq!(harness.lines(upload.id).await, [2, 4]);
    let rejects = harness.rejects(upload.id).await;
    assert_eq!(
        rejects.iter().map(|r| (r.line, r.code.as_str())).collect::<Vec<_>>(),
        [(3, "too_few_columns"), (5, "duplicate")]
    );
    assert_eq!(rejects[0].raw, b"no,columns");
    assert_eq!((rejects[1].first_upload_id, rejects[1].first_line), (Some(upload.id), Some(2)));
    assert_eq!(rejects[1].column_name.as_deref(), Some("debtId"));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_of_a_record_are_kept_one_by_one() {
    let harness = Harness::new(8 << 20).await;
    let key = "00000000-0000-4000-8000-000000000001";
    let text =
        format!("{HEADER}Ana,1,not-mail,\"1\u{20ac}\"\"2\",2030-13-31,{key}\nAna,1,a@b.example,x,2030-12-31,{key}\n");
    let upload = harness.run_file(&text).await;
    assert_eq!((upload.state, upload.rows), (State::Completed, rows(2, 0, 2, 0)));
    let rejects = harness.rejects(upload.id).await;
    let found = rejects[0].faults();
    let codes: Vec<_> = found.iter().map(|fault| (fault.column.as_deref().unwrap(), fault.code.as_str())).collect();
    assert_eq!(codes, [("email", "bad_email"), ("debtAmount", "bad_amount"), ("debtDueDate", "bad_date")]);
    assert_eq!((rejects[0].column_name.as_deref(), rejects[0].code.as_str()), (Some("email"), "bad_email"));
    assert!(found[1].message.starts_with("debtAmount is \"1\u{20ac}\\\"2\", expected"), "{}", found[1].message);
    let joined = format!("{}. Also: {}; {}", found[0].message, found[1].message, found[2].message);
    assert_eq!(rejects[0].message(), joined);
    assert_eq!(rejects[1].faults().len(), 1);
    assert_eq!(
        harness.count("select count(*) from rejects where other_faults is null").await,
        1,
        "one fault costs nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_beyond_the_limit_are_counted_and_not_kept() {
    // One chunk, and many: those that are loaded at the same time do not know of each other's rejects.
    for (chunk_bytes, in_excess) in [(8 << 20, 0), (400, 4 * 40)] {
        let harness = Harness::new(chunk_bytes).await;
        let own = OwnLimits { max_rejects: Some(7), ..OwnLimits::default() };
        client_limits::put(&harness.stack.pool, harness.client_id, &own).await.unwrap();
        let bad: String =
            (0..300).map(|n| if n % 3 == 0 { "\"x\",\"\"\n" } else { "x,1,no mail,1,2024-01-19,y\n" }).collect();
        let upload = harness.run_file(&format!("{HEADER}{}{bad}{}{}", row(1), row(2), row(1))).await;
        assert_eq!((upload.state, upload.rows), (State::Completed, rows(303, 2, 300, 1)), "{:?}", upload.detail);
        let kept = harness.rejects(upload.id).await;
        assert_eq!(kept.iter().filter(|reject| reject.code == "duplicate").count(), 1);
        let kept = kept.len() as i64 - 1;
        assert!((7..=7 + in_excess).contains(&kept), "{kept} kept of 7");
        assert_eq!(upload.rejects_not_kept, 300 - kept);
        let unkept = read::unkept(&harness.stack.pool, upload.id).await.unwrap();
        assert_eq!(unkept.iter().map(|unkept| unkept.records).sum::<i64>(), 300 - kept);
        assert!(unkept.iter().any(|unkept| unkept.code == "too_few_columns"), "{unkept:?}");
        let receipt = read::receipt(&harness.stack.pool, upload.id).await.unwrap().unwrap();
        assert_eq!((receipt.rows.rejected, receipt.rejects_not_kept), (300, 300 - kept));
        let header = read::Header { raw: b"a".to_vec(), ..read::Header::default() };
        let csv: Vec<_> =
            rejects_csv::file(harness.stack.pool.clone(), upload.id, &header, false).try_collect().await.unwrap();
        let csv = String::from_utf8(csv.concat()).unwrap();
        let more = format!("{} more such records were counted and not kept", unkept[0].records);
        assert!(csv.contains(&more), "{csv}");
        assert_eq!(csv.lines().count() as i64, 1 + kept + 1 + unkept.len() as i64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_atomic_file_with_a_bad_row_leaves_only_its_rejects() {
    let harness = Harness::new(500).await;
    let mut text = file(0..50);
    text.push_str("bad,row\n");
    text.push_str(&row(99));
    let upload = accepted(harness.receive(harness.new_upload(Policy::Atomic), &text).await);
    harness.drain().await;
    let upload = harness.find(upload.id).await;
    assert_eq!((upload.state, upload.reason.as_deref()), (State::Failed, Some("rejected_rows")));
    assert_eq!(upload.rows.read, 52, "every record is checked and reported all the same");
    assert_eq!(upload.rows.rejected, 1);
    assert_eq!(harness.count("select count(*) from debts").await, 0);
    assert_eq!(harness.rejects(upload.id).await.len(), 1);
    assert_eq!(
        harness.stack.store.list_with_delimiter(None).await.unwrap().common_prefixes.len(),
        0,
        "objects are gone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_atomic_file_without_a_bad_row_is_loaded() {
    let harness = Harness::new(500).await;
    let upload = accepted(harness.receive(harness.new_upload(Policy::Atomic), file(0..50)).await);
    harness.drain().await;
    let upload = harness.find(upload.id).await;
    assert_eq!((upload.state, upload.rows), (State::Completed, rows(50, 50, 0, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_atomic_file_with_a_duplicate_is_loaded() {
    let harness = Harness::new(8 << 20).await;
    let text = format!("{}{}", file(0..50), row(7));
    let upload = accepted(harness.receive(harness.new_upload(Policy::Atomic), &text).await);
    harness.drain().await;
    let upload = harness.find(upload.id).await;
    assert_eq!((upload.state, upload.rows), (State::Completed, rows(51, 50, 0, 1)));
    assert_eq!(harness.rejects(upload.id).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_file_is_counted_as_generated() {
    for chunk_bytes in [3_000, 100_000, 8 << 20] {
        let harness = Harness::new(chunk_bytes).await;
        let mut text = Vec::new();
        let options = generate::Options { rows: 5_000, bad: 0.05, duplicates: 0.1, seed: 7, ..Default::default() };
        let counts = generate::debts(&options, &mut text).unwrap();
        let upload = harness.run_file(&text).await;
        assert_eq!(upload.state, State::Completed, "{upload:?}");
        let expected = Rows {
            // What is generated under an earlier key is another debt.
            conflicting_duplicate: counts.duplicate as i64,
            ..rows(counts.read() as i64, counts.accepted as i64, counts.rejected as i64, counts.duplicate as i64)
        };
        assert_eq!(upload.rows, expected, "chunks of {chunk_bytes}");
        assert_eq!(harness.lines(upload.id).await.len() as u64, counts.accepted);
        assert_eq!(harness.count("select count(*) from gristmill.jobs where state in ('available', 'dead')").await, 0);
        let reasons = "select count(*) from (
            select code, sum(n)::bigint, min(first_line) from chunk_reasons group by code
            except select code, count(*), min(line) from rejects where code <> 'duplicate' group by code) differ";
        assert_eq!(harness.count(reasons).await, 0, "each reject is in a count of its reason");
        assert_eq!(harness.count("select sum(n)::bigint from chunk_reasons").await, upload.rows.rejected);
    }
}

/// Who cuts a file and who reads it may have other settings: in a deploy, or by mistake.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_read_by_the_limit_of_records_by_which_it_was_cut() {
    // Forty lines in one quoted field: one record of two kilobytes, or forty whose quote is not closed within one.
    let lines = vec!["x".repeat(50); 40].join("\n");
    let long = format!("\"{lines}\",1,no mail,1,2024-01-19,y\n");
    let text = format!("{HEADER}{}{long}{}", row(1), row(2));
    let rejected = |limit: usize| if limit < 2_000 { 40 } else { 1 };
    for (cut, own) in [(1 << 10, 64 << 10), (64 << 10, 1 << 10)] {
        let mut harness = Harness::new(1 << 20).await;
        harness.uploads.limits.max_record_bytes = cut as u64;
        harness.env.rules = Arc::new(Rules { max_record_bytes: own, ..(*harness.env.rules).clone() });
        let upload = harness.run_file(&text).await;
        let bad = rejected(cut);
        assert_eq!((upload.state, upload.rows), (State::Completed, rows(2 + bad, 2, bad, 0)), "{:?}", upload.detail);
        // One that was begun before the limit was kept with it.
        let again = NewUpload { force: true, ..harness.new_upload(Policy::Partial) };
        let upload = accepted(harness.receive(again, &text).await);
        sqlx::query("update uploads set max_record_bytes = null").execute(&harness.stack.pool).await.unwrap();
        harness.drain().await;
        let (upload, bad) = (harness.find(upload.id).await, rejected(own));
        assert_eq!((upload.state, upload.rows), (State::Completed, rows(2 + bad, 0, bad, 2)), "{:?}", upload.detail);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_line_costs_only_itself() {
    let harness = Harness::new(1_000).await;
    let long = format!("\"{}\"", "x".repeat(10 << 20));
    let text = format!("{HEADER}{}{long}\n{}", row(1), row(2));
    let upload = harness.run_file(&text).await;
    assert_eq!((upload.state, upload.rows), (State::Completed, rows(3, 2, 1, 0)));
    let rejects = harness.rejects(upload.id).await;
    assert_eq!((rejects[0].line, rejects[0].code.as_str()), (3, "record_too_long"));
    assert!(rejects[0].raw.len() < 10_000, "only its head is kept");
    assert_eq!(harness.lines(upload.id).await, [2, 4]);
}
